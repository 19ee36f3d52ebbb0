"""Tasks: the records behind Async calls, their results and how they disappear."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nova_aggregates.simulator import backtraces, xmlrpc
from nova_aggregates.simulator.calls import Call, api, create_task
from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError, ProcessGone
from nova_aggregates.simulator.values import new_ref

CANCELLABLE = frozenset(
    ["VM.pool_migrate", "VM.migrate_send", "host.evacuate", "VM.start", "VM.start_on"]
)
MAX_COMPLETED = 200


def start_async(call: Call, work: Callable[[], Awaitable[Any]]) -> str:
    """Make the task and let the work go on behind it. The task's reference is the answer."""
    db = call.db
    if call.method.name == "task.cancel":
        return f"DummyRef:|{new_ref()[10:]}|Async.task.cancel"
    ref = create_task(db, call.clock, call.shown_name, call.host_ref)
    call.task = ref
    if call.method.name in CANCELLABLE:
        db.set("task", ref, allowed_operations=["cancel"])
    call.process.spawn(_run(call, db, ref, work))
    return ref


async def _run(call: Call, db: Database, ref: str, work: Callable[[], Awaitable[Any]]) -> None:
    clock = call.clock
    try:
        result = await work()
    except ApiError as error:
        trace = backtraces.of_failure(error.code, call.machine.name)
        info = error.description
        complete(db, clock, ref, status="failure", error_info=info, backtrace=trace)
    except ProcessGone:
        return
    else:
        complete(db, clock, ref, status="success", result=xmlrpc.encode(result))


def complete(db: Database, clock: Clock, ref: str, *, status: str, **values: Any) -> None:
    """Nothing happens when the task is gone, as it is after a restart."""
    task = db.peek("task", ref)
    if task is None or task["status"] != "pending":
        return
    if "destroy" in task["current_operations"].values():
        db.delete("task", ref)
        return
    if status == "failure" and values.get("error_info", [""])[0] == "TASK_CANCELLED":
        status = "cancelled"
    db.set(
        "task",
        ref,
        status=status,
        progress=1.0,
        finished=clock.stamp(),
        allowed_operations=[],
        current_operations={},
        **values,
    )


def finish_sync(call: Call) -> None:
    """A synchronous call's task is gone as soon as the call is answered."""
    if call.task is not None and not call.shown_name.startswith("Async."):
        db = call.process.db
        if db is not None and db.peek("task", call.task) is not None:
            db.delete("task", call.task)


@api("task.create")
def create(call: Call, label: str, description: str) -> str:
    return create_task(call.db, call.clock, label, call.host_ref, description=description)


@api("task.destroy")
def destroy(call: Call, ref: str) -> None:
    """A pending task is only marked: it goes when it is completed (xapi_task.ml)."""
    task = call.db.get("task", ref)
    if task["status"] == "pending" and task["name_label"].startswith("Async."):
        operations = {**task["current_operations"], call.task_ref(): "destroy"}
        call.db.set("task", ref, current_operations=operations)
        return
    call.db.delete("task", ref)


@api("task.cancel")
def cancel(call: Call, ref: str) -> None:
    """A request: only work that looks for it stops (xapi_task.ml)."""
    task = call.db.get("task", ref)
    if task["status"] == "pending":
        operations = {**task["current_operations"], call.task_ref(): "cancel"}
        call.db.set("task", ref, current_operations=operations)


def cancelled(db: Database, ref: str | None) -> bool:
    task = db.peek("task", ref) if ref else None
    return task is not None and "cancel" in task["current_operations"].values()


@api("task.set_status")
def set_status(call: Call, ref: str, value: str) -> None:
    call.db.set("task", ref, status=value)
    if value in ("success", "failure", "cancelled"):
        call.db.set("task", ref, finished=call.clock.stamp())


class Collector:
    """Forgets completed tasks after their time, the oldest ones above 200, and pending ones that
    made no progress for a day (db_gc_util.ml)."""

    def __init__(self, completed_limit: float, pending_limit: float) -> None:
        self._limits = {True: pending_limit, False: completed_limit}
        self._seen: dict[str, tuple[str, float, float]] = {}  # status, progress, since when

    def collect(self, db: Database, clock: Clock) -> None:
        now = clock.now()
        for ref, task in db.find("task"):
            state = (task["status"], task["progress"])
            if self._seen.get(ref, ("", 0.0, 0.0))[:2] != state:
                self._seen[ref] = (*state, now)
        done = [r for r, t in db.find("task") if t["status"] != "pending"]
        done.sort(key=lambda r: self._seen[r][2])
        surplus = set(done[: max(0, len(db.tables["task"]) - MAX_COMPLETED)])
        for ref, task in db.find("task"):
            limit = self._limits[task["status"] == "pending"]
            if ref in surplus or now - self._seen[ref][2] > limit:
                db.delete("task", ref)
                del self._seen[ref]
