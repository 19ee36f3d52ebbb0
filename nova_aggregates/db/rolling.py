"""What a rolling update did to each of its hosts: rows and queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import operation_hosts
from nova_aggregates.objects import HostProgress, HostRun, OperationFailure


def of_operation(connection: Connection, number: int) -> list[HostRun]:
    """In the order of the work. ``number``: the operation's row."""
    statement = (
        sa.select(operation_hosts)
        .where(operation_hosts.c.operation_id == number)
        .order_by(operation_hosts.c.position)
    )
    return [
        HostRun(
            host=row.host_name,
            position=row.position,
            state=HostProgress(row.state),
            evidence=row.evidence,
            failure=None
            if row.failure_code is None
            else OperationFailure(row.failure_code, row.failure_message, row.failure_cure),
        )
        for row in connection.execute(statement)
    ]


def insert(connection: Connection, number: int, host: str, position: int) -> None:
    connection.execute(
        sa.insert(operation_hosts).values(
            operation_id=number,
            host_name=host,
            position=position,
            state=HostProgress.WAITING,
            evidence={},
            updated_at=utcnow(),
        )
    )


def change(connection: Connection, number: int, host: str, **values: Any) -> None:
    connection.execute(
        sa.update(operation_hosts)
        .where(operation_hosts.c.operation_id == number, operation_hosts.c.host_name == host)
        .values(**values, updated_at=utcnow())
    )


def move(
    connection: Connection,
    number: int,
    host: str,
    state: HostProgress,
    evidence: Mapping[str, Any],
    failure: OperationFailure | None,
) -> None:
    change(
        connection,
        number,
        host,
        state=state,
        evidence=dict(evidence),
        failure_code=failure and failure.code,
        failure_message=failure and failure.message,
        failure_cure=failure and failure.cure,
    )
