"""Watching a call that runs in the background (``Async.``).

A task lives in the memory of the toolstack that runs it and is forgotten when that restarts (xapi
``ocaml/idl/datamodel.ml``, Task: PersistNothing). A task that cannot be found again has therefore
an unknown outcome, not a failed one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Any

from nova_aggregates.xenapi import errors, names
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.decode import Record


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """How a task is watched. Seconds. ``progress`` is told each new value between 0 and 1."""

    interval: float = 1.0
    deadline: float = 600.0
    progress: Callable[[float], None] | None = None


# Only tidiness: the toolstack forgets ended tasks by itself after an hour.
_DESTROY_TIMEOUT_SECONDS = 5.0
_ENDED = ("success", "failure", "cancelled")


def run(connection: Connection, method: str, *args: Any, watch: Watch) -> str:
    """Runs ``Async.method`` to its end and returns the task's result (XML text, mostly empty).

    Raises ApiFailure with the task's own error; OutcomeUnknown when the task, the session or the
    connection is lost on the way or the deadline passes (the call may still be going on then).
    """
    ends = time.monotonic() + watch.deadline
    task = str(connection.call(f"Async.{method}", *args))
    told = -1.0
    while True:
        record = _look(connection, method, task)
        progress = _progress(record)
        if watch.progress is not None and progress != told:
            watch.progress(progress)
            told = progress
        if record.text("status") in _ENDED:
            return _result(connection, method, task, record)
        if time.monotonic() + watch.interval > ends:
            raise _unknown(connection, method, f"still running after {watch.deadline:g} seconds")
        time.sleep(watch.interval)


def _look(connection: Connection, method: str, task: str) -> Record:
    try:
        return Record(task, connection.call("task.get_record", task))
    except (errors.TimedOut, errors.ConnectionLost, errors.MalformedAnswer):
        return _look_again(connection, method, task)
    except errors.XenError as lost:
        raise _unknown(connection, method, str(lost)) from lost


def _look_again(connection: Connection, method: str, task: str) -> Record:
    """Once more on a new connection: reading is harmless, and one lost answer proves nothing."""
    try:
        return Record(task, connection.call("task.get_record", task))
    except errors.XenError as lost:
        raise _unknown(connection, method, str(lost)) from lost


def _result(connection: Connection, method: str, task: str, record: Record) -> str:
    with contextlib.suppress(errors.XenError):
        connection.call("task.destroy", task, timeout=_DESTROY_TIMEOUT_SECONDS)
    if record.text("status") == "success":
        return record.text("result")
    details = connection.blotted(record.texts("error_info")) or ("TASK_CANCELLED", task)
    error = errors.from_task(details, where=connection.endpoint.where, method=method)
    raise names.with_names(connection, error)


def _progress(record: Record) -> float:
    try:
        return min(1.0, max(0.0, float(record.text("progress", "0"))))
    except ValueError:
        return 0.0


def _unknown(connection: Connection, method: str, reason: str) -> errors.OutcomeUnknown:
    return errors.OutcomeUnknown(
        "OUTCOME_UNKNOWN", (method, reason), where=connection.endpoint.where
    )
