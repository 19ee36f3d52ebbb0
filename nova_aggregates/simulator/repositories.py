"""Repositories of updates, and host.apply_updates with its guidances (repository.ml)."""

from __future__ import annotations

from nova_aggregates.simulator import (
    evacuation,
    guidances,
    host_operations,
    hosts,
    placement,
    updates,
)
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.pool_operations import pool_operation
from nova_aggregates.simulator.updates import CannotInstall, Update


@api("pool.sync_updates")
async def sync_updates(
    call: Call, pool: str, force: bool, token: str, token_id: str, user: str, password: str
) -> str:
    """The hash that host.apply_updates wants."""
    del force, token, token_id, user, password
    db, site = call.db, call.machine.site
    db.get("pool", pool)
    async with pool_operation(db, call.clock, "sync_updates", task=call.task_ref()):
        for repository in db.pool_record["repositories"]:
            if db.get("Repository", repository)["origin"] == "bundle":
                raise ApiError("CAN_NOT_SYNC_UPDATES")
        await call.clock.sleep(call.machine.profile.timings.sync_updates)
        _repository(db)
        found = updates.checksum(site.updates)
        for repository in db.pool_record["repositories"]:
            db.set("Repository", repository, hash=found, up_to_date=True)
        for host, member in site.members(db):
            state = "no" if updates.pending(member) else "yes"
            db.set("host", host, latest_synced_updates_applied=state)
        db.set("pool", db.pool, last_update_sync=call.clock.stamp())
    return found


def _repository(db: Database) -> str:
    """The one that updates come from (get_single_enabled_update_repository)."""
    enabled = db.pool_record["repositories"]
    found = [r for r in enabled if db.get("Repository", r)["update"]]
    if not found:
        raise ApiError("NO_REPOSITORY_ENABLED")
    if len(found) > 1:
        raise ApiError("MULTIPLE_UPDATE_REPOSITORIES_ENABLED")
    return str(found[0])


@api("pool.set_repositories")
async def set_repositories(call: Call, pool: str, value: list[str]) -> None:
    db = call.db
    async with pool_operation(db, call.clock, "configure_repositories", task=call.task_ref()):
        for repository in value:
            db.get("Repository", repository)
        db.set("pool", pool, repositories=value)


@api("pool.add_repository")
async def add_repository(call: Call, pool: str, value: str) -> None:
    known = call.db.get("pool", pool)["repositories"]
    if value not in known:
        await set_repositories(call, pool, [*known, value])


@api("Repository.introduce")
def introduce_repository(
    call: Call, label: str, description: str, binary: str, source: str, update: bool, key: str
) -> str:
    return call.db.create(
        "Repository",
        name_label=label,
        name_description=description,
        binary_url=binary,
        source_url=source,
        update=update,
        gpgkey_path=key,
    )


@api("Repository.forget")
def forget_repository(call: Call, repository: str) -> None:
    call.db.get("Repository", repository)
    if repository in call.db.pool_record["repositories"]:
        raise ApiError("REPOSITORY_IS_IN_USE")
    call.db.delete("Repository", repository)


@api("pool.check_update_readiness")
def check_update_readiness(call: Call, pool: str, reboot: bool) -> list[list[str]]:
    db, site = call.db, call.machine.site
    found = [["HA_IS_ENABLED"]] if db.get("pool", pool)["ha_enabled"] else []
    for host, record in db.find("host"):
        metrics = db.peek("host_metrics", record["metrics"])
        if metrics is None or not metrics["live"]:
            found.append(["HOST_OFFLINE", host])
        elif reboot:
            plan = evacuation.plan(site, db, host, ignore_ha=True)
            found += [e.description for e in plan.values() if isinstance(e, ApiError)]
    return found


@api("host.apply_updates")
async def apply_updates(call: Call, host: str, given: str) -> list[list[str]]:
    """Disables the host and leaves it so; the guidances say what is to be done then."""
    db, clock, task = call.db, call.clock, call.task_ref()
    db.get("host", host)
    async with pool_operation(db, clock, "apply_updates", task=task):
        if db.pool_record["ha_enabled"]:
            raise ApiError("HA_IS_ENABLED")
        if db.get("host", host)["enabled"]:
            await hosts.disable(call, host, True)
        await hosts.wait_for_others(call, host, "apply_updates")
        host_operations.begin(db, host, "apply_updates", task)
        try:
            await _apply(call, host, given)
        finally:
            host_operations.end(db, host, task)
    db.set(
        "host",
        host,
        last_update_hash=given,
        latest_synced_updates_applied="yes",
        last_software_update=clock.stamp(),
    )
    return []


async def _apply(call: Call, host: str, given: str) -> None:
    db, timings = call.db, call.machine.profile.timings
    if db.get("host", host)["pending_guidances"]:
        raise ApiError("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", host)
    if not given or given != db.get("Repository", _repository(db))["hash"]:
        raise ApiError("UPDATEINFO_HASH_MISMATCH")
    target = (await call.machine.site.contact(db, host)).machine
    found = updates.pending(target)
    _assert_empty_enough(db, host, found)
    await call.clock.sleep(timings.apply_updates if found else timings.checks)
    try:
        updates.install(target, found)
    except CannotInstall:
        raise ApiError("APPLY_UPDATES_FAILED", host) from None
    guidances.note(db, host, found)
    target.disk.last_update_hash = given


def _assert_empty_enough(db: Database, host: str, found: list[Update]) -> None:
    asked = {g for u in found for g in u.mandatory}
    if asked & {"reboot_host", guidances.EVACUATE} and placement.residents(db, host):
        raise ApiError("HOST_EVACUATION_IS_REQUIRED", host)
