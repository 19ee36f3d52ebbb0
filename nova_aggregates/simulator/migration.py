"""Moving guests between hosts: VM.pool_migrate."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from nova_aggregates.simulator import (
    guests,
    ha,
    host_operations,
    placement,
    tasks,
    vm_lifecycle,
)
from nova_aggregates.simulator.calls import Call, api, create_task
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF, ApiError, ProcessGone
from nova_aggregates.simulator.machine import Machine

MOVES = ("pool_migrate", "migrate_send")
TRANSFER_STEP = 0.25  # seconds after which the sharing is looked at again


@api("VM.pool_migrate")
async def pool_migrate(call: Call, vm: str, host: str, options: dict[str, str]) -> None:
    db = call.db
    db.get("VM", vm)
    db.get("host", host)
    force = options.get("force") == "true"
    if not force:
        placement.assert_cpu(db, vm, host)
    await vm_lifecycle.wait_until_allowed(call, vm, "pool_migrate", strict=not force)
    _assert_not_older(db, db.get("VM", vm)["resident_on"], host)
    await move(call, vm, host, call.task_ref(), force=force)


def _assert_not_older(db: Database, source: str, target: str) -> None:
    """While hosts are upgraded one by one, guests go to newer ones only."""
    older = placement.version(db, target) < placement.version(db, source)
    if placement.upgrading(db) and older:
        raise ApiError("NOT_SUPPORTED_DURING_UPGRADE")


async def move(call: Call, vm: str, host: str, task: str, *, force: bool = False) -> None:
    """The move itself, with its marks on the guest and on the destination."""
    db, site = call.db, call.machine.site
    source = db.get("VM", vm)["resident_on"]
    placement.assert_can_boot_here(site, db, vm, host, cpu=False)
    ha.assert_placement_keeps_plan(site, db, vm, host)
    async with _marked(db, vm, host, task, force=force):
        try:
            await _carry(call, vm, source, host)
        except (ApiError, ProcessGone) as error:
            why = error.code if isinstance(error, ApiError) else "ProcessGone"
            record = db.peek("VM", vm)
            if record is not None:
                names = site.host_name(db, source), site.host_name(db, host)
                site.history.move("move-failed", record, *names, why)
            raise


@contextlib.asynccontextmanager
async def _marked(
    db: Database, vm: str, host: str, task: str, *, force: bool
) -> AsyncIterator[None]:
    vm_lifecycle.begin(db, vm, "pool_migrate", task, strict=not force)
    try:
        host_operations.begin(db, host, "vm_migrate", task)
    except ApiError:
        vm_lifecycle.end(db, vm, task)
        raise
    db.set("VM", vm, scheduled_to_be_resident_on=host)
    try:
        yield
    finally:
        if db.peek("VM", vm) is not None:
            db.set("VM", vm, scheduled_to_be_resident_on=NULL_REF)
        vm_lifecycle.end(db, vm, task)
        host_operations.end(db, host, task)


async def _carry(call: Call, vm: str, source: str, host: str) -> None:
    """At most so many moves leave one host at the same time."""
    db, site = call.db, call.machine.site
    profile, names = call.machine.profile, (site.host_name(db, source), site.host_name(db, host))
    await site.contact(db, source)
    machine = site.by_uuid(db.get("host", source)["uuid"])
    async with machine.movers if machine is not None else contextlib.nullcontext():
        site.history.move("move-began", db.get("VM", vm), *names)
        await call.clock.sleep(profile.guests.migrate_setup)
        if source != host:
            size = placement.needed(db.get("VM", vm))
            target = site.by_uuid(db.get("host", host)["uuid"])
            await transfer(call, vm, source, host, target, size)
        assert_still_running(db, vm)
        completing = create_task(db, call.clock, "VM.pool_migrate_complete", host)
        guests.settle(db, vm, host)
        site.history.move("moved", db.get("VM", vm), *names)
        await call.clock.sleep(profile.guests.migrate_setup / 2)
        if db.peek("task", completing) is not None:
            db.delete("task", completing)


def assert_still_running(db: Database, vm: str) -> None:
    """A guest that stopped on the way is not moved. Raises VM_BAD_POWER_STATE."""
    actual = db.get("VM", vm)["power_state"]
    if actual != "Running":
        raise ApiError("VM_BAD_POWER_STATE", vm, "running", actual.lower())


async def transfer(
    call: Call, vm: str, source: str, host: str, target: Machine | None, size: float
) -> None:
    """So many bytes over the wire; moves from one host at the same time share its bandwidth.

    Raises TASK_CANCELLED when somebody asked for that, VM_MIGRATE_FAILED when the destination
    is lost, CANNOT_CONTACT_HOST when the source is, and what a test injected for the guest.
    """
    site, db = call.machine.site, call.db
    left = size
    while left > 0:
        rate = call.machine.profile.guests.bandwidth / max(1, _leaving(db, source))
        pause = min(TRANSFER_STEP, left / rate)
        await call.clock.sleep(pause)
        left = left - rate * pause if pause == TRANSFER_STEP else 0.0
        if tasks.cancelled(db, call.task):
            raise ApiError("TASK_CANCELLED", call.task or NULL_REF)
        if left <= size / 2:
            site.faults.fail_move(db.get("VM", vm)["name_label"])
        if target is not None and not target.answers:
            text = "The destination host cannot be reached"
            raise ApiError("VM_MIGRATE_FAILED", vm, source, host, text)
        await site.contact(db, source)


def _leaving(db: Database, host: str) -> int:
    """How many guests are being moved away from the host."""
    if db.peek("host", host) is None:
        return 0
    present = (db.get("VM", vm) for vm in placement.residents(db, host))
    moves = ({*MOVES} & {*vm["current_operations"].values()} for vm in present)
    return sum(map(bool, moves))
