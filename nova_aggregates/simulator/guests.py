"""Guests: their states, what they need of a host, starting and stopping."""

from __future__ import annotations

from typing import Any

from nova_aggregates.simulator import fields
from nova_aggregates.simulator.calls import Call, api, backoff
from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.values import new_uuid

HALTED = [
    "create_vtpm", "destroy", "metadata_export", "export", "make_into_template", "changing_NVRAM",
    "changing_shadow_memory", "changing_static_range", "changing_dynamic_range", "migrate_send",
    "start_on", "start", "copy", "clone", "snapshot",
]  # fmt: skip
RUNNING = [
    "changing_dynamic_range", "changing_VCPUs_live", "checkpoint", "clean_reboot",
    "clean_shutdown", "hard_reboot", "hard_shutdown", "metadata_export", "migrate_send", "pause",
    "pool_migrate", "snapshot", "suspend", "sysprep",
]  # fmt: skip
SUSPENDED = ["resume", "resume_on", "hard_shutdown", "metadata_export", "destroy"]
PAUSED = ["unpause", "hard_shutdown", "metadata_export"]
ALLOWED = {"Halted": HALTED, "Running": RUNNING, "Suspended": SUSPENDED, "Paused": PAUSED}
OVERHEAD_SHARE = 128  # one 128th of the memory for shadow pages, beside a fixed part


def residents(db: Database, host: str) -> list[str]:
    """Guests on the host, without its control domain."""
    found = db.get("host", host)["resident_VMs"]
    return [v for v in found if not db.get("VM", v)["is_control_domain"]]


def needed(vm: Record) -> int:
    """Bytes a guest takes on a host: its memory and what the hypervisor adds."""
    memory = int(vm["memory_static_max"])
    return memory + int(vm["memory_overhead"] or 0)


def overhead(memory: int) -> int:
    return (memory // OVERHEAD_SHARE) + (4 << 20)


def free_memory(call: Call, host: str) -> int:
    db = call.db
    total = call.machine.profile.memory_free
    used = sum(needed(db.get("VM", v)) for v in residents(db, host))
    coming = (
        needed(vm)
        for _, vm in db.find("VM", scheduled_to_be_resident_on=host)
        if vm["resident_on"] != host
    )
    return total - used - sum(coming)


def refresh(db: Database, vm: str) -> None:
    """allowed_operations follow the power state and what is going on."""
    record = db.get("VM", vm)
    if record["is_a_template"] or record["is_control_domain"]:
        return
    allowed = [] if record["current_operations"] else list(ALLOWED[record["power_state"]])
    blocked = record["blocked_operations"]
    db.set("VM", vm, allowed_operations=[o for o in allowed if o not in blocked])


def assert_state(db: Database, vm: str, *states: str) -> None:
    """Raises VM_BAD_POWER_STATE; the states in it are lower-case, several with commas."""
    actual = db.get("VM", vm)["power_state"]
    if actual not in states:
        expected = ", ".join(s.lower() for s in states)
        raise ApiError("VM_BAD_POWER_STATE", vm, expected, actual.lower())


def begin(db: Database, vm: str, operation: str, task: str) -> None:
    """Mark the operation. Raises OPERATION_BLOCKED or OTHER_OPERATION_IN_PROGRESS."""
    assert_allowed(db, vm, operation)
    record = db.get("VM", vm)
    db.set("VM", vm, current_operations={**record["current_operations"], task: operation})
    refresh(db, vm)


def assert_allowed(db: Database, vm: str, operation: str) -> None:
    record = db.get("VM", vm)
    blocked = record["blocked_operations"]
    if operation in blocked:
        raise ApiError("OPERATION_BLOCKED", vm, blocked[operation])
    for task, other in record["current_operations"].items():
        raise ApiError("OTHER_OPERATION_IN_PROGRESS", "VM", vm, other, task)


async def wait_until_free(call: Call, vm: str) -> None:
    """What another call does with the guest is waited for, up to two hours (helpers.ml retry)."""
    deadline = call.clock.now() + call.machine.profile.timings.lock_retry_limit
    pauses = backoff()
    while True:
        operations = call.db.get("VM", vm)["current_operations"]
        if not operations:
            return
        if call.clock.now() > deadline:
            task, other = next(iter(operations.items()))
            raise ApiError("OTHER_OPERATION_IN_PROGRESS", "VM", vm, other, task)
        await call.clock.sleep(next(pauses))


def end(db: Database, vm: str, task: str) -> None:
    record = db.peek("VM", vm)
    if record is not None:
        rest = {t: o for t, o in record["current_operations"].items() if t != task}
        db.set("VM", vm, current_operations=rest)
        refresh(db, vm)


def halt(db: Database, vm: str) -> None:
    db.set("VM", vm, power_state="Halted", resident_on=NULL_REF, domid=-1)
    db.set("VM", vm, scheduled_to_be_resident_on=NULL_REF, current_operations={})
    for vbd in db.get("VM", vm)["VBDs"]:
        db.set("VBD", vbd, currently_attached=False)
    refresh(db, vm)


def assert_live(db: Database, host: str) -> None:
    metrics = db.peek("host_metrics", db.get("host", host)["metrics"])
    if metrics is None or not metrics["live"]:
        raise ApiError("HOST_NOT_LIVE")


def assert_can_boot_here(call: Call, vm: str, host: str, *, memory: bool = True) -> None:
    """xapi_vm_helpers.ml assert_can_boot_here, in its order."""
    db = call.db
    record, target = db.get("VM", vm), db.get("host", host)
    assert_live(db, host)
    if not target["enabled"] and record["resident_on"] != host:
        raise ApiError("HOST_DISABLED", host)
    if "evacuate" in target["current_operations"].values() and record["resident_on"] != host:
        raise ApiError("HOST_EVACUATE_IN_PROGRESS", host)
    assert_hardware(db, vm, host)
    assert_storage(db, vm, host)
    assert_networks(db, vm, host)
    available = free_memory(call, host)
    if memory and record["resident_on"] != host and needed(record) > available:
        raise ApiError("HOST_NOT_ENOUGH_FREE_MEMORY", str(needed(record)), str(available))
    pcpus = int(target["cpu_info"].get("cpu_count", "1"))
    if int(record["VCPUs_max"]) > pcpus:
        raise ApiError("HOST_NOT_ENOUGH_PCPUS", str(record["VCPUs_max"]), str(pcpus))


def assert_hardware(db: Database, vm: str, host: str) -> None:
    wanted = int(db.get("VM", vm)["hardware_platform_version"])
    offered = [int(v) for v in db.get("host", host)["virtual_hardware_platform_versions"]]
    if wanted not in offered:
        raise ApiError(
            "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION",
            host,
            f"[{'; '.join(map(str, offered))}]",
            vm,
            str(wanted),
        )


def assert_storage(db: Database, vm: str, host: str) -> None:
    """Every disk's repository must be attached at the host."""
    attached = {p["SR"] for _, p in db.find("PBD", host=host, currently_attached=True)}
    for vbd in db.get("VM", vm)["VBDs"]:
        disk = db.get("VBD", vbd)
        vdi = db.peek("VDI", disk["VDI"])
        if vdi is not None and not disk["empty"] and vdi["SR"] not in attached:
            raise ApiError("VM_REQUIRES_SR", vm, vdi["SR"])


def assert_networks(db: Database, vm: str, host: str) -> None:
    for vif in db.get("VM", vm)["VIFs"]:
        network = db.get("VIF", vif)["network"]
        record = db.peek("network", network)
        if record is None or not record["PIFs"]:
            continue  # an internal network is everywhere
        here = [p for p in record["PIFs"] if db.get("PIF", p)["host"] == host]
        if not here:
            raise ApiError("VM_REQUIRES_NETWORK", vm, network)
        if not any(db.get("PIF", p)["currently_attached"] for p in here):
            raise ApiError("HOST_CANNOT_ATTACH_NETWORK", host, network)


def place(call: Call, vm: str) -> str:
    """The host for VM.start: where it can run, with most memory to spare.

    Raises NO_HOSTS_AVAILABLE.
    """
    candidates = []
    for host in call.db.tables["host"]:
        try:
            assert_can_boot_here(call, vm, host)
        except ApiError:
            continue
        candidates.append(host)
    if not candidates:
        raise ApiError("NO_HOSTS_AVAILABLE")
    affinity = call.db.get("VM", vm)["affinity"]
    if affinity in candidates:
        return str(affinity)
    return max(candidates, key=lambda h: free_memory(call, h))


@api("VM.create")
def create(call: Call, given: dict[str, Any]) -> str:
    """A halted guest; state that only the toolstack may set is not taken from the caller."""
    owned = ("power_state", "resident_on", "domid", "is_control_domain", "metrics", "uuid")
    vm = fields.create(call, {k: v for k, v in given.items() if k not in owned})
    db = call.db
    record = db.get("VM", vm)
    cpus = int(record["VCPUs_max"] or 1)
    metrics = db.create("VM_metrics", VCPUs_number=cpus, start_time=call.clock.stamp())
    db.set(
        "VM",
        vm,
        power_state="Halted",
        metrics=metrics,
        resident_on=NULL_REF,
        domid=-1,
        memory_overhead=overhead(int(record["memory_static_max"])),
        other_config={**record["other_config"], "mac_seed": new_uuid()},
    )
    refresh(db, vm)
    return vm


@api("VM.start")
async def start(call: Call, vm: str, paused: bool, force: bool) -> None:
    del force
    await wait_until_free(call, vm)
    assert_state(call.db, vm, "Halted")
    assert_allowed(call.db, vm, "start")
    await boot(call, vm, place(call, vm), "start", paused=paused)


@api("VM.start_on")
async def start_on(
    call: Call,
    vm: str,
    host: str,
    paused: bool,
    force: bool,
) -> None:
    del force
    call.db.get("VM", vm)
    call.db.get("host", host)
    await wait_until_free(call, vm)
    assert_state(call.db, vm, "Halted")
    assert_allowed(call.db, vm, "start_on")
    assert_can_boot_here(call, vm, host)
    await boot(call, vm, host, "start_on", paused=paused)


async def boot(call: Call, vm: str, host: str, operation: str, *, paused: bool = False) -> None:
    db, task = call.db, call.task_ref()
    begin(db, vm, operation, task)
    db.set("VM", vm, scheduled_to_be_resident_on=host)
    try:
        await call.clock.sleep(call.machine.profile.guests.start)
        state = "Paused" if paused else "Running"
        settle(db, vm, host)
        db.set("VM", vm, power_state=state, domid=1 + len(db.tables["VM"]))
    finally:
        db.set("VM", vm, scheduled_to_be_resident_on=NULL_REF)
        end(db, vm, task)


def settle(db: Database, vm: str, host: str) -> None:
    """The guest is on that host now, with its disks attached there."""
    db.set("VM", vm, resident_on=host, scheduled_to_be_resident_on=NULL_REF)
    for vbd in db.get("VM", vm)["VBDs"]:
        if not db.get("VBD", vbd)["empty"]:
            db.set("VBD", vbd, currently_attached=True)


async def _stop(call: Call, vm: str, operation: str, seconds: float, *states: str) -> None:
    await wait_until_free(call, vm)
    db, task = call.db, call.task_ref()
    assert_state(db, vm, *states)
    begin(db, vm, operation, task)
    try:
        await call.clock.sleep(seconds)
        halt(db, vm)
    finally:
        end(db, vm, task)


@api("VM.hard_shutdown")
async def hard_shutdown(call: Call, vm: str) -> None:
    seconds = call.machine.profile.guests.stop
    await _stop(call, vm, "hard_shutdown", seconds, "Paused", "Suspended", "Running")


@api("VM.clean_shutdown", "VM.shutdown")
async def clean_shutdown(call: Call, vm: str) -> None:
    seconds = call.machine.profile.guests.clean_stop
    await _stop(call, vm, "clean_shutdown", seconds, "Running")


@api("VM.suspend")
async def suspend(call: Call, vm: str) -> None:
    await wait_until_free(call, vm)
    db, task = call.db, call.task_ref()
    assert_state(db, vm, "Running")
    begin(db, vm, "suspend", task)
    try:
        await call.clock.sleep(call.machine.profile.guests.stop)
        halt(db, vm)
        db.set("VM", vm, power_state="Suspended")
    finally:
        end(db, vm, task)


@api("VM.resume_on")
async def resume_on(call: Call, vm: str, host: str, paused: bool, force: bool) -> None:
    del force
    call.db.get("host", host)
    assert_state(call.db, vm, "Suspended")
    assert_can_boot_here(call, vm, host)
    await boot(call, vm, host, "resume_on", paused=paused)


@api("VM.resume")
async def resume(call: Call, vm: str, paused: bool, force: bool) -> None:
    del force
    assert_state(call.db, vm, "Suspended")
    await boot(call, vm, place(call, vm), "resume", paused=paused)


@api("VM.destroy")
def destroy(call: Call, vm: str) -> None:
    assert_state(call.db, vm, "Halted", "Suspended")
    db = call.db
    record = db.get("VM", vm)
    for vbd in list(record["VBDs"]):
        db.delete("VBD", vbd)
    for vif in list(record["VIFs"]):
        db.delete("VIF", vif)
    db.delete("VM", vm)


@api("VM.assert_can_boot_here")
def check_boot_here(call: Call, vm: str, host: str) -> None:
    call.db.get("VM", vm)
    assert_can_boot_here(call, vm, host, memory=True)


@api("VM.get_possible_hosts")
def possible_hosts(call: Call, vm: str) -> list[str]:
    found = []
    for host in call.db.tables["host"]:
        try:
            assert_can_boot_here(call, vm, host)
        except ApiError:
            continue
        found.append(host)
    return found


@api("VM.assert_operation_valid")
def assert_operation_valid(call: Call, vm: str, operation: str) -> None:
    record = call.db.get("VM", vm)
    assert_allowed(call.db, vm, operation)
    if operation not in ALLOWED[record["power_state"]]:
        expected = "halted" if operation.startswith("start") else "running"
        raise ApiError("VM_BAD_POWER_STATE", vm, expected, record["power_state"].lower())


@api("VM.set_blocked_operations")
def set_blocked(call: Call, vm: str, value: dict[str, str]) -> None:
    call.db.set("VM", vm, blocked_operations=value)
    refresh(call.db, vm)


@api("VM.add_to_blocked_operations")
def add_blocked(call: Call, vm: str, operation: str, reason: str) -> None:
    blocked = call.db.get("VM", vm)["blocked_operations"]
    if operation in blocked:
        raise ApiError("MAP_DUPLICATE_KEY", "VM", "blocked_operations", vm, operation)
    set_blocked(call, vm, {**blocked, operation: reason})


@api("VM.remove_from_blocked_operations")
def remove_blocked(call: Call, vm: str, operation: str) -> None:
    blocked = call.db.get("VM", vm)["blocked_operations"]
    set_blocked(call, vm, {k: v for k, v in blocked.items() if k != operation})
