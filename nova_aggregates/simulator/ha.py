"""Would the protected guests survive failures of hosts? (xapi_ha_vm_failover.ml, agility.ml)"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from nova_aggregates.simulator import agility, binpack, placement
from nova_aggregates.simulator.binpack import Configuration
from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.site import Site

RESTART = "restart"  # the one ha_restart_priority that protects a guest


class Status(enum.Enum):
    """What a plan for so many failures covers."""

    ALL = "every protected guest"
    AGILE = "all but the guests that are bound to a host"
    NONE = "not even the guests that could run anywhere"


@dataclass(frozen=True)
class Change:
    """A thought experiment."""

    disabled: str = ""  # a host
    arriving: tuple[str, str] | None = None  # guest and host
    protect: str = ""  # one more guest
    failures: int | None = None


NO_CHANGE = Change()


def protected(vm: Record) -> bool:
    """Does HA start the guest again when its host fails? (helpers.ml vm_should_always_run)"""
    return bool(vm["ha_always_run"]) and vm["ha_restart_priority"] == RESTART


def protected_guests(db: Database) -> list[str]:
    return [ref for ref, vm in db.find("VM") if protected(vm)]


def live_hosts(db: Database, change: Change = NO_CHANGE) -> list[str]:
    """Enabled, alive and not to be disabled in thought; in a fixed order."""
    found = []
    for host, record in db.find("host"):
        metrics = db.peek("host_metrics", record["metrics"])
        if record["enabled"] and metrics is not None and metrics["live"]:
            found.append(host)
    return sorted((h for h in found if h != change.disabled), key=lambda h: _uuid(db, "host", h))


def _uuid(db: Database, cls: str, ref: str) -> str:
    return str(db.get(cls, ref)["uuid"])


def most(vm: Record) -> int:
    """Bytes that a guest takes if it is not ballooned at all: what plans reckon with."""
    return int(vm["memory_static_max"]) + int(vm["memory_overhead"] or 0)


def status(site: Site, db: Database, failures: int, change: Change = NO_CHANGE) -> Status:
    """Is there a plan for that many failures?"""
    if change.failures is not None:
        failures = change.failures
    wanted = protected_guests(db)
    if change.protect and change.protect not in wanted:
        wanted.append(change.protect)
    wanted.sort(key=lambda v: _uuid(db, "VM", v))
    alive = live_hosts(db, change)
    room = {h: _room(site, db, h, change) for h in alive}
    where = {vm: _accounted(db, vm, alive, change) for vm in wanted}
    agile = [vm for vm in wanted if agility.is_agile(db, vm)]
    if not _seat_bound(site, db, [vm for vm in wanted if vm not in agile], where, room):
        return Status.NONE
    sizes = {vm: most(db.get("VM", vm)) for vm in agile}
    offline = {vm: sizes[vm] for vm in agile if not where[vm]}
    restarted = binpack.pack(offline, room)
    if len(restarted) < len(offline):
        return Status.NONE
    for vm, host in restarted.items():
        room[host] -= sizes[vm]
    placed = {vm: where[vm] or restarted[vm] for vm in agile}
    config = Configuration(room, sizes, placed, len(db.tables["host"]), failures)
    if not binpack.plan_always_possible(config):
        return Status.NONE
    return Status.ALL if len(agile) == len(wanted) else Status.AGILE


def _room(site: Site, db: Database, host: str, change: Change) -> int:
    present = [db.get("VM", v) for v in placement.residents(db, host)]
    machine = site.by_uuid(_uuid(db, "host", host))
    total = machine.memory_free if machine is not None else site.profile.memory_free
    coming = 0
    if change.arriving is not None and change.arriving[1] == host:
        coming = most(db.get("VM", change.arriving[0]))
    return max(0, total - sum(map(most, present))) - coming


def _accounted(db: Database, vm: str, alive: list[str], change: Change) -> str:
    """The live host whose memory the guest is counted in already, or nothing."""
    record = db.get("VM", vm)
    if change.arriving is not None and change.arriving[0] == vm:
        return change.arriving[1]
    for host in (record["resident_on"], record["scheduled_to_be_resident_on"]):
        if host in alive:
            return str(host)
    return ""


def _seat_bound(
    site: Site, db: Database, bound: list[str], where: dict[str, str], room: dict[str, int]
) -> bool:
    """Guests that only some hosts can run start on the first of these. Can all?"""
    for vm in bound:
        if where[vm]:
            continue
        host = next((h for h in room if _runs(site, db, vm, h)), None)
        if host is None:
            return False
        room[host] -= most(db.get("VM", vm))
    return True


def _runs(site: Site, db: Database, vm: str, host: str) -> bool:
    try:
        placement.assert_can_boot_here(site, db, vm, host, memory=False, cpu=False)
    except ApiError:
        return False
    return True


def most_failures(site: Site, db: Database) -> int:
    """So many hosts can fail and every protected guest is started again."""
    tolerated = 0
    for failures in range(len(db.tables["host"]) + 1):
        if status(site, db, failures) is not Status.ALL:
            break
        tolerated = failures
    return tolerated


def refresh_pool(site: Site, db: Database) -> None:
    """pool.ha_overcommitted and ha_plan_exists_for, as of now (update_pool_status)."""
    pool = db.pool_record
    if not pool["ha_enabled"]:
        return
    wanted = int(pool["ha_host_failures_to_tolerate"])
    enough = status(site, db, wanted) is Status.ALL
    planned = wanted if enough else min(wanted, most_failures(site, db))
    db.set("pool", db.pool, ha_overcommitted=not enough, ha_plan_exists_for=planned)


def assert_change_keeps_plan(site: Site, db: Database, change: Change) -> None:
    """Only a change that breaks a plan which exists is refused.

    Raises HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN.
    """
    pool = db.pool_record
    if not pool["ha_enabled"] or pool["ha_allow_overcommit"]:
        return
    failures = int(pool["ha_plan_exists_for"])
    if status(site, db, failures) is not Status.ALL:
        return
    if status(site, db, failures, change) is not Status.ALL:
        raise ApiError("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN")


def assert_disable_keeps_plan(site: Site, db: Database, host: str) -> None:
    assert_change_keeps_plan(site, db, Change(disabled=host))


def assert_placement_keeps_plan(site: Site, db: Database, vm: str, host: str) -> None:
    """Of a guest that starts at the host or comes there."""
    record = db.get("VM", vm)
    new = record["ha_restart_priority"] == RESTART and not record["ha_always_run"]
    change = Change(protect=vm) if new else Change(arriving=(vm, host))
    assert_change_keeps_plan(site, db, change)
