"""Emptying a host: the plan, what speaks against it, and the moves (xapi_host.ml)."""

from __future__ import annotations

import asyncio

from nova_aggregates.simulator import (
    binpack,
    ha,
    host_operations,
    hosts,
    migration,
    placement,
    vm_lifecycle,
)
from nova_aggregates.simulator.calls import Call, api, create_task
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.site import Site

DEFAULT_BATCH = 10
Plan = dict[str, ApiError | str]  # guest -> destination, or what keeps it


def plan(site: Site, db: Database, host: str, *, ignore_ha: bool = False) -> Plan:
    """compute_evacuation_plan_no_wlb.

    A guest must be able to run on *every* other enabled host, memory apart. Then they are packed;
    what does not fit, and what the guest itself does not allow, overrides what was found before.
    The order of the answer is that of a hash table there: nobody should rely on it.
    """
    present = placement.residents(db, host)
    targets = _targets(db, host)
    if not targets:
        found: Plan = {vm: ApiError("NO_HOSTS_AVAILABLE", vm) for vm in present}
    else:
        watched = bool(db.pool_record["ha_enabled"]) and not ignore_ha
        found = _plan_for(site, db, present, targets, ha_enabled=watched)
    return {vm: found[vm] for vm in [*present[1:], *present[:1]]}


def _targets(db: Database, host: str) -> list[str]:
    oldest = placement.version(db, host)
    enabled = [h for h, r in db.find("host") if h != host and r["enabled"]]
    return [h for h in enabled if placement.version(db, h) >= oldest]


def _plan_for(
    site: Site, db: Database, present: list[str], targets: list[str], *, ha_enabled: bool
) -> Plan:
    found: Plan = {}
    movable = []
    for vm in present:
        if ha_enabled and not ha.protected(db.get("VM", vm)):
            found[vm] = ApiError("HOST_EVACUATE_VM_NOT_HA_PROTECTED", vm)
            continue
        error = _misfit(site, db, vm, targets)
        if error is None:
            movable.append(vm)
        else:
            found[vm] = error
    for vm in present:
        impediment = vm_lifecycle.operation_error(db, vm, "pool_migrate")
        if impediment is not None:
            found[vm] = impediment
    room = {h: placement.free_memory(site, db, h) for h in targets}
    packed = binpack.pack({vm: placement.needed(db.get("VM", vm)) for vm in movable}, room)
    for vm in movable:
        if vm not in packed:
            found[vm] = ApiError("HOST_NOT_ENOUGH_FREE_MEMORY", vm)
        elif vm not in found:
            found[vm] = packed[vm]
    return found


def _misfit(site: Site, db: Database, vm: str, targets: list[str]) -> ApiError | None:
    try:
        for target in targets:
            placement.assert_can_boot_here(site, db, vm, target, memory=False)
    except ApiError as error:
        return error
    return None


def blockers(site: Site, db: Database, host: str) -> dict[str, list[str]]:
    """Guest -> why it cannot leave the host."""
    chosen = reversed(plan(site, db, host).items())
    return {v: e.description for v, e in chosen if isinstance(e, ApiError)}


@api("host.get_vms_which_prevent_evacuation")
def preventing(call: Call, host: str) -> dict[str, list[str]]:
    return blockers(call.machine.site, call.db, host)


@api("host.assert_can_evacuate")
def assert_can_evacuate(call: Call, host: str) -> None:
    problems = blockers(call.machine.site, call.db, host)
    if problems:
        raise ApiError("CANNOT_EVACUATE_HOST", "|".join(",".join(p) for p in problems.values()))


@api("host.evacuate")
async def evacuate(call: Call, host: str, network: str, batch: int) -> None:
    """Does not disable the host. A guest that cannot move keeps all of them here."""
    site, db, task = call.machine.site, call.db, call.task_ref()
    db.get("host", host)
    ha.assert_disable_keeps_plan(site, db, host)
    await hosts.wait_for_others(call, host, "evacuate")
    host_operations.begin(db, host, "evacuate", task)
    try:
        await _wait_for_stuck_moves(call, host)
        chosen = plan(site, db, host)
        for problem in chosen.values():
            if isinstance(problem, ApiError):
                raise problem
        moves = {v: t for v, t in chosen.items() if isinstance(t, str)}
        for target in set(moves.values()) if network != NULL_REF else ():
            _assert_network(db, target, network)
        await _run_moves(call, moves, batch if batch > 0 else DEFAULT_BATCH)
        left = placement.residents(db, host)
        if left:
            text = f"evacuate: {len(left)} VMs are still resident on {host}"
            raise ApiError("INTERNAL_ERROR", text)
    finally:
        host_operations.end(db, host, task)


async def _wait_for_stuck_moves(call: Call, host: str) -> None:
    """While a guest is being fetched from a silent host, other evacuations wait (observed)."""
    site, db = call.machine.site, call.db
    while True:
        stuck = [
            vm
            for ref, member in site.members(db)
            if ref != host and not member.answers
            for vm in placement.residents(db, ref)
            if "pool_migrate" in db.get("VM", vm)["current_operations"].values()
        ]
        if not stuck:
            return
        await call.clock.sleep(1.0)


def _assert_network(db: Database, host: str, network: str) -> None:
    for _, pif in db.find("PIF", host=host, network=network):
        if pif["currently_attached"] and pif["ip_configuration_mode"] != "None":
            return
    raise ApiError("PIF_NOT_PRESENT", host, network)


async def _run_moves(call: Call, moves: dict[str, str], batch: int) -> None:
    """At most ``batch`` moves at once, each a task of its own; the first failure is the call's.

    The moves that have begun by then go on.
    """
    pending = dict(moves)
    running: set[asyncio.Task[None]] = set()
    done = 0
    while pending or running:
        while pending and len(running) < batch:
            vm, target = pending.popitem()
            running.add(call.process.spawn(_one_move(call, vm, target)))
        finished, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        done += len(finished)
        if call.task is not None and call.db.peek("task", call.task) is not None:
            call.db.set("task", call.task, progress=done / len(moves))
        for move_task in finished:
            error = move_task.exception()
            if isinstance(error, ApiError) and error.code == "VM_BAD_POWER_STATE":
                continue  # it stopped meanwhile, which is as good
            if error is not None:
                raise error


async def _one_move(call: Call, vm: str, target: str) -> None:
    db = call.db
    ref = create_task(db, call.clock, "Async.VM.pool_migrate", call.host_ref)
    inner = Call(call.process, call.method, call.session_ref, call.session, task=ref)
    inner.shown_name = "Async.VM.pool_migrate"
    try:
        await migration.pool_migrate(inner, vm, target, {"live": "true"})
    finally:
        if db.peek("task", ref) is not None:
            db.delete("task", ref)
