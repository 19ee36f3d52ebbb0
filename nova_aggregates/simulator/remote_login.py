"""How a joining host finds the pool's master and logs in there."""

from __future__ import annotations

from nova_aggregates.simulator import sessions, web
from nova_aggregates.simulator.errors import ApiError, internal
from nova_aggregates.simulator.faults import WireFault
from nova_aggregates.simulator.machine import Machine, Phase, Power, Process

LOGIN = "session.login_with_password"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# In the networks simulated here the last address is a router: a machine without a XenAPI server.
ROUTER = ".254"


async def connect(machine: Machine, address: str) -> Process:
    """The toolstack behind the address, or the error that pool.join reports (observed)."""
    target = address.strip()
    timings = machine.profile.timings
    if not target or "/" in target or ":" in target:
        raise ApiError("JOINING_HOST_CONNECTION_FAILED")
    if target in LOOPBACK and machine.site.by_address(target) is None:
        remote: Machine | None = machine
    else:
        remote = machine.site.resolve(target)
    if remote is None:
        if not _is_address(target):
            await machine.clock.sleep(timings.unresolvable)
            raise ApiError("JOINING_HOST_CONNECTION_FAILED")
        if target.endswith(ROUTER):
            raise internal("Connection failed: connection refused.")
    if remote is None or remote.power is Power.OFF or not remote.plugged:
        await machine.clock.sleep(timings.no_route)
        raise internal("Connection failed: no route to host.")
    await remote.thawed.wait()
    if remote.process is None:
        raise internal("Connection failed: connection refused.")
    return remote.process


def _is_address(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts)


async def log_in(remote: Process, user: str, password: str) -> None:
    """The remote role counts before the password; its emergency error comes through as it is.

    What is injected for logins at the remote host, this one meets as well.
    """
    fault = remote.machine.site.faults.take(remote.machine.name, LOGIN)
    if fault is not None:
        await _spoil(remote, fault)
    if remote.phase is Phase.EMERGENCY and remote.emergency is not None:
        raise remote.emergency
    if not remote.is_master:
        raise ApiError("HOST_IS_SLAVE", remote.master_address or "")
    await sessions.check_password(remote.machine, user, password)
    if remote.gone.is_set():
        raise ApiError("JOINING_HOST_CONNECTION_FAILED")


async def _spoil(remote: Process, fault: WireFault) -> None:
    """What the joiner makes of an answer that is none (xapi_pool.ml join_common).

    Raises JOINING_HOST_SERVICE_FAILED for an HTTP error, JOINING_HOST_CONNECTION_FAILED for a
    connection that was cut, INTERNAL_ERROR for what cannot be read, or the injected error.
    """
    clock = remote.machine.clock
    if fault.action == "http-500":
        raise ApiError("JOINING_HOST_SERVICE_FAILED")
    if fault.action in ("drop-before", "drop-after", "truncate"):
        raise ApiError("JOINING_HOST_CONNECTION_FAILED")
    if fault.action == "garbage":
        raise internal("Xmlm.Error(_, _)")
    if fault.action == "error":
        raise ApiError(*fault.error)
    if fault.action in ("trigger", "trigger-after"):
        await web.trigger(remote.machine, fault)
    if fault.action == "delay":
        await clock.sleep(fault.seconds)
    if fault.action == "hang":
        await remote.gone.wait()
        raise ApiError("JOINING_HOST_CONNECTION_FAILED")
