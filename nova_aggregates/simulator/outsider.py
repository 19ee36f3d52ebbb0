"""Somebody else who administers the pools, as with XenCenter, Xen Orchestra or the xe command.

What is done goes through the toolstack like any other call, with all its checks, errors and times.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.dispatch import call_internally
from nova_aggregates.simulator.furnishing import host_ref, pool_database
from nova_aggregates.simulator.machine import Machine, Process
from nova_aggregates.simulator.site import Site


def pools(site: Site) -> Iterator[tuple[Process, Database]]:
    """The masters that answer, and their databases."""
    for machine in site.machines:
        process = machine.process
        if process is not None and process.is_master and process.db is not None:
            yield process, process.db


def find_guest(site: Site, wanted: str) -> tuple[Process, str]:
    """A guest by name, uuid or reference; by name it must be the only one.

    Raises LookupError.
    """
    found = []
    for process, db in pools(site):
        for ref, vm in db.find("VM", is_a_template=False, is_control_domain=False):
            if wanted in (ref, vm["uuid"], vm["name_label"]):
                found.append((process, ref))
    if len(found) != 1:
        raise LookupError(
            f"guest {wanted}" if not found else f"{len(found)} guests called {wanted}"
        )
    return found[0]


async def guest(site: Site, verb: str, wanted: str, host: Machine | None = None) -> None:
    """Do something to a guest, see ``GUEST_VERBS``. Raises LookupError, ValueError, ApiError."""
    process, vm = find_guest(site, wanted)
    if verb not in GUEST_VERBS:
        raise ValueError(f"unknown verb {verb}; known: {', '.join(GUEST_VERBS)}")
    target = host_ref(host, pool_database(host)) if host is not None else ""
    await GUEST_VERBS[verb](process, vm, target)


async def _start(process: Process, vm: str, host: str) -> None:
    if host:
        await call_internally(process, "VM.start_on", vm, host, False, False)
    else:
        await call_internally(process, "VM.start", vm, False, False)


async def _resume(process: Process, vm: str, host: str) -> None:
    if host:
        await call_internally(process, "VM.resume_on", vm, host, False, False)
    else:
        await call_internally(process, "VM.resume", vm, False, False)


async def _migrate(process: Process, vm: str, host: str) -> None:
    if not host:
        raise ValueError("say where the guest is to be migrated to: host")
    await call_internally(process, "VM.pool_migrate", vm, host, {"live": "true"})


async def _delete(process: Process, vm: str, host: str) -> None:
    """With its disks, and whatever it is doing."""
    del host
    db = process.db
    if db is None:
        return
    if db.get("VM", vm)["power_state"] not in ("Halted", "Suspended"):
        await call_internally(process, "VM.hard_shutdown", vm)
    disks = [db.get("VBD", vbd)["VDI"] for vbd in db.get("VM", vm)["VBDs"]]
    await call_internally(process, "VM.destroy", vm)
    for disk in disks:
        if db.peek("VDI", disk) is not None:
            db.delete("VDI", disk)


def _plain(method: str) -> Callable[[Process, str, str], Awaitable[None]]:
    async def act(process: Process, vm: str, host: str) -> None:
        del host
        await call_internally(process, method, vm)

    return act


GUEST_VERBS: dict[str, Callable[[Process, str, str], Awaitable[None]]] = {
    "start": _start,
    "shutdown": _plain("VM.clean_shutdown"),
    "stop": _plain("VM.hard_shutdown"),
    "reboot": _plain("VM.clean_reboot"),
    "pause": _plain("VM.pause"),
    "unpause": _plain("VM.unpause"),
    "suspend": _plain("VM.suspend"),
    "resume": _resume,
    "migrate": _migrate,
    "delete": _delete,
}


async def call(machine: Machine, method: str, *args: Any) -> Any:
    """Any call of the API to the pool of a host; ``$host`` and ``$pool`` stand for its records."""
    db = pool_database(machine)
    master = machine.site.master_of(machine.process).process if machine.process else None
    if master is None or method not in machine.site.model.methods:
        raise LookupError(method if master is not None else f"the pool of {machine.name}")
    known = {"$host": host_ref(machine, db), "$pool": db.pool}
    return await call_internally(master, method, *(known.get(str(a), a) for a in args))


def overview(site: Site) -> list[dict[str, Any]]:
    """All pools with their hosts and guests, as they are now."""
    return [_pool(site, process, db) for process, db in pools(site)]


def _pool(site: Site, process: Process, db: Database) -> dict[str, Any]:
    pool = db.pool_record
    return {
        "uuid": pool["uuid"],
        "name": pool["name_label"],
        "master": process.machine.name,
        "ha": pool["ha_enabled"],
        "hosts": [_host(site, db, ref) for ref in db.tables["host"]],
        "halted": [
            vm["name_label"]
            for _, vm in db.find("VM", is_a_template=False, is_control_domain=False)
            if vm["power_state"] in ("Halted", "Suspended")
        ],
    }


def _host(site: Site, db: Database, ref: str) -> dict[str, Any]:
    record = db.get("host", ref)
    metrics = db.peek("host_metrics", record["metrics"])
    guests = (db.get("VM", v) for v in record["resident_VMs"])
    return {
        "name": site.host_name(db, ref) or record["name_label"],
        "uuid": record["uuid"],
        "enabled": record["enabled"],
        "live": metrics is not None and metrics["live"],
        "guests": [v["name_label"] for v in guests if not v["is_control_domain"]],
    }
