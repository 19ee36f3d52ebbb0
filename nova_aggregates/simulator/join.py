"""pool.join, called on the joining host (xapi_pool.ml join_common)."""

from __future__ import annotations

from nova_aggregates.simulator import (
    administrator,
    join_checks,
    join_import,
    lifecycle,
    remote_login,
)
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError, internal, ocaml_failure
from nova_aggregates.simulator.join_checks import Side
from nova_aggregates.simulator.machine import Machine, Process
from nova_aggregates.simulator.pool_operations import pool_operation

NAMES_MISSING_CERTIFICATE = (26, 16)  # the build that it came with


@api("pool.join")
async def join(call: Call, address: str, user: str, password: str) -> None:
    await _join(call, address, user, password, force=False)


@api("pool.join_force")
async def join_force(call: Call, address: str, user: str, password: str) -> None:
    await _join(call, address, user, password, force=True)


async def _join(call: Call, address: str, user: str, password: str, *, force: bool) -> None:
    if call.db.get("host", call.db.master)["license_params"].get("restrict_pooling") == "true":
        raise ApiError("LICENCE_RESTRICTION")
    remote = await remote_login.connect(call.machine, address)
    await remote_login.log_in(remote, user, password)
    call.process.joining, call.process.met_joiner = True, False
    try:
        await _check(call, remote, force=force)
        await _meet(call, remote)
        await remote_login.log_in(remote, user, password)
        await _enter(call, remote, address)
    finally:
        call.process.joining = False


async def _check(call: Call, remote: Process, *, force: bool) -> None:
    timings = call.machine.profile.timings
    await call.clock.sleep(timings.checks / 3)
    remote_db = _database(remote)
    join_checks.run(
        join_checks.Join(
            joiner=Side(call.db, call.machine.address),
            pool=Side(remote_db, remote.machine.address),
            force=force,
            known_editions=call.machine.profile.editions,
            licence_daemon=call.machine.hardware.licence_daemon,
            level=call.level,
        )
    )
    await call.clock.sleep(timings.checks * 2 / 3)


def _database(remote: Process) -> Database:
    if remote.gone.is_set() or remote.db is None:
        raise ApiError("JOINING_HOST_CONNECTION_FAILED")
    return remote.db


async def _meet(call: Call, remote: Process) -> None:
    """Step 4: from now on both sides trust each other, so the second login is a verified one.

    Raises POOL_JOINING_MASTER_CERTIFICATE_NOT_IN_POOL_BUNDLE, which pool.certificate_sync cures.
    """
    machine, clock, timings = call.machine, call.clock, call.machine.profile.timings
    db = _database(remote)
    _assert_settled(call.process, remote, db)
    async with pool_operation(db, clock, "exchange_certificates_on_join"):
        await clock.sleep(timings.exchange / 3)
        _assert_master_is_trusted(call, remote)
        exchange_certificates(machine, db)


def _assert_master_is_trusted(call: Call, remote: Process) -> None:
    """Is the master's own certificate among those that it hands out?"""
    disk = remote.machine.disk
    if call.level.since(*NAMES_MISSING_CERTIFICATE) and disk.certificate_id not in disk.trusted:
        raise ApiError("POOL_JOINING_MASTER_CERTIFICATE_NOT_IN_POOL_BUNDLE", disk.uuid)


async def _enter(call: Call, remote: Process, address: str) -> None:
    """Steps 6 to 10: more certificates, records, storage, role."""
    machine, clock, timings = call.machine, call.clock, call.machine.profile.timings
    db = _database(remote)
    await clock.sleep(timings.exchange / 3)
    async with pool_operation(db, clock, "exchange_ca_certificates_on_join"):
        await clock.sleep(timings.exchange / 3)
    _assert_settled(call.process, remote, db)
    machine.disk.backup = _database(remote).clone()
    local = call.db
    if machine.name not in machine.site.faults.no_record:
        join_import.import_host(local, _database(remote), machine)
        administrator.pool_grew(machine.site, _database(remote))
    if machine.name in machine.site.faults.join_fails:
        raise internal('Unix.Unix_error(Unix.ENOSPC, "write", "")')
    await clock.sleep(timings.import_objects)
    for pbd, _ in local.find("PBD", host=local.master):
        local.set("PBD", pbd, currently_attached=False)
    if address != address.strip():
        raise ocaml_failure(f"Couldn't resolve hostname: {address}")
    machine.disk.master_address = remote.machine.address
    lifecycle.light_fuse(machine, timings.fuse)


def _assert_settled(own: Process, remote: Process, db: Database) -> None:
    """Two hosts that join each other both fail (observed)."""
    if remote.joining:
        remote.met_joiner = True
    if remote.joining or own.met_joiner:
        raise ApiError("HOST_OFFLINE", db.master)


def exchange_certificates(machine: Machine, db: Database) -> None:
    """Members that do not answer now never learn the newcomer's certificate (observed)."""
    bundle = {machine.disk.certificate_id}
    for _, member in machine.site.members(db):
        bundle.add(member.disk.certificate_id)
        if machine.site.up(db, member):
            member.disk.trusted |= {machine.disk.certificate_id, member.disk.certificate_id}
    machine.disk.trusted |= bundle
