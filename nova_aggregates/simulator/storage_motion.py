"""Moving guests with their disks: VM.migrate_send and what belongs to it (xapi_vm_migrate.ml)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

from nova_aggregates.simulator import (
    guests,
    ha,
    host_operations,
    join_import,
    migration,
    motion_checks,
    placement,
    sessions,
    vm_lifecycle,
)
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF, ApiError, ProcessGone
from nova_aggregates.simulator.machine import Process, Session
from nova_aggregates.simulator.motion_checks import Destination, Request

AT_ONCE = 3  # that one host sends
Maps = dict[str, str]


@api("host.migrate_receive")
async def migrate_receive(call: Call, host: str, network: str, options: Maps) -> Maps:
    """The description of a destination, with a session of its own."""
    del options
    db = call.db
    await call.machine.site.contact(db, host)
    motion_checks.assert_licensed(db)
    address = _address(db, host, network)
    known = call.session or Session(sessions.SUPERUSER, "")
    owner = Session(known.user, known.originator, known.local_superuser, known.role)
    session = sessions.open_session(call.master.process or call.process, owner)
    return {
        "SM": f"http://{address}/services/SM?session_id={session}",
        "host": host,
        "xenops": f"http://{address}/services/xenops?session_id={session}",
        "session_id": session,
        "master": f"http://{call.master.address}",
    }


def _address(db: Database, host: str, network: str) -> str:
    """Of the host on the network. Raises HOST_CANNOT_ATTACH_NETWORK,
    PIF_HAS_NO_NETWORK_CONFIGURATION and INTERFACE_HAS_NO_IP.
    """
    db.get("network", network)
    found = db.first("PIF", host=host, network=network)
    if found is None:
        raise ApiError("HOST_CANNOT_ATTACH_NETWORK", host, network)
    pif, record = found
    if not record["IP"]:
        unset = record["ip_configuration_mode"] == "None"
        code = "PIF_HAS_NO_NETWORK_CONFIGURATION" if unset else "INTERFACE_HAS_NO_IP"
        raise ApiError(code, pif)
    return str(record["IP"])


@api("VM.assert_can_migrate")
def assert_can_migrate(
    call: Call,
    vm: str,
    dest: Maps,
    live: bool,
    disks: Maps,
    cards: Maps,
    options: Maps,
    gpus: Maps,
) -> None:
    del live, gpus
    motion_checks.assert_can_migrate(call, Request(vm, dest, disks, cards, options))


@api("VM.migrate_send")
async def migrate_send(
    call: Call,
    vm: str,
    dest: Maps,
    live: bool,
    disks: Maps,
    cards: Maps,
    options: Maps,
    gpus: Maps,
    formats: Maps,
) -> str:
    """The guest's reference at the destination, which is a new one in another pool."""
    del live, gpus, formats
    db, task = call.db, call.task_ref()
    asked = Request(vm, dest, disks, cards, options)
    db.get("VM", vm)
    await vm_lifecycle.wait_until_allowed(call, vm, "migrate_send")
    vm_lifecycle.begin(db, vm, "migrate_send", task)
    try:
        there = motion_checks.assert_can_migrate(call, asked)
        if there.inside and db.get("VM", vm)["power_state"] == "Running":
            async with _expected(call, vm, there.host):
                return await _send(call, asked, there)
        return await _send(call, asked, there)
    finally:
        vm_lifecycle.end(db, vm, task)


@contextlib.asynccontextmanager
async def _expected(call: Call, vm: str, host: str) -> AsyncIterator[None]:
    """The marks on the destination while the guest comes, and what the history says of it."""
    db, site, task = call.db, call.machine.site, call.task_ref()
    record = db.get("VM", vm)
    names = site.host_name(db, record["resident_on"]), site.host_name(db, host)
    ha.assert_placement_keeps_plan(site, db, vm, host)
    host_operations.begin(db, host, "vm_migrate", task)
    db.set("VM", vm, scheduled_to_be_resident_on=host)
    site.history.move("move-began", record, *names)
    try:
        yield
    except (ApiError, ProcessGone) as error:
        why = error.code if isinstance(error, ApiError) else "ProcessGone"
        site.history.move("move-failed", record, *names, why)
        raise
    else:
        site.history.move("moved", record, *names)
    finally:
        if db.peek("VM", vm) is not None:
            db.set("VM", vm, scheduled_to_be_resident_on=NULL_REF)
        host_operations.end(db, host, task)


async def _send(call: Call, asked: Request, there: Destination) -> str:
    """At the host that sends: where the guest is, or one that it could start on."""
    db, site = call.db, call.machine.site
    record = db.get("VM", asked.vm)
    live = record["power_state"] == "Running"
    source = record["resident_on"] if live else placement.place(call, asked.vm)
    sender = await site.contact(db, source)
    with _counted(sender):
        motion_checks.assert_can_send(call, asked, there)
        target = site.by_uuid(there.db.get("host", there.host)["uuid"])
        if not there.inside and live:
            placement.assert_room(site, record, there.db, there.host)
        for vdi in motion_checks.moved(db, asked):
            _plug(there, asked.disks[vdi])
        size = sum(db.get("VDI", v)["virtual_size"] for v in motion_checks.moved(db, asked))
        if live and source != there.host:
            size += placement.needed(record)
        await call.clock.sleep(call.machine.profile.guests.migrate_setup)
        await migration.transfer(call, asked.vm, source, there.host, target, float(size))
        if live:
            migration.assert_still_running(db, asked.vm)
        return _arrive(call, asked, there, live=live)


def _plug(there: Destination, sr: str) -> None:
    """Storage that the destination knows is attached there if need be. Raises SR_NOT_ATTACHED."""
    found = there.db.first("PBD", host=there.host, SR=sr)
    if found is None:
        raise ApiError("SR_NOT_ATTACHED", there.db.get("SR", sr)["uuid"])
    there.db.set("PBD", found[0], currently_attached=True)


@contextlib.contextmanager
def _counted(sender: Process) -> Iterator[None]:
    """Raises TOO_MANY_STORAGE_MIGRATES."""
    if sender.storage_migrations == AT_ONCE:
        raise ApiError("TOO_MANY_STORAGE_MIGRATES", str(AT_ONCE))
    sender.storage_migrations += 1
    try:
        yield
    finally:
        sender.storage_migrations -= 1


def _arrive(call: Call, asked: Request, there: Destination, *, live: bool) -> str:
    db = call.db
    if not there.inside:
        return _cross(call, asked, there, live=live)
    for vdi in motion_checks.moved(db, asked):
        new = _new_disk(db, vdi, db, asked.disks[vdi])
        for vbd in list(db.get("VDI", vdi)["VBDs"]):
            db.set("VBD", vbd, VDI=new)
        _remove_disk(db, vdi)
    if live:
        guests.settle(db, asked.vm, there.host)
    return asked.vm


def _new_disk(db: Database, vdi: str, there: Database, sr: str) -> str:
    old = db.get("VDI", vdi)
    kept = {k: v for k, v in old.items() if k not in ("uuid", "VBDs", "SR")}
    used = there.get("SR", sr)["physical_utilisation"]
    there.set("SR", sr, physical_utilisation=used + old["virtual_size"])
    return there.create("VDI", **kept, SR=sr)


def _remove_disk(db: Database, vdi: str) -> None:
    record = db.get("VDI", vdi)
    left = db.get("SR", record["SR"])["physical_utilisation"] - record["virtual_size"]
    db.set("SR", record["SR"], physical_utilisation=max(0, left))
    db.delete("VDI", vdi)


def _cross(call: Call, asked: Request, there: Destination, *, live: bool) -> str:
    """The guest gets a record in the other pool, with its uuid; a copy leaves the old one."""
    db, site = call.db, call.machine.site
    networks = motion_checks.networks(db, asked)
    own = list(motion_checks.disks_of(db, asked.vm))
    disks = {vdi: _new_disk(db, vdi, there.db, asked.disks[vdi]) for vdi in own}
    state = db.get("VM", asked.vm)["power_state"]
    uuid = {"uuid": ""} if asked.copy else {}
    new = join_import.import_guest(db, there.db, asked.vm, disks, networks, **uuid)
    there.db.set("VM", new, power_state="Halted", scheduled_to_be_resident_on=NULL_REF)
    if live:
        guests.power_up(site, there.db, new, there.host, state=state)
    else:
        there.db.set("VM", new, power_state=state)
    vm_lifecycle.refresh(there.db, new)
    if not asked.copy:
        guests.halt(site, db, asked.vm, why="migrate_send")
        for vdi in own:
            _remove_disk(db, vdi)
        guests.remove(db, asked.vm)
    return new
