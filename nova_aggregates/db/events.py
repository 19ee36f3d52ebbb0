"""The history of the operations: rows and queries."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import operation_events, operations
from nova_aggregates.objects import OperationEvent

# A number that is missing may belong to a transaction that has not committed yet. It is written
# late in its transaction, where only the wait for a lock (10 seconds at most) can follow; so what
# is missing after this time was rolled back.
GAP_CLOSES_AFTER = datetime.timedelta(seconds=15)


_ADD = sa.insert(operation_events)


def add(
    connection: Connection, number: int, fence: int, kind: str, data: Mapping[str, Any]
) -> None:
    """One more line of the operation with this row number."""
    connection.execute(
        _ADD,
        {
            "operation_id": number,
            "at": utcnow(),
            "fence": fence,
            "kind": kind,
            "data": dict(data),
        },
    )


def fetch(
    connection: Connection, *, after: int, limit: int | None, operation: int | None
) -> list[OperationEvent]:
    """Those with a higher number than ``after``, oldest first; of one operation (a row number), or
    of all: then without those that others may still come before."""
    statement = (
        sa.select(operation_events, operations.c.uuid, operations.c.aggregate_id)
        .join(operations, operations.c.id == operation_events.c.operation_id)
        .where(operation_events.c.id > after)
        .order_by(operation_events.c.id)
        .limit(limit)
    )
    if operation is not None:
        statement = statement.where(operation_events.c.operation_id == operation)
    found = [
        OperationEvent(
            id=row.id,
            at=row.at,
            fence=row.fence,
            kind=row.kind,
            data=row.data,
            operation=row.uuid,
            aggregate_id=row.aggregate_id,
        )
        for row in connection.execute(statement)
    ]
    # The operation's row is locked while one is written, so its own are never out of order.
    return found if operation is not None else _without_gaps(found, after)


def _without_gaps(found: list[OperationEvent], after: int) -> list[OperationEvent]:
    closed_before = utcnow() - GAP_CLOSES_AFTER
    for index, event in enumerate(found):
        # Who begins at 0 has not seen which number is the first.
        if after and event.id != after + 1 and event.at > closed_before:
            return found[:index]
        after = event.id
    return found


def last(connection: Connection) -> int:
    """The highest number; 0 when there is none."""
    return int(connection.execute(sa.select(sa.func.max(operation_events.c.id))).scalar() or 0)
