"""Changes of a site's set-up from outside, past the API: ``CHANGES`` by name.

The machine is the host that the change names; the rest are the change's arguments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nova_aggregates.simulator import (
    furnishing,
    outsider,
    plugins,
    records,
    updates,
    vm_lifecycle,
)
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.faults import FLAGS
from nova_aggregates.simulator.machine import Machine, Power
from nova_aggregates.simulator.roles import ROLES
from nova_aggregates.simulator.site import Account
from nova_aggregates.simulator.values import DateTime, new_ref


async def _add_guest(machine: Machine, name: str = "guest", **options: Any) -> str:
    return furnishing.add_guest(machine, name, **options)


async def _add_disk(machine: Machine, name: str = "disk", **options: Any) -> str:
    return furnishing.add_disk(machine, name, **options)


async def _set_password(machine: Machine, password: str) -> None:
    machine.disk.password = password


async def _set_hardware(machine: Machine, **values: Any) -> None:
    """CPU vendor, software versions, edition, licence restrictions: as if always so."""
    for key, value in values.items():
        if not hasattr(machine.hardware, key):
            raise ValueError(f"a host has no {key}")
        setattr(machine.hardware, key, value)
    db = furnishing.pool_database(machine)
    host = furnishing.host_ref(machine, db)
    records.refresh_host(db, machine, host)
    db.set(
        "host",
        host,
        edition=machine.hardware.edition,
        license_params=records.license_params(machine),
    )


async def _set_fields(machine: Machine, cls: str, values: dict[str, Any], ref: str = "") -> None:
    """Write fields of a record past the API; without ``ref`` of the only one, or the own host."""
    db = furnishing.pool_database(machine)
    own = furnishing.host_ref(machine, db)
    if not ref and cls == "host_metrics":
        ref = db.get("host", own)["metrics"]
    elif not ref:
        ref = own if cls == "host" else next(iter(db.tables[cls]))
    db.set(cls, ref, **values)


async def _create_record(machine: Machine, cls: str, values: dict[str, Any]) -> str:
    return furnishing.pool_database(machine).create(cls, **values)


async def _change_certificate(machine: Machine, days: float = 3650) -> str:
    """A new certificate that ends in so many days; negative: it has expired. Its fingerprint."""
    machine.renew_certificate(days)
    return machine.certificate.sha256


async def _emergency(machine: Machine, error: list[str] | None = None) -> None:
    """Starting as a slave it stays with this error; None lifts that."""
    emergencies = machine.site.faults.emergencies
    emergencies.pop(machine.name, None)
    if error:
        emergencies[machine.name] = ApiError(*error)


async def _flag(machine: Machine, flag: str, on: bool = True) -> None:
    """One of ``faults.FLAGS``."""
    if flag not in FLAGS:
        raise ValueError(f"unknown flag {flag}; known: {', '.join(FLAGS)}")
    flags: set[str] = getattr(machine.site.faults, flag)
    if on:
        flags.add(machine.name)
    else:
        flags.discard(machine.name)


async def _occupy(
    machine: Machine, operation: str, seconds: float, cls: str = "host", guest: str = ""
) -> None:
    """Another operation is in progress for so long at the host, its ``pool``, or a guest."""
    db = furnishing.pool_database(machine)
    ref = furnishing.host_ref(machine, db) if cls == "host" else db.pool
    if guest:
        cls, (_, ref) = "VM", outsider.find_guest(machine.site, guest)
    task = new_ref()
    running = {**db.get(cls, ref)["current_operations"], task: operation}
    db.set(cls, ref, current_operations=running)

    async def release() -> None:
        await machine.clock.sleep(seconds)
        record = db.peek(cls, ref)
        if record is not None:
            rest = {t: o for t, o in record["current_operations"].items() if t != task}
            db.set(cls, ref, current_operations=rest)

    machine.site.background(release())


async def _address(machine: Machine, address: str) -> None:
    """The address that the host has from its next start on, as with DHCP or by mistake."""
    owner = machine.site.by_address(address)
    if owner is not None and owner is not machine and owner.power is Power.ON:
        raise ValueError(f"{address} belongs to {owner.name}, which is on; power it off first")
    machine.next_address = address


async def _add_user(machine: Machine, name: str, password: str, role: str | None) -> None:
    """A user of the site's directory, with a role such as pool-operator or read-only."""
    if role is not None and role not in ROLES:
        raise ValueError(f"unknown role {role}; known: {', '.join(ROLES)}")
    machine.site.directory[name] = Account(password, role)


async def _observe(machine: Machine) -> dict[str, Any]:
    """What the host is, for tests that need the truth behind the API."""
    process = machine.process
    return {
        "name": machine.name,
        "power": machine.power.value,
        "phase": process.phase.name if process else None,
        "master_address": machine.disk.master_address,
        "password": machine.disk.password,
        "time": DateTime(machine.clock.stamp()),
    }


async def _set_guest(machine: Machine, guest: str, **values: Any) -> None:
    """Write fields of a guest of the host's pool past the API, such as blocked_operations."""
    process, vm = outsider.find_guest(machine.site, guest)
    if process.db is not None:
        process.db.set("VM", vm, **values)
        vm_lifecycle.refresh(process.db, vm)


async def _fail_move(machine: Machine, guest: str, error: list[str] | None) -> None:
    """The guest's next move fails half-way; None lifts that."""
    failing = machine.site.faults.failing_moves
    failing.pop(guest, None)
    if error:
        failing[guest] = ApiError(*error)


async def _offer_updates(machine: Machine, offered: list[dict[str, Any]]) -> str:
    """What the repositories of the site offer from now on; the checksum of that."""
    machine.site.updates = [updates.from_mapping(u) for u in offered]
    return updates.checksum(machine.site.updates)


async def _plugin(machine: Machine, table: dict[str, dict[str, Any]]) -> None:
    """Plugins that the host has besides, see ``plugins``."""
    plugins.give(machine, table)


async def _updater(machine: Machine) -> None:
    """XCP-ng's plugin, which installs what the site offers."""
    plugins.add_updater(machine)


async def _add_storage(machine: Machine, name: str = "Shared storage", size: int = 0) -> str:
    """A shared repository of the host's pool, attached at all of its hosts."""
    return furnishing.add_pool_storage(machine, name, size)


CHANGES: dict[str, Callable[..., Awaitable[Any]]] = {
    "add-guest": _add_guest,
    "add-disk": _add_disk,
    "add-storage": _add_storage,
    "set-guest": _set_guest,
    "fail-move": _fail_move,
    "offer-updates": _offer_updates,
    "plugin": _plugin,
    "updater": _updater,
    "set-password": _set_password,
    "set-hardware": _set_hardware,
    "set-fields": _set_fields,
    "create-record": _create_record,
    "change-certificate": _change_certificate,
    "emergency": _emergency,
    "flag": _flag,
    "occupy": _occupy,
    "address": _address,
    "add-user": _add_user,
    "observe": _observe,
}
