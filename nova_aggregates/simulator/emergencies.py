"""States that only an administrator ends: the toolstack answers little and restarts by itself.

Which calls are answered then is in ``dispatch.EMERGENCY_CALLS``.
"""

from __future__ import annotations

from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Machine, Phase, Process

REFUSES_NEWER_MEMBERS = (23, 30)  # the build that began to


async def stay_broken(machine: Machine) -> None:
    """A hand-over failed half-way: looked at again after one to three minutes (xapi.ml).

    Ends when the broken mark is gone, which takes a call that gives the host another role and
    restarts the toolstack.
    """
    while machine.disk.broken:
        process = Process(machine, Phase.EMERGENCY, None)
        process.emergency = ApiError("HOST_BROKEN")
        machine.process = process
        machine.disk.database = None
        await machine.listener.open()
        await machine.clock.sleep(machine.profile.timings.emergency_restart)
        machine.kill_process()
        await machine.listener.close_softly()
        await machine.clock.sleep(machine.profile.timings.closing)


def newer_than_master(machine: Machine, version: str, db: Database | None) -> ApiError | None:
    """A member whose xapi is newer than its master's must wait for that to be upgraded."""
    if db is None or not machine.level.since(*REFUSES_NEWER_MEMBERS):
        return None
    theirs = db.get("host", db.master)["software_version"].get("xapi_build", "")
    if _numbers(version) <= _numbers(theirs):
        return None
    return ApiError("HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR", version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
