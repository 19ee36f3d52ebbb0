"""Operations and their events: rows and queries."""

from __future__ import annotations

import dataclasses
import uuid as uuids
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.sql import ColumnElement

from nova_aggregates.db.aggregates import is_id, storable
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import NAME_LENGTH, operation_events, operations
from nova_aggregates.objects import (
    Action,
    Finding,
    Operation,
    OperationEvent,
    OperationFailure,
    OperationState,
    Requester,
    Severity,
)

UNFINISHED_STATES = tuple(state for state in OperationState if not state.ended)
UNFINISHED = operations.c.state.in_(UNFINISHED_STATES)


def operation_of(row: Row) -> Operation:
    """The operation of a row of the table."""
    failure = None
    if row.failure_code is not None:
        failure = OperationFailure(row.failure_code, row.failure_message, row.failure_cure)
    return Operation(
        uuid=row.uuid,
        aggregate_id=row.aggregate_id,
        host_id=row.host_id,
        host=row.host_name,
        action=Action(row.action),
        parameters=row.parameters,
        state=OperationState(row.state),
        step=row.step,
        progress=row.progress,
        findings=tuple(_finding(stored) for stored in row.findings),
        failure=failure,
        requester=Requester(row.user_id, row.project_id, row.request_id),
        created_at=row.created_at,
        started_at=row.started_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
        owner=row.owner,
        fence=row.fence,
    )


def _finding(stored: Mapping[str, Any]) -> Finding:
    return Finding(**{**stored, "severity": Severity(stored["severity"])})


def findings_json(findings: Collection[Finding]) -> list[dict[str, Any]]:
    """Findings as the column keeps them."""
    return [dataclasses.asdict(finding) for finding in findings]


def insert(
    connection: Connection,
    requester: Requester,
    action: Action,
    aggregate_id: int,
    *,
    host: Row | None = None,
    membership_id: int | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Operation:
    """A queued operation. The aggregate (and the host) must be locked: the order of the numbers is
    the order of the work."""
    result = connection.execute(
        sa.insert(operations).values(
            uuid=str(uuids.uuid4()),
            aggregate_id=aggregate_id,
            host_id=host.id if host is not None else None,
            host_name=host.name if host is not None else None,
            membership_id=membership_id,
            action=action,
            parameters=dict(parameters or {}),
            state=OperationState.QUEUED,
            progress=0,
            findings=[],
            user_id=requester.user_id[:NAME_LENGTH],
            project_id=requester.project_id[:NAME_LENGTH],
            request_id=requester.request_id[:NAME_LENGTH],
            fence=0,
            attempts=0,
            created_at=utcnow(),
        )
    )
    number = result.inserted_primary_key[0]
    add_event(connection, number, 0, "queued", {"action": action})
    return operation_of(connection.execute(_by_number(number)).one())


def _by_number(number: int) -> Any:
    return sa.select(operations).where(operations.c.id == number)


def by_uuid(connection: Connection, uuid: str, *, locked: bool = False) -> Row | None:
    """The row, on request held until the end of the transaction."""
    if not storable(uuid):
        return None
    statement = sa.select(operations).where(operations.c.uuid == uuid)
    if locked:
        statement = statement.with_for_update(key_share=True)
    return connection.execute(statement).first()


def fetch(
    connection: Connection,
    *,
    aggregate_id: int | None,
    host: str | None,
    state: OperationState | None,
    before: int | None,
    limit: int,
) -> list[Operation]:
    """Newest first."""
    if aggregate_id is not None and not is_id(aggregate_id):
        return []
    if host is not None and not storable(host):
        return []
    statement = sa.select(operations).order_by(operations.c.id.desc()).limit(limit)
    for column, value in (
        (operations.c.aggregate_id, aggregate_id),
        (operations.c.host_name, host),
        (operations.c.state, state),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if before is not None:
        statement = statement.where(operations.c.id < before)
    return [operation_of(row) for row in connection.execute(statement)]


def fetch_runnable(
    connection: Connection, *, limit: int, except_aggregates: Collection[int] = ()
) -> list[Operation]:
    """Unfinished operations whose turn it is, oldest first."""
    statement = (
        sa.select(operations)
        .where(UNFINISHED, ~_has_elder())
        .order_by(operations.c.id)
        .limit(limit)
    )
    if except_aggregates:
        statement = statement.where(operations.c.aggregate_id.not_in(sorted(except_aggregates)))
    return [operation_of(row) for row in connection.execute(statement)]


def has_turn(connection: Connection, row: Row) -> bool:
    """Whether nothing older must end first."""
    statement = sa.select(operations.c.id).where(operations.c.id == row.id, ~_has_elder())
    return connection.execute(statement).first() is not None


def _has_elder() -> ColumnElement[bool]:
    """An unfinished older operation of the same aggregate, or on the same host anywhere."""
    elder = operations.alias("elder")
    common = (elder.c.id < operations.c.id, elder.c.state.in_(UNFINISHED_STATES))
    return sa.or_(
        sa.exists().where(elder.c.aggregate_id == operations.c.aggregate_id, *common),
        # NULL host: no row is equal to it.
        sa.exists().where(elder.c.host_id == operations.c.host_id, *common),
    )


def unfinished(connection: Connection, *conditions: Any) -> list[Row]:
    """Rows of unfinished operations, oldest first."""
    statement = sa.select(operations).where(UNFINISHED, *conditions).order_by(operations.c.id)
    return list(connection.execute(statement))


def last_verdict(connection: Connection, aggregate_id: int) -> OperationState | None:
    """How the last operation that left a mark ended; failed ones were undone and left none."""
    statement = (
        sa.select(operations.c.state)
        .where(
            operations.c.aggregate_id == aggregate_id,
            operations.c.state.in_((OperationState.SUCCEEDED, OperationState.ERROR)),
        )
        .order_by(operations.c.id.desc())
        .limit(1)
    )
    state = connection.execute(statement).scalar()
    return None if state is None else OperationState(state)


def change(connection: Connection, number: int, **values: Any) -> None:
    """Change columns of a row that the transaction has locked."""
    connection.execute(sa.update(operations).where(operations.c.id == number).values(**values))


def change_owned(connection: Connection, operation: Operation, **values: Any) -> bool:
    """Change columns if the operation still runs under this fencing number; whether it does."""
    result = connection.execute(
        sa.update(operations)
        .where(
            operations.c.uuid == operation.uuid,
            operations.c.fence == operation.fence,
            operations.c.state == OperationState.RUNNING,
        )
        .values(**values, updated_at=utcnow())
    )
    return result.rowcount == 1


def add_event(
    connection: Connection, number: int, fence: int, kind: str, data: Mapping[str, Any]
) -> None:
    """One more line of the operation's history."""
    connection.execute(
        sa.insert(operation_events).values(
            operation_id=number, at=utcnow(), fence=fence, kind=kind, data=dict(data)
        )
    )


def events(connection: Connection, number: int) -> list[OperationEvent]:
    """The history, oldest first."""
    statement = (
        sa.select(operation_events)
        .where(operation_events.c.operation_id == number)
        .order_by(operation_events.c.id)
    )
    return [
        OperationEvent(id=row.id, at=row.at, fence=row.fence, kind=row.kind, data=row.data)
        for row in connection.execute(statement)
    ]
