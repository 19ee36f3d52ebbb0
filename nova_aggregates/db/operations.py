"""Operations and their events: rows and queries."""

from __future__ import annotations

import dataclasses
import uuid as uuids
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.sql import ColumnElement

from nova_aggregates.db import events
from nova_aggregates.db.aggregates import is_id, storable
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import NAME_LENGTH, operations
from nova_aggregates.objects import (
    Action,
    Directive,
    Finding,
    Operation,
    OperationFailure,
    OperationState,
    Requester,
    Severity,
)

UNFINISHED_STATES = tuple(state for state in OperationState if not state.ended)
# A preflight only looks: nothing waits for it, and it waits for nothing.
WORKS = operations.c.action != Action.PREFLIGHT
UNFINISHED = sa.and_(operations.c.state.in_(UNFINISHED_STATES), WORKS)


# Statements that every change needs are made once; making one costs as much as executing it.
_INSERT = sa.insert(operations)
_LAST_TURN = sa.select(sa.func.max(operations.c.turn))
_BY_NUMBER = sa.select(operations).where(operations.c.id == sa.bindparam("number"))
_BY_UUID = sa.select(operations).where(operations.c.uuid == sa.bindparam("wanted"))
_LOCK_BY_UUID = _BY_UUID.with_for_update(key_share=True)
_FIRST_UNFINISHED = (
    sa.select(operations.c.id)
    .where(UNFINISHED, operations.c.aggregate_id == sa.bindparam("aggregate"))
    .limit(1)
)
_LAST_VERDICT = (
    sa.select(operations.c.state)
    .where(
        operations.c.aggregate_id == sa.bindparam("aggregate"),
        operations.c.state.in_((OperationState.SUCCEEDED, OperationState.ERROR)),
        WORKS,
    )
    .order_by(operations.c.turn.desc(), operations.c.id.desc())
    .limit(1)
)
_CHANGE = sa.update(operations).where(operations.c.id == sa.bindparam("number"))
_CHANGE_OWNED = sa.update(operations).where(
    operations.c.uuid == sa.bindparam("wanted"),
    operations.c.fence == sa.bindparam("owned"),
    operations.c.state == OperationState.RUNNING,
)


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
        attempts=row.attempts,
        not_before=row.not_before,
        cancel_requested=bool(row.cancel_requested),
        uncancellable_reason=row.uncancellable_reason,
        details=row.details,
        directive=None if row.directive is None else Directive(row.directive),
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
    state: OperationState = OperationState.QUEUED,
) -> Operation:
    """A new operation. The aggregate (and the host) must be locked: the order of the turns is
    the order of the work."""
    values: dict[str, Any] = {
        "uuid": str(uuids.uuid4()),
        "aggregate_id": aggregate_id,
        "host_id": host.id if host is not None else None,
        "host_name": host.name if host is not None else None,
        "membership_id": membership_id,
        "action": action,
        "parameters": dict(parameters or {}),
        "state": state,
        "progress": 100 if state.ended else 0,
        "findings": [],
        "user_id": requester.user_id[:NAME_LENGTH],
        "project_id": requester.project_id[:NAME_LENGTH],
        "request_id": requester.request_id[:NAME_LENGTH],
        "fence": 0,
        "attempts": 0,
        "turn": next_turn(connection),
        "created_at": utcnow(),
        "finished_at": utcnow() if state.ended else None,
    }
    result = connection.execute(_INSERT, values)
    number = result.inserted_primary_key[0]
    events.add(connection, number, 0, state, {"action": action})
    return operation_of(connection.execute(_BY_NUMBER, {"number": number}).one())


def next_turn(connection: Connection) -> int:
    """The end of the queue. Two strangers may get the same turn; what shares an aggregate or a host
    does not, because those are locked."""
    return int(connection.execute(_LAST_TURN).scalar() or 0) + 1


def by_uuid(connection: Connection, uuid: str, *, locked: bool = False) -> Row | None:
    """The row, on request held until the end of the transaction."""
    if not storable(uuid):
        return None
    return connection.execute(_LOCK_BY_UUID if locked else _BY_UUID, {"wanted": uuid}).first()


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
    """Unfinished operations whose turn it is, oldest first; a paused one has it and waits."""
    statement = (
        sa.select(operations)
        .where(
            UNFINISHED,
            operations.c.state != OperationState.PAUSED,
            _is_due(),
            ~_has_elder(),
        )
        .order_by(operations.c.turn, operations.c.id)
        .limit(limit)
    )
    if except_aggregates:
        statement = statement.where(operations.c.aggregate_id.not_in(sorted(except_aggregates)))
    return [operation_of(row) for row in connection.execute(statement)]


def fetch_preflights(connection: Connection, *, limit: int, stale_before: Any) -> list[Operation]:
    """Queued ones, and running ones of which nothing was heard since ``stale_before``."""
    statement = (
        sa.select(operations)
        .where(
            operations.c.action == Action.PREFLIGHT,
            sa.or_(
                operations.c.state == OperationState.QUEUED,
                sa.and_(
                    operations.c.state == OperationState.RUNNING,
                    operations.c.updated_at < stale_before,
                ),
            ),
        )
        .order_by(operations.c.id)
        .limit(limit)
    )
    return [operation_of(row) for row in connection.execute(statement)]


def has_turn(connection: Connection, row: Row) -> bool:
    """Whether nothing older must end first."""
    statement = sa.select(operations.c.id).where(operations.c.id == row.id, ~_has_elder())
    return connection.execute(statement).first() is not None


def _is_due() -> ColumnElement[bool]:
    return sa.or_(operations.c.not_before.is_(None), operations.c.not_before <= utcnow())


def _has_elder() -> ColumnElement[bool]:
    """An unfinished older operation of the same aggregate, or on the same host anywhere. One that
    runs or is paused counts as older than all that do not."""
    elder = operations.alias("elder")
    common = (
        elder.c.id != operations.c.id,
        elder.c.state.in_(UNFINISHED_STATES),
        elder.c.action != Action.PREFLIGHT,
        sa.or_(
            sa.and_(elder.c.state == operations.c.state, before(elder, operations)),
            sa.and_(
                elder.c.state.in_((OperationState.RUNNING, OperationState.PAUSED)),
                operations.c.state == OperationState.QUEUED,
            ),
        ),
    )
    return sa.or_(
        sa.exists().where(elder.c.aggregate_id == operations.c.aggregate_id, *common),
        # NULL host: no row is equal to it.
        sa.exists().where(elder.c.host_id == operations.c.host_id, *common),
    )


def before(one: Any, other: Any) -> ColumnElement[bool]:
    """Whether ``one`` (a table or a row) comes before ``other`` in the order of the work."""
    return sa.or_(
        _columns(one).turn < _columns(other).turn,
        sa.and_(_columns(one).turn == _columns(other).turn, _columns(one).id < _columns(other).id),
    )


def _columns(source: Any) -> Any:
    return source if isinstance(source, Row) else source.c


def unfinished(connection: Connection, *conditions: Any) -> list[Row]:
    """Rows of unfinished operations, oldest first."""
    statement = sa.select(operations).where(UNFINISHED, *conditions)
    statement = statement.order_by(operations.c.turn, operations.c.id)
    return list(connection.execute(statement))


def has_unfinished(connection: Connection, aggregate_id: int) -> bool:
    """Whether an operation of the aggregate is queued or running."""
    return connection.execute(_FIRST_UNFINISHED, {"aggregate": aggregate_id}).first() is not None


def last_verdict(connection: Connection, aggregate_id: int) -> OperationState | None:
    """How the last operation that left a mark ended; failed ones were undone and left none."""
    state = connection.execute(_LAST_VERDICT, {"aggregate": aggregate_id}).scalar()
    return None if state is None else OperationState(state)


def change(connection: Connection, number: int, **values: Any) -> None:
    """Change columns of a row that the transaction has locked."""
    connection.execute(_CHANGE, {**values, "number": number})


def change_owned(connection: Connection, operation: Operation, **values: Any) -> bool:
    """Change columns if the operation still runs under this fencing number; whether it does."""
    owned = {"wanted": operation.uuid, "owned": operation.fence}
    changed = {**values, **owned, "updated_at": utcnow()}
    return connection.execute(_CHANGE_OWNED, changed).rowcount == 1


def cancel_wanted(connection: Connection, operation: Operation) -> bool | None:
    """Whether a cancel is asked for; None when it no longer runs under this fencing number."""
    statement = sa.select(operations.c.cancel_requested).where(
        operations.c.uuid == operation.uuid,
        operations.c.fence == operation.fence,
        operations.c.state == OperationState.RUNNING,
    )
    found = connection.execute(statement).scalar()
    return None if found is None else bool(found)
