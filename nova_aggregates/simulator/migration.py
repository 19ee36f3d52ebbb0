"""Moving guests between hosts: VM.pool_migrate, host.evacuate and its planning."""

from __future__ import annotations

import asyncio

from nova_aggregates.simulator import guests, host_operations, hosts, tasks
from nova_aggregates.simulator.calls import Call, api, create_task
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.values import new_ref

DEFAULT_BATCH = 10
TRANSFER_STEP = 0.25  # seconds after which the sharing is looked at again


@api("VM.pool_migrate")
async def pool_migrate(call: Call, vm: str, host: str, options: dict[str, str]) -> None:
    del options
    db = call.db
    db.get("VM", vm)
    db.get("host", host)
    await guests.wait_until_free(call, vm)
    guests.assert_state(db, vm, "Running")
    guests.assert_allowed(db, vm, "pool_migrate")
    assert_movable(db, vm)
    guests.assert_can_boot_here(call, vm, host)
    await move(call, vm, host, call.task_ref())


def assert_movable(db: Database, vm: str) -> None:
    """Blockers that are the guest's own (xapi_vm_lifecycle.ml)."""
    record = db.get("VM", vm)
    if record["attached_PCIs"]:
        raise ApiError("VM_HAS_PCI_ATTACHED", vm)
    if record["VGPUs"]:
        raise ApiError("VM_HAS_VGPU", vm)
    if record["VUSBs"]:
        raise ApiError("VM_HAS_VUSBS", vm)
    metrics = db.peek("VM_metrics", record["metrics"])
    if metrics is not None and metrics["nomigrate"]:
        raise ApiError("VM_IS_IMMOBILE", vm)


async def move(call: Call, vm: str, host: str, task: str) -> None:
    """The move itself, with its marks on the guest and on the destination."""
    db, profile = call.db, call.machine.profile
    guests.begin(db, vm, "pool_migrate", task)
    host_operations.begin(db, host, "vm_migrate", task)
    source = db.get("VM", vm)["resident_on"]
    db.set("VM", vm, scheduled_to_be_resident_on=host)
    try:
        await call.machine.site.contact(db, source)
        await call.clock.sleep(profile.guests.migrate_setup)
        await _transfer(call, vm, source)
        if db.get("VM", vm)["power_state"] != "Running":
            guests.assert_state(db, vm, "Running")
        completing = _complete_task(call, host)
        guests.settle(db, vm, host)
        await call.clock.sleep(profile.guests.migrate_setup / 2)
        if db.peek("task", completing) is not None:
            db.delete("task", completing)
    finally:
        if db.peek("VM", vm) is not None:
            db.set("VM", vm, scheduled_to_be_resident_on=NULL_REF)
        guests.end(db, vm, task)
        host_operations.end(db, host, task)


def _complete_task(call: Call, host: str) -> str:
    """The second half of a move is a call of its own, with a task of its own (observed)."""
    return create_task(call.db, call.clock, "VM.pool_migrate_complete", host)


async def _transfer(call: Call, vm: str, source: str) -> None:
    """Memory over the wire; moves from one host at the same time share its bandwidth.

    Raises TASK_CANCELLED when somebody asked for that.
    """
    db, left = call.db, float(guests.needed(call.db.get("VM", vm)))
    while left > 0:
        rate = call.machine.profile.guests.bandwidth / max(1, _leaving(db, source))
        pause = min(TRANSFER_STEP, left / rate)
        await call.clock.sleep(pause)
        left = left - rate * pause if pause == TRANSFER_STEP else 0.0
        if tasks.cancelled(db, call.task):
            raise ApiError("TASK_CANCELLED", call.task or NULL_REF)


def _leaving(db: Database, host: str) -> int:
    """How many guests are being moved away from the host."""
    if db.peek("host", host) is None:
        return 0
    present = (db.get("VM", vm) for vm in guests.residents(db, host))
    return sum("pool_migrate" in vm["current_operations"].values() for vm in present)


def plan(call: Call, host: str) -> dict[str, ApiError | str]:
    """For every guest of the host a destination or what keeps it here (compute_evacuation_plan).

    A guest must be able to run on every other enabled host, memory apart; then they are packed.
    The order is that of a hash table there: nobody should rely on it.
    """
    db = call.db
    targets = [h for h, r in db.find("host") if h != host and r["enabled"]]
    free = {h: guests.free_memory(call, h) for h in targets}
    present = guests.residents(db, host)
    order = sorted(present, key=lambda v: -guests.needed(db.get("VM", v)))
    found = {vm: _destination(call, vm, targets, free) for vm in order}
    return {vm: found[vm] for vm in [*present[1:], *present[:1]]}


def _destination(call: Call, vm: str, targets: list[str], free: dict[str, int]) -> ApiError | str:
    db = call.db
    try:
        guests.assert_allowed(db, vm, "pool_migrate")
        guests.assert_state(db, vm, "Running")
        assert_movable(db, vm)
        if not targets:
            return ApiError("NO_HOSTS_AVAILABLE", vm)
        if db.pool_record["ha_enabled"] and not db.get("VM", vm)["ha_restart_priority"]:
            return ApiError("HOST_EVACUATE_VM_NOT_HA_PROTECTED", vm)
        for target in targets:
            guests.assert_can_boot_here(call, vm, target, memory=False)
    except ApiError as error:
        return error
    best = max(targets, key=lambda h: free[h])
    size = guests.needed(db.get("VM", vm))
    if size > free[best]:
        return ApiError("HOST_NOT_ENOUGH_FREE_MEMORY", vm)
    free[best] -= size
    return best


@api("host.get_vms_which_prevent_evacuation")
def preventing(call: Call, host: str) -> dict[str, list[str]]:
    return blockers(call, host)


def blockers(call: Call, host: str) -> dict[str, list[str]]:
    """Guest -> why it cannot leave the host."""
    call.db.get("host", host)
    chosen = reversed(plan(call, host).items())
    return {v: e.description for v, e in chosen if isinstance(e, ApiError)}


@api("host.assert_can_evacuate")
def assert_can_evacuate(call: Call, host: str) -> None:
    problems = blockers(call, host)
    if problems:
        raise ApiError("CANNOT_EVACUATE_HOST", "|".join(",".join(p) for p in problems.values()))


@api("host.evacuate")
async def evacuate(call: Call, host: str, network: str, batch: int) -> None:
    """Does not disable the host. A guest that cannot move keeps all of them here."""
    db, task = call.db, call.task_ref()
    db.get("host", host)
    await hosts.wait_for_others(call, host, "evacuate")
    host_operations.begin(db, host, "evacuate", task)
    try:
        await _wait_for_stuck_moves(call, host)
        chosen = plan(call, host)
        for problem in chosen.values():
            if isinstance(problem, ApiError):
                raise problem
        moves = {v: t for v, t in chosen.items() if isinstance(t, str)}
        for target in set(moves.values()) if network != NULL_REF else ():
            _assert_network(db, target, network)
        await _run_moves(call, moves, batch if batch > 0 else DEFAULT_BATCH)
        left = guests.residents(db, host)
        if left:
            name = db.get("host", host)["uuid"]
            text = f"evacuate: {len(left)} VMs are still resident on {name}"
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
            for vm in guests.residents(db, ref)
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
    """At most ``batch`` moves at once, each a task of its own; the first failure is the call's."""
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
        guests.assert_can_boot_here(inner, vm, target)
        await move(inner, vm, target, ref)
    finally:
        if db.peek("task", ref) is not None:
            db.delete("task", ref)


@api("host.migrate_receive")
def migrate_receive(call: Call, host: str, network: str, options: dict[str, str]) -> dict[str, str]:
    """The destination description that VM.migrate_send and its check take."""
    del options
    record = call.db.get("host", host)
    url = f"https://{record['address']}/"
    return {
        "SM": f"{url}services/SM?session_id={call.session_ref}",
        "xenops": f"{url}services/xenops?session_id={call.session_ref}",
        "host": host,
        "network": network,
        "session_id": call.session_ref,
        "master": url,
        "migration": new_ref(),
    }
