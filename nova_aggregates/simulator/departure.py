"""What becomes of the guests of a host that goes down (vm_evacuation.ml).

Those that cannot be moved are shut down, the others are moved, and what is left is shut down too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from nova_aggregates.simulator import guests, placement, vm_lifecycle
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.dispatch import call_internally
from nova_aggregates.simulator.errors import ApiError, ProcessGone
from nova_aggregates.simulator.machine import Process

SHUTDOWN_SECONDS = 60.0
SELF_MANAGED = "auto_poweroff"  # such guests see to themselves


async def empty(target: Process, host: str, *, why: str) -> None:
    """Errors are ignored: the machine goes down in any case. ``why`` is for the history."""
    site = target.machine.site
    db = site.database_of(target)
    master = site.master_of(target).process
    if master is not None:
        stuck = await _try(call_internally(master, "host.get_vms_which_prevent_evacuation", host))
        await _shut_down(master, db, [v for v in stuck or {} if not _self_managed(db, v)])
        if running(db, host):
            seconds = master.machine.profile.timings.departure
            await _within(master, call_internally(master, "host.evacuate", host), seconds)
        await _shut_down(master, db, running(db, host))
    if db.peek("host", host) is not None:
        for vm in placement.residents(db, host):
            guests.halt(site, db, vm, why=why)


def _self_managed(db: Database, vm: str) -> bool:
    return SELF_MANAGED in db.get("VM", vm)["other_config"]


def running(db: Database, host: str) -> list[str]:
    if db.peek("host", host) is None:
        return []
    present = [v for v in placement.residents(db, host) if not _self_managed(db, v)]
    return [v for v in present if db.get("VM", v)["power_state"] == "Running"]


async def _shut_down(master: Process, db: Database, found: list[str]) -> None:
    def clean(vm: str) -> bool:
        return vm_lifecycle.operation_error(db, vm, "clean_shutdown") is None

    calls = [_try(call_internally(master, "VM.clean_shutdown", v)) for v in found if clean(v)]
    if calls:
        await _within(master, _all(calls), SHUTDOWN_SECONDS)
    alive = [v for v in found if db.get("VM", v)["power_state"] in ("Running", "Paused")]
    await _all([_try(call_internally(master, "VM.hard_shutdown", v)) for v in alive])


async def _all(calls: list[Coroutine[Any, Any, Any]]) -> None:
    await asyncio.gather(*calls)


async def _try(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await call
    except (ApiError, ProcessGone):
        return None


async def _within(process: Process, work: Coroutine[Any, Any, Any], seconds: float) -> None:
    """Give up, and let the work go, after so many virtual seconds."""
    try:
        await asyncio.wait_for(_try(work), seconds / process.machine.clock.scale)
    except TimeoutError:
        return
