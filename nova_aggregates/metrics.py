"""What is counted and timed, for Prometheus.

Processes that share one directory (PROMETHEUS_MULTIPROC_DIR, set before this module is imported)
share their numbers, so any worker of a prefork server answers for all.
"""

from __future__ import annotations

import datetime
import os

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess

from nova_aggregates.objects import Operation

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
LONG = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)  # seconds

REQUESTS = Histogram(
    "nova_aggregates_request_seconds",
    "HTTP requests and the time until their answer began, by resource",
    ("method", "resource", "status"),
)
OPERATIONS = Histogram(
    "nova_aggregates_operation_seconds",
    "Operations that ended, and the time from their start to their end",
    ("action", "state"),
    buckets=LONG,
)
OPERATION_WAITS = Histogram(
    "nova_aggregates_operation_wait_seconds",
    "Time from the request to the start of its operation",
    ("action",),
    buckets=LONG,
)
XENAPI_CALLS = Histogram(
    "nova_aggregates_xenapi_call_seconds",
    "Calls to XenServer; the outcome is ok or the error code",
    ("method", "outcome"),
)
LOCK_WAITS = Histogram(
    "nova_aggregates_lock_seconds",
    "Asking the lock service for a lock; the outcome is taken, refused or failed",
    ("outcome",),
)
RATE_LIMITED = Counter("nova_aggregates_rate_limited_total", "Requests that the rate limit refused")


def operation_ended(operation: Operation) -> None:
    """:param operation: with its times; nothing is counted before it has ended."""
    if operation.finished_at is None or operation.started_at is None:
        return
    action = operation.action.value
    OPERATIONS.labels(action, operation.state.value).observe(
        _seconds(operation.started_at, operation.finished_at)
    )
    OPERATION_WAITS.labels(action).observe(_seconds(operation.created_at, operation.started_at))


def xenapi_call(method: str, seconds: float, outcome: str) -> None:
    XENAPI_CALLS.labels(method, outcome).observe(seconds)


def registry() -> CollectorRegistry:
    """The numbers of all processes that share the directory, or of this one alone."""
    if not os.environ.get(DIRECTORY):
        return prometheus_client.REGISTRY
    found = CollectorRegistry()
    multiprocess.MultiProcessCollector(found)
    return found


def _seconds(begin: datetime.datetime, end: datetime.datetime) -> float:
    return max(0.0, (end - begin).total_seconds())
