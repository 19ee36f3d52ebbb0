"""pool.join, called on the joining host (xapi_pool.ml join_common)."""

from __future__ import annotations

from nova_aggregates.simulator import (
    administrator,
    join_checks,
    join_import,
    lifecycle,
    sessions,
)
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError, ProcessGone, internal, ocaml_failure
from nova_aggregates.simulator.join_checks import Side
from nova_aggregates.simulator.machine import Machine, Phase, Power, Process
from nova_aggregates.simulator.pool_operations import pool_operation

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# In the networks simulated here the last address is a router: a machine without a XenAPI server.
ROUTER = ".254"


@api("pool.join")
async def join(call: Call, address: str, user: str, password: str) -> None:
    await _join(call, address, user, password, force=False)


@api("pool.join_force")
async def join_force(call: Call, address: str, user: str, password: str) -> None:
    await _join(call, address, user, password, force=True)


async def _join(call: Call, address: str, user: str, password: str, *, force: bool) -> None:
    if call.db.get("host", call.db.master)["license_params"].get("restrict_pooling") == "true":
        raise ApiError("LICENCE_RESTRICTION")
    remote = await connect(call.machine, address)
    await log_in(remote, user, password)
    call.process.joining, call.process.met_joiner = True, False
    try:
        await _check_and_enter(call, remote, address, force=force)
    finally:
        call.process.joining = False


async def _check_and_enter(call: Call, remote: Process, address: str, *, force: bool) -> None:
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
    await _enter(call, remote, address)


def _database(remote: Process) -> Database:
    if remote.gone.is_set() or remote.db is None:
        raise ApiError("JOINING_HOST_CONNECTION_FAILED")
    return remote.db


async def _enter(call: Call, remote: Process, address: str) -> None:
    """Steps 4 to 10: certificates, records, storage, role."""
    machine, clock, timings = call.machine, call.clock, call.machine.profile.timings
    db = _database(remote)
    _assert_settled(call.process, remote, db)
    async with pool_operation(db, clock, "exchange_certificates_on_join"):
        await clock.sleep(timings.exchange / 3)
        exchange_certificates(machine, db)
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


async def connect(machine: Machine, address: str) -> Process:
    """The toolstack behind the address, or the error that pool.join reports (observed)."""
    target = address.strip()
    timings = machine.profile.timings
    if not target or "/" in target or ":" in target:
        raise ApiError("JOINING_HOST_CONNECTION_FAILED")
    if target in LOOPBACK and machine.site.by_address(target) is None:
        remote: Machine | None = machine
    else:
        remote = machine.site.resolve(target)
    if remote is None:
        if not _is_address(target):
            await machine.clock.sleep(timings.unresolvable)
            raise ApiError("JOINING_HOST_CONNECTION_FAILED")
        if target.endswith(ROUTER):
            raise internal("Connection failed: connection refused.")
    if remote is None or remote.power is Power.OFF or not remote.plugged:
        await machine.clock.sleep(timings.no_route)
        raise internal("Connection failed: no route to host.")
    await remote.thawed.wait()
    if remote.process is None:
        raise internal("Connection failed: connection refused.")
    return remote.process


def _is_address(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts)


async def log_in(remote: Process, user: str, password: str) -> None:
    """The remote role counts before the password; its emergency error comes through as it is."""
    if remote.phase is Phase.EMERGENCY and remote.emergency is not None:
        raise remote.emergency
    if not remote.is_master:
        raise ApiError("HOST_IS_SLAVE", remote.master_address or "")
    await sessions.check_password(remote.machine, user, password)
    if remote.gone.is_set():
        raise ProcessGone(remote.machine.address)


def exchange_certificates(machine: Machine, db: Database) -> None:
    """Members that do not answer now never learn the newcomer's certificate (observed)."""
    bundle = {machine.disk.certificate_id}
    for _, member in machine.site.members(db):
        bundle.add(member.disk.certificate_id)
        if machine.site.up(db, member):
            member.disk.trusted |= {machine.disk.certificate_id, member.disk.certificate_id}
    machine.disk.trusted |= bundle
