"""High availability: on, off, who is protected, and what happens when a host fails."""

from __future__ import annotations

from nova_aggregates.simulator import guests, ha, lifecycle, placement
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.dispatch import call_internally
from nova_aggregates.simulator.errors import ApiError, ProcessGone
from nova_aggregates.simulator.machine import Process
from nova_aggregates.simulator.pool_operations import pool_operation, refresh_allowed

PRIORITIES = ("restart", "best-effort", "")


@api("pool.enable_ha")
async def enable_ha(call: Call, srs: list[str], configuration: dict[str, str]) -> None:
    """Needs every host alive and a shared SR that all have attached (xapi_ha.ml enable)."""
    db = call.db
    async with pool_operation(db, call.clock, "ha_enable", task=call.task_ref()):
        if (
            len({db.get("host", h)["software_version"].get("platform_version") for h in _all(db)})
            > 1
        ):
            raise ApiError("NOT_SUPPORTED_DURING_UPGRADE")
        if db.pool_record["ha_enabled"]:
            raise ApiError("HA_IS_ENABLED")
        if db.get("host", db.master)["license_params"].get("enable_xha") == "false":
            raise ApiError("LICENCE_RESTRICTION", "XHA")
        _assert_ready(db)
        statefile = _statefile(db, srs)
        await call.clock.sleep(call.machine.profile.timings.fuse)
    switch_on(call.process, configuration, statefile)


def switch_on(process: Process, configuration: dict[str, str], statefile: str = "") -> None:
    """On from now on; without a statefile in the first repository that can have one.

    Raises ApiError CANNOT_CREATE_STATE_FILE.
    """
    site, db = process.machine.site, process.db
    if db is None:
        return
    disk = statefile or _statefile(db, [])
    db.set("pool", db.pool, ha_enabled=True, ha_configuration=configuration)
    db.set("pool", db.pool, ha_statefiles=[disk], ha_plan_exists_for=0)
    for host in _all(db):
        db.set("host", host, ha_statefiles=[disk], ha_network_peers=_all(db))
    for vm, record in db.find("VM", power_state="Running", ha_restart_priority=ha.RESTART):
        del record
        db.set("VM", vm, ha_always_run=True)
    refresh_allowed(db)
    ha.refresh_pool(site, db)
    process.spawn(watch(process))


def _all(db: Database) -> list[str]:
    return list(db.tables["host"])


def _assert_ready(db: Database) -> None:
    unplugged = [p for p, _ in db.find("PIF", disallow_unplug=True, currently_attached=False)]
    if unplugged:
        raise ApiError("REQUIRED_PIF_IS_UNPLUGGED", *unplugged)
    for host in _all(db):
        metrics = db.peek("host_metrics", db.get("host", host)["metrics"])
        if metrics is None or not metrics["live"]:
            raise ApiError("HOST_OFFLINE", host)


def _statefile(db: Database, srs: list[str]) -> str:
    """The disk that the hosts watch each other through. Raises CANNOT_CREATE_STATE_FILE."""
    for sr in srs:
        _assert_attached_everywhere(db, sr)
    fit = srs or [sr for sr, record in db.find("SR", shared=True) if _fits(db, sr, record)]
    if not fit:
        raise ApiError("CANNOT_CREATE_STATE_FILE")
    known = db.first("VDI", SR=fit[0], type="ha_statefile")
    if known is not None:
        return known[0]
    size = 256 << 20
    return db.create(
        "VDI", name_label="Statefile for HA", SR=fit[0], type="ha_statefile", virtual_size=size
    )


def _fits(db: Database, sr: str, record: dict[str, object]) -> bool:
    try:
        _assert_attached_everywhere(db, sr)
    except ApiError:
        return False
    return record["content_type"] == "user"


def _assert_attached_everywhere(db: Database, sr: str) -> None:
    pbds = [db.get("PBD", p) for p in db.get("SR", sr)["PBDs"]]
    if {p["host"] for p in pbds if p["currently_attached"]} < set(_all(db)):
        raise ApiError("SR_NO_PBDS", sr)


@api("pool.disable_ha")
async def disable_ha(call: Call) -> None:
    db = call.db
    async with pool_operation(db, call.clock, "ha_disable", task=call.task_ref()):
        if not db.pool_record["ha_enabled"]:
            raise ApiError("HA_NOT_ENABLED")
        await call.clock.sleep(call.machine.profile.timings.eject)
        db.set("pool", db.pool, ha_enabled=False, ha_plan_exists_for=0, ha_overcommitted=False)
        for host in _all(db):
            db.set("host", host, ha_statefiles=[], ha_network_peers=[])
    refresh_allowed(db)


@api("VM.set_ha_restart_priority")
def set_restart_priority(call: Call, vm: str, value: str) -> None:
    """``restart`` protects a guest, at once when it runs."""
    db, site = call.db, call.machine.site
    if value not in PRIORITIES:
        raise ApiError("INVALID_VALUE", "ha_restart_priority", value)
    record = db.get("VM", vm)
    newly = value == ha.RESTART != record["ha_restart_priority"]
    if newly and record["power_state"] != "Halted":
        ha.assert_change_keeps_plan(site, db, ha.Change(protect=vm))
    db.set("VM", vm, ha_restart_priority=value)
    if record["power_state"] == "Running":
        db.set("VM", vm, ha_always_run=value == ha.RESTART)
    ha.refresh_pool(site, db)


@api("VM.set_ha_always_run")
def set_always_run(call: Call, vm: str, value: bool) -> None:
    set_restart_priority(call, vm, ha.RESTART if value else "")


@api("pool.set_ha_host_failures_to_tolerate")
def set_failures_to_tolerate(call: Call, pool: str, value: int) -> None:
    db, site = call.db, call.machine.site
    if value < 0:
        raise ApiError("INVALID_VALUE", "ha_host_failures_to_tolerate", str(value))
    if int(db.get("pool", pool)["ha_plan_exists_for"]) > 0:
        ha.assert_change_keeps_plan(site, db, ha.Change(failures=value))
    db.set("pool", pool, ha_host_failures_to_tolerate=value)
    ha.refresh_pool(site, db)


@api("pool.ha_failover_plan_exists")
def plan_exists(call: Call, failures: int) -> bool:
    return ha.status(call.machine.site, call.db, failures) is ha.Status.ALL


@api("pool.ha_compute_max_host_failures_to_tolerate")
def most_failures(call: Call) -> int:
    ha.refresh_pool(call.machine.site, call.db)
    return ha.most_failures(call.machine.site, call.db)


async def watch(process: Process) -> None:
    """A host that is not heard of is declared dead after a minute; its guests start elsewhere.

    The master itself is not watched: its failure takes the pool down, as without HA.
    """
    machine, timings = process.machine, process.machine.profile.timings
    silent: dict[str, float] = {}
    while process.db is not None and process.db.pool_record["ha_enabled"]:
        await machine.clock.sleep(timings.ha_pass)
        for host, member in list(machine.site.members(process.db)):
            if member.answers and member.thawed.is_set():
                silent.pop(host, None)
                continue
            since = silent.setdefault(host, machine.clock.now())
            if machine.clock.now() - since >= timings.ha_timeout:
                await _declare_dead(process, process.db, host)


async def _declare_dead(process: Process, db: Database, host: str) -> None:
    metrics = db.peek("host_metrics", db.get("host", host)["metrics"])
    if metrics is not None and metrics["live"]:
        lifecycle.set_live(db, host, live=False)
    lost = placement.residents(db, host)
    for vm in lost:
        guests.halt(process.machine.site, db, vm, why="host-lost")
    for vm in sorted(lost, key=lambda v: not ha.protected(db.get("VM", v))):
        if db.get("VM", vm)["ha_restart_priority"]:
            await _start_again(process, vm)
    ha.refresh_pool(process.machine.site, db)


async def _start_again(process: Process, vm: str) -> None:
    try:
        await call_internally(process, "VM.start", vm, False, True)
    except (ApiError, ProcessGone):
        return  # no room now: the next administrator decides
