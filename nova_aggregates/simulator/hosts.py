"""Taking hosts out of service and back: disabling, enabling, restarts, reboots, power."""

from __future__ import annotations

from nova_aggregates.simulator import departure, ha, host_operations, lifecycle
from nova_aggregates.simulator.calls import Call, api, backoff
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Machine, Process
from nova_aggregates.simulator.values import DateTime, datetime_at, new_ref


async def wait_for_others(call: Call, host: str, operation: str) -> None:
    """A conflicting operation makes a call wait, for up to two hours (observed for reboot)."""
    deadline = call.clock.now() + call.machine.profile.timings.lock_retry_limit
    pauses = backoff()
    while True:
        other = host_operations.conflict(call.db, host, operation)
        if other is None:
            return
        if call.clock.now() > deadline:
            raise ApiError("OTHER_OPERATION_IN_PROGRESS", "host", host, other[1], other[0])
        await call.clock.sleep(next(pauses))


@api("host.disable")
async def disable(call: Call, host: str, auto_enable: bool) -> None:
    """With auto_enable the request lives in the host's memory only (xapi_host.ml)."""
    db = call.db
    db.get("host", host)
    ha.assert_disable_keeps_plan(call.machine.site, db, host)
    target = await call.machine.site.contact(db, host)
    if not db.get("host", host)["enabled"]:
        return
    db.set("host", host, enabled=False)
    call.machine.site.history.host("disabled", target.machine.name)
    target.user_disabled = True
    target.machine.disk.auto_enable = auto_enable
    host_operations.refresh(db, host)


@api("host.enable")
async def enable(call: Call, host: str) -> None:
    db = call.db
    db.get("host", host)
    target = await call.machine.site.contact(db, host)
    await wait_for_others(call, host, "enable")
    if not target.considered_enabling:
        raise ApiError("HOST_STILL_BOOTING")
    if db.get("host", host)["pending_guidances"]:
        raise ApiError("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", host)
    if target.machine.disk.disabled_until_reboot:
        raise ApiError("HOST_DISABLED_UNTIL_REBOOT", host)
    target.user_disabled = False
    target.machine.disk.auto_enable = True
    db.set("host", host, enabled=True)
    call.machine.site.history.host("enabled", target.machine.name)
    host_operations.refresh(db, host)


@api("host.restart_agent")
async def restart_agent(call: Call, host: str) -> None:
    target = await call.machine.site.contact(call.db, host)
    timings = call.machine.profile.timings
    seconds = timings.restart_agent_master if target.is_master else timings.restart_agent
    lifecycle.light_fuse(target.machine, seconds)


@api("host.get_servertime")
async def get_servertime(call: Call, host: str) -> DateTime:
    target = await call.machine.site.contact(call.db, host)
    return datetime_at(call.clock.now() + target.machine.hardware.clock_skew)


@api("host.get_log", "host.get_server_certificate", "host.dmesg")
async def forwarded_text(call: Call, host: str, *args: object) -> str:
    del args
    target = await call.machine.site.contact(call.db, host)
    if call.method.verb == "get_server_certificate":
        pem = target.machine.certificate.pem.decode()
        return pem[pem.index("-----BEGIN CERTIFICATE") :]
    return ""


@api("host.reboot")
async def reboot(call: Call, host: str) -> None:
    await _down(call, host, again=True)


@api("host.shutdown")
async def shutdown(call: Call, host: str) -> None:
    await _down(call, host, again=False)


async def _down(call: Call, host: str, *, again: bool) -> None:
    """Running guests are no error: they are dealt with while the system goes down."""
    db = call.db
    db.get("host", host)
    _assert_disabled(db, host)
    await wait_for_others(call, host, "reboot")
    _assert_disabled(db, host)
    host_operations.assert_clustered_storage_whole(db)
    target = await call.machine.site.contact(db, host)
    # For a reboot, too, the operation is called shutdown, under a task that no longer exists.
    host_operations.begin(db, host, "shutdown", new_ref())
    target.machine.disk.disabled_until_reboot = True
    target.fuse_lit = True
    target.machine.live(_go_down(target, host, again=again))


def _assert_disabled(db: Database, host: str) -> None:
    if db.get("host", host)["enabled"]:
        raise ApiError("HOST_NOT_DISABLED")


async def _go_down(target: Process, host: str, *, again: bool) -> None:
    machine = target.machine
    timings = machine.profile.timings
    await machine.clock.sleep(timings.reboot_delay)
    db = machine.site.database_of(target)
    why = "reboot" if again else "shutdown"
    if db.peek("host", host) is not None:
        await departure.empty(target, host, why=f"host-{why}")
    if machine.profile.negative_heartbeat and db.peek("host", host):
        lifecycle.set_live(db, host, live=False)
    if again:
        await lifecycle.reboot(machine, timings.boot)
        return
    lifecycle.power_off(machine, why="shutdown")
    await machine.listener.refuse()


@api("host.power_on")
async def power_on(call: Call, host: str) -> None:
    """Only with a power_on_mode, as on a real host; Wake-on-LAN always works here."""
    db = call.db
    record = db.get("host", host)
    metrics = db.peek("host_metrics", record["metrics"])
    if metrics is not None and metrics["live"]:
        raise ApiError("HOST_IS_LIVE", host)
    if not record["power_on_mode"]:
        raise ApiError("HOST_POWER_ON_MODE_DISABLED")
    machine = call.machine.site.by_uuid(record["uuid"])
    if machine is not None:
        switch_on(machine)


def switch_on(machine: Machine) -> None:
    machine.live(lifecycle.boot(machine, machine.profile.timings.power_on))


@api("host.set_power_on_mode")
def set_power_on_mode(call: Call, host: str, mode: str, config: dict[str, str]) -> None:
    call.db.set("host", host, power_on_mode=mode, power_on_config=config)
