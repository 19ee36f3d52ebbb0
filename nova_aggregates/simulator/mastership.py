"""Changing a pool's master, in peace and in an emergency (xapi_pool_transition.ml)."""

from __future__ import annotations

from nova_aggregates.simulator import handover, lifecycle
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError, internal
from nova_aggregates.simulator.machine import Machine
from nova_aggregates.simulator.pool_operations import pool_operation

UNTRUSTED = (
    'Stunnel.Stunnel_verify_error("Pre-verification error: certificate not found in local '
    'repository: self-signed certificate")'
)


@api("pool.designate_new_master")
async def designate(call: Call, host: str) -> None:
    """All members must be reachable; then every toolstack of the pool restarts.

    What is written at the old master in the 10 s that it still serves is lost (observed), because
    the new one works on the copy taken here.
    """
    db = call.db
    record = db.get("host", host)
    if host == db.master:
        return
    if db.pool_record["ha_enabled"]:
        raise ApiError("HA_IS_ENABLED")
    site, timings = call.machine.site, call.machine.profile.timings
    async with pool_operation(db, call.clock, "designate_new_master", task=call.task_ref()):
        await site.contact(db, host)
        for member in list(db.tables["host"]):
            if member not in (db.master, host):
                await site.contact(db, member)
        target = site.by_uuid(record["uuid"])
        if target is None:
            raise ApiError("HOST_OFFLINE", host)
        members = handover.propose(target, db)
        _assert_trusted(target, db)
        await call.clock.sleep(timings.eject)
        copy = db.clone()
        failed = handover.commit(target, members, copy)
    if failed:
        target.live(lifecycle.restart(target))
        raise ApiError("CANNOT_CONTACT_HOST", host)
    become_master(target, copy, host)
    lifecycle.light_fuse(target, timings.fuse)


def _assert_trusted(target: Machine, db: Database) -> None:
    for _, member in target.site.members(db):
        known = member.disk.certificate_id in target.disk.trusted or member is target
        if not known and target.disk.tls_verification:
            raise internal(UNTRUSTED)


def become_master(machine: Machine, db: Database, host: str) -> None:
    """The next start of this toolstack is one as master of that database."""
    pool = db.pool
    db.tables["pool"][pool].update(master=host, current_operations={})
    for record in db.tables["host"].values():
        record["enabled"] = False
    machine.disk.master_address = None
    machine.disk.database = db
    machine.disk.backup = None
    machine.disk.taking_over = True
    machine.disk.broken = False


@api("pool.sync_database")
async def sync_database(call: Call) -> None:
    for _, member in call.machine.site.members(call.db):
        if member is not call.master and call.machine.site.up(call.db, member):
            member.disk.backup = call.db.clone()


@api("pool.certificate_sync")
async def certificate_sync(call: Call) -> None:
    """Give every member that answers the certificates of all."""
    members = [m for _, m in call.machine.site.members(call.db)]
    bundle = {m.disk.certificate_id for m in members}
    for member in members:
        if call.machine.site.up(call.db, member):
            member.disk.trusted |= bundle


@api("pool.is_slave")
def is_slave(call: Call, host: str) -> bool:
    del host
    return not call.process.is_master


@api("pool.emergency_transition_to_master")
def emergency_transition(call: Call) -> None:
    """A slave becomes master of the last copy it got; hosts that joined later are unknown to it."""
    machine = call.machine
    if call.process.is_master:
        return
    copy = machine.disk.backup
    if copy is None:
        raise internal("Not_found")
    if copy.pool_record["ha_enabled"]:
        raise ApiError("HA_IS_ENABLED")
    db = copy.clone()
    host = db.by_uuid("host", machine.disk.uuid)
    become_master(machine, db, host)
    lifecycle.light_fuse(machine, machine.profile.timings.fuse)


@api("pool.emergency_reset_master")
def emergency_reset_master(call: Call, address: str) -> None:
    """Also "works" on a standalone master, and strands it (xapi_pool.ml)."""
    machine = call.machine
    if machine.disk.master_address == address and not machine.disk.broken:
        return
    backup = machine.disk.backup
    if backup is not None and backup.pool_record["ha_enabled"]:
        raise ApiError("HA_IS_ENABLED")
    machine.disk.master_address = address
    machine.disk.broken = False
    lifecycle.light_fuse(machine, machine.profile.timings.fuse)


@api("pool.recover_slaves")
async def recover_slaves(call: Call) -> list[str]:
    """Point all members at this master; they restart at once. Failures are left out silently."""
    recovered, missing = {}, False
    for ref, machine in call.machine.site.members(call.db):
        if machine is call.machine:
            continue
        if not lifecycle.linked(machine) or machine.process is None:
            missing = True
            continue
        recovered[ref] = machine
    if missing:
        wait = 3.0 if call.process.met_dead_member else 10.0
        call.process.met_dead_member = True
        await call.clock.sleep(wait)
    for machine in recovered.values():
        if machine.disk.master_address != call.machine.address:
            machine.disk.master_address = call.machine.address
            machine.live(lifecycle.restart(machine))
    return list(recovered)


@api("pool.hello")
def hello(call: Call, uuid: str, address: str) -> str:
    """Only the pool's own members ask this; they do so in-process here."""
    del address
    return "ok" if call.db.first("host", uuid=uuid) else "unknown_host"
