"""Guests: starting, stopping, suspending and removing them."""

from __future__ import annotations

from typing import Any

from nova_aggregates.simulator import fields, ha, placement, vm_lifecycle
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.site import Site
from nova_aggregates.simulator.values import new_uuid

TOOLS = {
    "feature-suspend": "1",
    "feature-shutdown": "1",
    "feature-reboot": "1",
    "feature-poweroff": "1",
    "feature-vcpu-hotplug": "1",
}
TOOLS_VERSION = {"major": "9", "minor": "3", "micro": "2", "build": "0"}


def halt(site: Site, db: Database, vm: str, *, why: str) -> None:
    """No domain any more. ``why`` is for the history."""
    record = db.get("VM", vm)
    if record["power_state"] in ("Running", "Paused"):
        site.history.guest_stopped(record, site.host_name(db, record["resident_on"]), why)
    db.set("VM", vm, power_state="Halted", resident_on=NULL_REF, domid=-1)
    db.set("VM", vm, scheduled_to_be_resident_on=NULL_REF, current_operations={})
    for vbd in record["VBDs"]:
        db.set("VBD", vbd, currently_attached=False)
    for vif in record["VIFs"]:
        db.set("VIF", vif, currently_attached=False)
    db.set("VM", vm, pending_guidances=[], requires_reboot=False)
    vm_lifecycle.refresh(db, vm)


def settle(db: Database, vm: str, host: str) -> None:
    """The guest is on that host now, with its disks and network cards attached there."""
    db.set("VM", vm, resident_on=host, scheduled_to_be_resident_on=NULL_REF)
    for vbd in db.get("VM", vm)["VBDs"]:
        if not db.get("VBD", vbd)["empty"]:
            db.set("VBD", vbd, currently_attached=True)
    for vif in db.get("VM", vm)["VIFs"]:
        db.set("VIF", vif, currently_attached=True)


def power_up(site: Site, db: Database, vm: str, host: str, *, state: str = "Running") -> None:
    """A domain on that host: what the hypervisor and the guest's tools then report."""
    record = db.get("VM", vm)
    booted = record["power_state"] == "Halted"
    settle(db, vm, host)
    db.set("VM", vm, power_state=state, domid=1 + len(db.tables["VM"]))
    if booted:
        info = db.get("host", host)["cpu_info"]
        hvm = record["domain_type"] == "hvm"
        features = info.get("features_hvm" if hvm else "features_pv", "")
        db.set("VM", vm, last_boot_CPU_flags={"vendor": info["vendor"], "features": features})
    metrics = db.peek("VM_metrics", record["metrics"])
    if metrics is not None:
        asked = record["platform"]
        db.set(
            "VM_metrics",
            record["metrics"],
            current_domain_type=record["domain_type"],
            hvm=record["domain_type"] == "hvm",
            nomigrate=asked.get("nomigrate") in ("true", "1"),
            nested_virt=asked.get("nested-virt") in ("true", "1"),
            start_time=site.clock.stamp(),
            memory_actual=int(record["memory_dynamic_max"]),
        )
    if db.peek("VM_guest_metrics", record["guest_metrics"]) is None:
        db.set("VM", vm, guest_metrics=create_tools(db))
    if record["ha_restart_priority"] == ha.RESTART:
        db.set("VM", vm, ha_always_run=True)
    vm_lifecycle.refresh(db, vm)
    site.history.guest_started(db.get("VM", vm), site.host_name(db, host))


def create_tools(db: Database, *, installed: bool = True) -> str:
    """What a guest's agent reports; without one there is a record all the same."""
    if not installed:
        return db.create("VM_guest_metrics")
    return db.create(
        "VM_guest_metrics",
        PV_drivers_version=dict(TOOLS_VERSION),
        PV_drivers_up_to_date=True,
        PV_drivers_detected=True,
        other=dict(TOOLS),
        live=True,
    )


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
        memory_overhead=placement.overhead(int(record["memory_static_max"])),
        other_config={**record["other_config"], "mac_seed": new_uuid()},
    )
    vm_lifecycle.refresh(db, vm)
    return vm


@api("VM.start")
async def start(call: Call, vm: str, paused: bool, force: bool) -> None:
    del force
    await vm_lifecycle.wait_until_allowed(call, vm, "start")
    await boot(call, vm, _choose(call, vm), "start", paused=paused)


def _choose(call: Call, vm: str) -> str:
    host = placement.place(call, vm)
    ha.assert_placement_keeps_plan(call.machine.site, call.db, vm, host)
    return host


@api("VM.start_on")
async def start_on(call: Call, vm: str, host: str, paused: bool, force: bool) -> None:
    del force
    call.db.get("VM", vm)
    target = call.db.get("host", host)
    placement.assert_newest(call.db, host)
    if "evacuate" in target["current_operations"].values():
        raise ApiError("HOST_EVACUATE_IN_PROGRESS", host)
    await vm_lifecycle.wait_until_allowed(call, vm, "start_on")
    _assert_room(call, vm, host)
    await boot(call, vm, host, "start_on", paused=paused)


def _assert_room(call: Call, vm: str, host: str) -> None:
    placement.assert_can_boot_here(call.machine.site, call.db, vm, host, cpu=False)
    ha.assert_placement_keeps_plan(call.machine.site, call.db, vm, host)


async def boot(call: Call, vm: str, host: str, operation: str, *, paused: bool = False) -> None:
    db, task = call.db, call.task_ref()
    vm_lifecycle.begin(db, vm, operation, task)
    db.set("VM", vm, scheduled_to_be_resident_on=host)
    try:
        await call.clock.sleep(call.machine.profile.guests.start)
        power_up(call.machine.site, db, vm, host, state="Paused" if paused else "Running")
    finally:
        if db.peek("VM", vm) is not None:
            db.set("VM", vm, scheduled_to_be_resident_on=NULL_REF)
        vm_lifecycle.end(db, vm, task)


async def _stop(call: Call, vm: str, operation: str, seconds: float) -> None:
    await vm_lifecycle.wait_until_allowed(call, vm, operation, strict=False)
    db, task = call.db, call.task_ref()
    vm_lifecycle.begin(db, vm, operation, task, strict=False)
    try:
        await call.clock.sleep(seconds)
        db.set("VM", vm, ha_always_run=False)
        halt(call.machine.site, db, vm, why=operation)
    finally:
        vm_lifecycle.end(db, vm, task)


@api("VM.hard_shutdown")
async def hard_shutdown(call: Call, vm: str) -> None:
    await _stop(call, vm, "hard_shutdown", call.machine.profile.guests.stop)


@api("VM.clean_shutdown")
async def clean_shutdown(call: Call, vm: str) -> None:
    await _stop(call, vm, "clean_shutdown", call.machine.profile.guests.clean_stop)


@api("VM.shutdown")
async def shutdown(call: Call, vm: str) -> None:
    """A clean shutdown, and a hard one when the guest does not help (xapi_vm.ml shutdown)."""
    if call.db.get("VM", vm)["power_state"] != "Running":
        await hard_shutdown(call, vm)
        return
    clean = vm_lifecycle.operation_error(call.db, vm, "clean_shutdown") is None
    await (clean_shutdown if clean else hard_shutdown)(call, vm)


@api("VM.clean_reboot", "VM.hard_reboot")
async def reboot(call: Call, vm: str) -> None:
    """The guest stays where it is."""
    operation, timings = call.method.verb, call.machine.profile.guests
    await vm_lifecycle.wait_until_allowed(call, vm, operation, strict=False)
    db, task = call.db, call.task_ref()
    vm_lifecycle.begin(db, vm, operation, task, strict=False)
    try:
        stop = timings.clean_stop if operation == "clean_reboot" else timings.stop
        await call.clock.sleep(stop + timings.start)
        db.set("VM", vm, power_state="Running", pending_guidances=[])
        call.machine.site.history.guest_rebooted(db.get("VM", vm))
    finally:
        vm_lifecycle.end(db, vm, task)


@api("VM.pause", "VM.unpause")
async def pause(call: Call, vm: str) -> None:
    operation = call.method.verb
    await vm_lifecycle.wait_until_allowed(call, vm, operation)
    call.db.set("VM", vm, power_state="Paused" if operation == "pause" else "Running")
    vm_lifecycle.refresh(call.db, vm)


@api("VM.suspend")
async def suspend(call: Call, vm: str) -> None:
    await vm_lifecycle.wait_until_allowed(call, vm, "suspend")
    db, task = call.db, call.task_ref()
    vm_lifecycle.begin(db, vm, "suspend", task)
    try:
        await call.clock.sleep(call.machine.profile.guests.stop)
        halt(call.machine.site, db, vm, why="suspend")
        db.set("VM", vm, power_state="Suspended")
    finally:
        vm_lifecycle.end(db, vm, task)


@api("VM.resume_on")
async def resume_on(call: Call, vm: str, host: str, paused: bool, force: bool) -> None:
    del force
    placement.assert_newest(call.db, host)
    await vm_lifecycle.wait_until_allowed(call, vm, "resume_on")
    _assert_room(call, vm, host)
    await boot(call, vm, host, "resume_on", paused=paused)


@api("VM.resume")
async def resume(call: Call, vm: str, paused: bool, force: bool) -> None:
    del force
    await vm_lifecycle.wait_until_allowed(call, vm, "resume")
    await boot(call, vm, _choose(call, vm), "resume", paused=paused)


@api("VM.power_state_reset")
def power_state_reset(call: Call, vm: str) -> None:
    """Declares the guest halted whatever it does, for guests of hosts that are dead."""
    halt(call.machine.site, call.db, vm, why="power_state_reset")


@api("VM.destroy")
def destroy(call: Call, vm: str) -> None:
    vm_lifecycle.assert_allowed(call.db, vm, "destroy")
    remove(call.db, vm)


def remove(db: Database, vm: str) -> None:
    """The guest's record and those that are nothing without it; its disks stay."""
    record = db.get("VM", vm)
    for cls, refs in (("VBD", record["VBDs"]), ("VIF", record["VIFs"])):
        for ref in list(refs):
            db.delete(cls, ref)
    for cls, ref in (("VM_metrics", "metrics"), ("VM_guest_metrics", "guest_metrics")):
        if db.peek(cls, record[ref]) is not None:
            db.delete(cls, record[ref])
    db.delete("VM", vm)


@api("VM.assert_can_boot_here")
def check_boot_here(call: Call, vm: str, host: str) -> None:
    call.db.get("VM", vm)
    placement.assert_can_boot_here(call.machine.site, call.db, vm, host)


@api("VM.get_possible_hosts")
def possible_hosts(call: Call, vm: str) -> list[str]:
    return placement.possible_hosts(call, vm)


@api("VM.assert_operation_valid")
def assert_operation_valid(call: Call, vm: str, operation: str) -> None:
    vm_lifecycle.assert_allowed(call.db, vm, operation)


@api("VM.set_blocked_operations")
def set_blocked(call: Call, vm: str, value: dict[str, str]) -> None:
    call.db.set("VM", vm, blocked_operations=value)
    vm_lifecycle.refresh(call.db, vm)


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
