"""Events of operations: as documents, and as frames of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.views import times
from nova_aggregates.objects import OperationEvent

KEEP_ALIVE = b": still here\n\n"
RETRY_MILLISECONDS = 1000  # before a reader whose connection broke comes again


def index(events: Iterable[OperationEvent]) -> dict[str, Any]:
    return {"events": [_event(event) for event in events]}


def opening(position: int) -> bytes:
    """Sent at once, so that the reader knows from where on nothing will be missed. A frame without
    data is no event, but its id counts (HTML, section 9.2.6)."""
    return f"retry: {RETRY_MILLISECONDS}\nid: {position}\n\n".encode("ascii")


def frame(event: OperationEvent) -> bytes:
    data = json.dumps(_event(event))
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n".encode()


def _event(event: OperationEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "operation": event.operation,
        "aggregate_id": event.aggregate_id,
        "at": times.render(event.at),
        "kind": event.kind,
        "data": dict(event.data),
    }
