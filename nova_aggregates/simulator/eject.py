"""pool.eject and the removal of hosts that are dead (xapi_pool.ml, xapi_host.ml)."""

from __future__ import annotations

from nova_aggregates.simulator import (
    administrator,
    guests,
    host_operations,
    lifecycle,
    placement,
    records,
    storage,
)
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError, internal
from nova_aggregates.simulator.machine import Machine, Process
from nova_aggregates.simulator.pool_operations import pool_operation
from nova_aggregates.simulator.values import new_uuid


@api("pool.eject")
async def eject(call: Call, host: str) -> None:
    db = call.db
    if call.local and not call.process.is_master and host == db.master:
        return  # a slave's local session: success, and nothing happens (observed)
    limit = call.machine.profile.timings.lock_retry_limit
    async with pool_operation(db, call.clock, "eject", task=call.task_ref(), limit=limit):
        target = await call.machine.site.contact(db, host)
        if host == db.master:
            raise internal("Xapi_pool.Cannot_eject_master")
        if db.pool_record["ha_enabled"]:
            raise ApiError("HA_IS_ENABLED")
        if "apply_updates" in db.pool_record["current_operations"].values():
            raise ApiError("NOT_SUPPORTED_DURING_UPGRADE")
        if placement.residents(db, host):
            raise ApiError("OPERATION_NOT_ALLOWED", "VM resident on host")
        await call.clock.sleep(call.machine.profile.timings.eject)
        stuck = target.machine.name in target.machine.site.faults.stuck_disks
        storage.release_host(db, host, stuck=stuck)
        _leave(call, target, host)


def _leave(call: Call, target: Process, host: str) -> None:
    machine, db = target.machine, call.db
    for _, member in machine.site.members(db):
        member.disk.trusted.discard(machine.disk.certificate_id)
    remove_record(db, host)
    administrator.pool_shrank(machine.site, db)
    records.refresh_pool_cpus(db)
    reset_disk(machine)
    target.fuse_lit = True
    target.spawn(_reboot_fresh(machine))


def reset_disk(machine: Machine) -> None:
    """What an ejected host keeps: uuid, password, server certificate, update hash, flags."""
    disk = machine.disk
    disk.master_address = None
    disk.database = None
    disk.backup = None
    disk.trusted = set()
    disk.certificate_id = new_uuid()
    disk.first_boot = machine.profile.manual_first_boot
    disk.ejected = True


async def _reboot_fresh(machine: Machine) -> None:
    await machine.clock.sleep(machine.profile.timings.reboot_delay)
    faults = machine.site.faults
    if machine.name in faults.new_certificate:
        machine.renew_certificate()
    if machine.name in faults.never_returns:
        lifecycle.power_off(machine)
        await machine.listener.refuse()
        return
    machine.live(lifecycle.reboot(machine, machine.profile.timings.first_boot))


def remove_record(db: Database, host: str) -> None:
    """The host and its control domain; PBDs, PIFs and metrics dangle until the next collection."""
    for vm, record in db.find("VM", is_control_domain=True):
        if host in (record["resident_on"], record["affinity"]):
            for console in list(record["consoles"]):
                db.delete("console", console)
            db.delete("VM", vm)
    db.delete("host", host)


@api("host.declare_dead")
async def declare_dead(call: Call, host: str) -> None:
    """Guests become Halted and the host disabled; the live flag stays (observed)."""
    db = call.db
    await _assert_dead(call, host, looks=2)
    for vm in placement.residents(db, host):
        guests.halt(call.machine.site, db, vm, why="host-lost")
    db.set("host", host, enabled=False)
    host_operations.refresh(db, host)


@api("host.destroy")
async def destroy(call: Call, host: str) -> None:
    db = call.db
    db.get("host", host)
    if db.pool_record["ha_enabled"]:
        raise ApiError("HA_IS_ENABLED")
    await _assert_dead(call, host, looks=1)
    if placement.residents(db, host):
        raise ApiError("HOST_HAS_RESIDENT_VMS", host)
    remove_record(db, host)


async def _assert_dead(call: Call, host: str, *, looks: int) -> None:
    db = call.db
    db.get("host", host)
    for _ in range(looks):
        if host == db.master or await call.machine.site.is_alive(db, host):
            raise ApiError("HOST_IS_LIVE", host)
