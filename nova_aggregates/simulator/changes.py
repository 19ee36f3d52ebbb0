"""What tests and operators do to a site from outside: faults of machines, changes of the set-up."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from typing import Any

from nova_aggregates.simulator import (
    certificates,
    furnishing,
    hosts,
    lifecycle,
    outsider,
    plugins,
    records,
    updates,
    vm_lifecycle,
)
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.faults import WireFault
from nova_aggregates.simulator.http_server import FrontEnd
from nova_aggregates.simulator.machine import Machine, Power
from nova_aggregates.simulator.roles import ROLES
from nova_aggregates.simulator.site import Account, Site
from nova_aggregates.simulator.values import DateTime

ACTIONS = ("drop-before", "drop-after", "delay", "hang", "error", "truncate", "http-500")


def machine_of(site: Site, name: str) -> Machine:
    """By inventory name, by letter (A is the first) or by number. Raises LookupError."""
    found = site.resolve(name)
    if found is not None:
        return found
    position = ord(name) - ord("A") if len(name) == 1 and name.isalpha() else -1
    if name.isdigit():
        position = int(name) - 1
    if 0 <= position < len(site.machines):
        return site.machines[position]
    raise LookupError(f"host {name}")


async def fault(site: Site, verb: str, host: str) -> None:
    """Do something to a machine. Raises LookupError for an unknown verb or host."""
    await VERBS[verb](machine_of(site, host))


async def _power_off(machine: Machine) -> None:
    lifecycle.power_off(machine)
    await machine.listener.refuse()


async def _power_on(machine: Machine) -> None:
    if machine.power is Power.OFF:
        hosts.switch_on(machine)


async def _kill_toolstack(machine: Machine) -> None:
    machine.kill_process()
    machine.live(_revive(machine))


async def _revive(machine: Machine) -> None:
    await machine.listener.close_softly()
    await machine.clock.sleep(machine.profile.timings.kill_restart)
    await lifecycle.start(machine, cold=False)


async def _freeze(machine: Machine) -> None:
    machine.thawed.clear()


async def _thaw(machine: Machine) -> None:
    machine.thawed.set()


async def _unplug(machine: Machine) -> None:
    machine.plugged = False


async def _replug(machine: Machine) -> None:
    machine.plugged = True


async def _first_boot(machine: Machine) -> None:
    """What the distribution's first-boot scripts do: scan for interfaces, configure one."""
    if not machine.disk.first_boot:
        return
    machine.disk.first_boot = False
    db = furnishing.own_database(machine)
    if not db.tables["PIF"]:
        records.create_pool_network(db, machine, db.master)


VERBS: dict[str, Callable[[Machine], Awaitable[None]]] = {
    "power-off": _power_off,
    "power-on": _power_on,
    "press-power": _power_on,
    "kill-toolstack": _kill_toolstack,
    "freeze": _freeze,
    "thaw": _thaw,
    "unplug": _unplug,
    "replug": _replug,
    "first-boot": _first_boot,
}


def wire(site: Site, given: dict[str, Any]) -> None:
    """Spoil calls to come. Raises ValueError for an unknown action or field."""
    known = {**given, "error": tuple(given.get("error", ()))}
    known["host"] = known["host"] if known["host"] == "*" else machine_of(site, known["host"]).name
    spoiled = WireFault(**known)
    if spoiled.action not in ACTIONS:
        raise ValueError(f"unknown action {spoiled.action}; known: {', '.join(ACTIONS)}")
    site.faults.wire.append(spoiled)


async def guest(site: Site, given: dict[str, Any]) -> None:
    """What an outside administrator does to a guest: verb, guest and perhaps host, wait.

    With ``wait`` false it goes on by itself. Raises LookupError, ValueError, ApiError.
    """
    host = machine_of(site, given["host"]) if given.get("host") else None
    work = outsider.guest(site, given["verb"], given["guest"], host)
    if given.get("wait", True):
        await work
        return
    site.background(work)


async def change(site: Site, given: dict[str, Any]) -> Any:
    """Alter the set-up. ``change`` names what; the rest are its arguments."""
    arguments = dict(given)
    name = arguments.pop("change")
    if name not in CHANGES:
        raise LookupError(f"change {name}")
    machine = machine_of(site, arguments.pop("host"))
    return await CHANGES[name](machine, **arguments)


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
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    machine.certificate = certificates.make(machine.name, machine.address, valid_until=end)
    if isinstance(machine.listener, FrontEnd):
        machine.listener.use_certificate()
    return machine.certificate.sha256


async def _emergency(machine: Machine, error: list[str] | None = None) -> None:
    """Starting as a slave it stays with this error; None lifts that."""
    emergencies = machine.site.faults.emergencies
    emergencies.pop(machine.name, None)
    if error:
        emergencies[machine.name] = ApiError(*error)


async def _flag(machine: Machine, flag: str, on: bool = True) -> None:
    """``disabled``, ``unplugged_storage`` or ``no_record``: see Faults."""
    flags: set[str] = getattr(machine.site.faults, flag)
    if on:
        flags.add(machine.name)
    else:
        flags.discard(machine.name)


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
    "add-user": _add_user,
    "observe": _observe,
}
