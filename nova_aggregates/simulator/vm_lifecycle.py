"""Which operations a guest allows, and why not the others (xapi_vm_lifecycle.ml)."""

from __future__ import annotations

from typing import Any

from nova_aggregates.simulator.calls import Call, backoff
from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.errors import ApiError

SHOWN = {
    "Halted": [
        "create_vtpm", "destroy", "metadata_export", "export", "make_into_template",
        "changing_NVRAM", "changing_shadow_memory", "changing_static_range",
        "changing_dynamic_range", "migrate_send", "start_on", "start", "copy", "clone", "snapshot",
    ],
    "Running": [
        "changing_dynamic_range", "changing_VCPUs_live", "checkpoint", "clean_reboot",
        "clean_shutdown", "hard_reboot", "hard_shutdown", "metadata_export", "migrate_send",
        "pause", "pool_migrate", "snapshot", "suspend", "sysprep",
    ],
    "Suspended": ["resume", "resume_on", "hard_shutdown", "metadata_export", "destroy"],
    "Paused": ["unpause", "hard_shutdown", "metadata_export"],
}  # fmt: skip
ANY = ("Halted", "Paused", "Suspended", "Running")
POWER_STATES: dict[str, tuple[str, ...]] = {
    "start": ("Halted",),
    "start_on": ("Halted",),
    "make_into_template": ("Halted",),
    "create_vtpm": ("Halted",),
    "changing_NVRAM": ("Halted",),
    "changing_shadow_memory": ("Halted",),
    "changing_static_range": ("Halted",),
    "changing_dynamic_range": ("Halted", "Running"),
    "clone": ("Halted",),
    "copy": ("Halted",),
    "export": ("Halted", "Suspended"),
    "destroy": ("Halted", "Suspended"),
    "unpause": ("Paused",),
    "resume": ("Suspended",),
    "resume_on": ("Suspended",),
    "hard_reboot": ("Paused", "Running"),
    "hard_shutdown": ("Paused", "Suspended", "Running"),
    "checkpoint": ("Paused", "Suspended", "Running"),
    "migrate_send": ("Halted", "Suspended", "Running"),
    "snapshot": ANY,
    "metadata_export": ANY,
}
MEMORY_IMAGE = frozenset(["suspend", "checkpoint", "pool_migrate", "migrate_send"])
OF_TEMPLATES = frozenset(
    [
        "changing_dynamic_range", "changing_static_range", "changing_memory_limits",
        "changing_shadow_memory", "changing_VCPUs", "changing_NVRAM", "clone", "copy", "export",
        "metadata_export", "provision",
    ]
)  # fmt: skip
OF_SNAPSHOTS = frozenset(
    ["revert", "clone", "copy", "export", "destroy", "hard_shutdown", "metadata_export"]
)
OF_CONTROL_DOMAINS = frozenset(
    ["metadata_export", "changing_dynamic_range", "changing_static_range", "start", "start_on"]
)
DURING_UPGRADE = frozenset(
    [
        "changing_dynamic_range", "changing_static_range", "clean_shutdown", "clean_reboot",
        "hard_shutdown", "hard_reboot", "migrate_send", "pool_migrate", "resume", "resume_on",
        "start", "start_on", "suspend", "unpause",
    ]
)  # fmt: skip
WITHOUT_TOOLS = {
    "clean_shutdown": ("feature-shutdown", "feature-poweroff"),
    "clean_reboot": ("feature-shutdown", "feature-reboot"),
}


def operation_error(
    db: Database, vm: str, operation: str, *, strict: bool = True
) -> ApiError | None:
    """The first thing that speaks against the operation, in xapi's order.

    ``strict`` also asks for what the guest has to help with; calls with ``force`` do without.
    """
    record = db.get("VM", vm)
    for check in CHECKS:
        error = check(db, vm, record, operation, strict)
        if error is not None:
            return error
    return None


def _blocked(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    reasons = record["blocked_operations"]
    return ApiError("OPERATION_BLOCKED", vm, reasons[op]) if op in reasons else None


def _power_state(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    states = POWER_STATES.get(op, ("Running",))
    actual = record["power_state"]
    if actual in states:
        return None
    expected = ", ".join(s.lower() for s in states)
    return ApiError("VM_BAD_POWER_STATE", vm, expected, actual.lower())


def _concurrent(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    running = record["current_operations"]
    others = set(running.values())
    if not running or (op == "hard_shutdown" and op not in others):
        return None
    if op == "hard_reboot" and not others & {"hard_shutdown", "hard_reboot"}:
        return None
    if op in ("snapshot", "checkpoint") and others <= {"snapshot", "checkpoint"}:
        return None
    tasks, names = list(running), list(running.values())
    if len(running) > 1:
        tasks, names = [f"{{{','.join(tasks)}}}"], [f"{{{','.join(names)}}}"]
    return ApiError("OTHER_OPERATION_IN_PROGRESS", "VM", vm, names[0], tasks[0])


def _template(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    if record["is_a_snapshot"]:
        return None if op in OF_SNAPSHOTS else ApiError("VM_IS_SNAPSHOT", vm, op)
    if not record["is_a_template"] or op in OF_TEMPLATES:
        return None
    if op in ("destroy", "migrate_send") and not record["is_default_template"]:
        return None
    return ApiError("VM_IS_TEMPLATE", vm, op)


def _immobile(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    """What the guest was started with counts, not what its platform says now."""
    if op not in MEMORY_IMAGE or not strict:
        return None
    metrics = db.peek("VM_metrics", record["metrics"])
    if metrics is None:
        flags = [record["platform"].get(k) in ("true", "1") for k in ("nomigrate", "nested-virt")]
    else:
        flags = [metrics["nomigrate"], metrics["nested_virt"]]
    return ApiError("VM_IS_IMMOBILE", vm) if any(flags) else None


def _control(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    if not record["is_control_domain"] or op in OF_CONTROL_DOMAINS:
        return None
    text = "This operation is not allowed on a control domain"
    return ApiError("OPERATION_NOT_ALLOWED", text)


def _tools(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    """HVM guests have to help with what is done to their memory, or to be shut down cleanly."""
    live = record["power_state"] in ("Running", "Paused")
    known = db.peek("VM_guest_metrics", record["guest_metrics"]) or {}
    features = known.get("other", {})
    helped = not live or bool(known.get("PV_drivers_version")) or _paravirtual(db, record)
    if live and op in MEMORY_IMAGE:
        reason = features.get("data-cant-suspend-reason")
        if reason is not None:
            return ApiError("VM_NON_SUSPENDABLE", vm, reason)
        lacking = not helped and strict and features.get("feature-suspend") != "1"
        return ApiError("VM_LACKS_FEATURE", vm) if lacking else None
    wanted = WITHOUT_TOOLS.get(op)
    if helped or not strict or wanted is None or any(features.get(f) == "1" for f in wanted):
        return None
    return ApiError("VM_LACKS_FEATURE", vm)


def _paravirtual(db: Database, record: Record) -> bool:
    metrics = db.peek("VM_metrics", record["metrics"])
    return metrics is not None and metrics["current_domain_type"] in ("pv", "pvh", "pv_in_pvh")


def _disks(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    if op not in ("checkpoint", "snapshot", "suspend", "pool_migrate"):
        return None
    for vbd in record["VBDs"]:
        vdi = db.peek("VDI", db.get("VBD", vbd)["VDI"])
        config = vdi["sm_config"] if vdi is not None else {}
        cached = config.get("caching") == "true" or op != "pool_migrate"
        if config.get("on_boot") == "reset" and cached:
            return ApiError("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")
    return None


def _devices(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    if op in MEMORY_IMAGE and record["attached_PCIs"]:
        return ApiError("VM_HAS_PCI_ATTACHED", vm)
    halted = record["power_state"] == "Halted" and op == "migrate_send"
    if op in MEMORY_IMAGE and record["VGPUs"] and not halted:
        return ApiError("VM_HAS_VGPU", vm)
    if op in (MEMORY_IMAGE | {"snapshot"}) and record["VUSBs"]:
        return ApiError("VM_HAS_VUSBS", vm)
    return None


def _upgrading(db: Database, vm: str, record: Record, op: str, strict: bool) -> ApiError | None:
    if "rolling_upgrade_in_progress" in db.pool_record["other_config"]:
        return None if op in DURING_UPGRADE else ApiError("NOT_SUPPORTED_DURING_UPGRADE")
    return None


CHECKS = (
    _blocked, _power_state, _concurrent, _template, _immobile, _control, _tools, _disks, _devices,
    _upgrading,
)  # fmt: skip


def assert_allowed(db: Database, vm: str, operation: str, *, strict: bool = True) -> None:
    """Raises what ``operation_error`` finds."""
    error = operation_error(db, vm, operation, strict=strict)
    if error is not None:
        raise error


async def wait_until_allowed(call: Call, vm: str, operation: str, *, strict: bool = True) -> None:
    """What another call does with the guest is waited for, up to two hours (helpers.ml retry).

    Raises whatever else speaks against the operation, at once.
    """
    deadline = call.clock.now() + call.machine.profile.timings.lock_retry_limit
    pauses = backoff()
    while True:
        error = operation_error(call.db, vm, operation, strict=strict)
        if error is None:
            return
        if error.code != "OTHER_OPERATION_IN_PROGRESS" or call.clock.now() > deadline:
            raise error
        await call.clock.sleep(next(pauses))


def refresh(db: Database, vm: str) -> None:
    """allowed_operations follow the power state and what is going on."""
    record = db.get("VM", vm)
    if record["is_a_template"] or record["is_control_domain"]:
        return
    shown = [] if record["current_operations"] else SHOWN[record["power_state"]]
    allowed = [op for op in shown if operation_error(db, vm, op) is None]
    db.set("VM", vm, allowed_operations=allowed)


def begin(db: Database, vm: str, operation: str, task: str, *, strict: bool = True) -> None:
    """Mark the operation. Raises what ``operation_error`` finds."""
    assert_allowed(db, vm, operation, strict=strict)
    record = db.get("VM", vm)
    db.set("VM", vm, current_operations={**record["current_operations"], task: operation})
    refresh(db, vm)


def end(db: Database, vm: str, task: str) -> None:
    record = db.peek("VM", vm)
    if record is not None:
        rest: dict[str, Any] = {t: o for t, o in record["current_operations"].items() if t != task}
        db.set("VM", vm, current_operations=rest)
        refresh(db, vm)
