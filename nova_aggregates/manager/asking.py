"""What people ask of an operation that exists: cancel, retry, abandon. The rows are locked.

``note`` writes who asked into the history. It is called after the checks, because the number of an
event that is rolled back leaves a gap, at which readers wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations
from nova_aggregates.db.clock import utcnow
from nova_aggregates.exceptions import (
    AggregateNameTaken,
    HostNotFound,
    NovaAggregatesError,
    OperationCannotBeAbandoned,
    OperationCannotBeCancelled,
    OperationCannotBeRetried,
)
from nova_aggregates.manager import ending, membership
from nova_aggregates.manager.states import require_operation_move, settle
from nova_aggregates.objects import (
    Action,
    AggregateKind,
    Operation,
    OperationFailure,
    OperationState,
    ZoneRule,
)

Note = Callable[[], None]
ABANDONED = OperationFailure(
    code="ABANDONED",
    message="It had ended half-way and was given up. The pool is as the operation left it.",
    cure="The drift of the aggregate shows where the pool and the record differ.",
)


def cancel(connection: Connection, rows: dict[int, Row], row: Row, note: Note) -> Operation:
    """See ``OperationManager.cancel``."""
    state = OperationState(row.state)
    if state.ended:
        raise OperationCannotBeCancelled(uuid=row.uuid, reason=f"it has ended as {state}")
    if row.uncancellable_reason is not None:
        raise OperationCannotBeCancelled(uuid=row.uuid, reason=row.uncancellable_reason)
    note()
    if state is OperationState.QUEUED and not row.attempts:
        return ending.cancel_row(connection, rows, row)
    # A manager has had it in its hands, and only a manager knows what that left at the pool.
    operations.change(
        connection,
        row.id,
        # A paused one is put back by a manager, too.
        state=OperationState.QUEUED if state is OperationState.PAUSED else state,
        cancel_requested=True,
        not_before=None,
        updated_at=utcnow(),
    )
    return _answer(connection, row)


def abandon(connection: Connection, rows: dict[int, Row], row: Row, note: Note) -> Operation:
    """See ``OperationManager.abandon``."""
    if row.state != OperationState.ERROR:
        raise OperationCannotBeAbandoned(uuid=row.uuid, state=row.state)
    note()
    return ending.abandon_row(connection, rows, row, ABANDONED)


def retry(connection: Connection, rows: dict[int, Row], row: Row, note: Note) -> Operation:
    """See ``OperationManager.retry``."""
    state = OperationState(row.state)
    if state not in (OperationState.FAILED, OperationState.ERROR, OperationState.CANCELLED):
        raise OperationCannotBeRetried(uuid=row.uuid, reason=f"it is {state}")
    require_operation_move(row.uuid, state, OperationState.QUEUED)
    aggregate = rows[row.aggregate_id]
    if aggregate.kind == AggregateKind.LABEL:
        raise OperationCannotBeRetried(
            uuid=row.uuid, reason=f"aggregate {aggregate.id} is a plain label now"
        )
    try:
        intended = _intend_again(connection, aggregate, row)
    except NovaAggregatesError as fact:
        raise OperationCannotBeRetried(uuid=row.uuid, reason=str(fact)) from None
    note()
    operations.change(
        connection,
        row.id,
        state=OperationState.QUEUED,
        turn=operations.next_turn(connection),
        step=None,
        progress=0,
        findings=[],
        failure_code=None,
        failure_message=None,
        failure_cure=None,
        owner=None,
        not_before=None,
        cancel_requested=False,
        uncancellable_reason=None,
        finished_at=None,
        updated_at=utcnow(),
        **intended,
    )
    if row.action != Action.PREFLIGHT:
        settle(connection, aggregate)
    return _answer(connection, row)


def _answer(connection: Connection, row: Row) -> Operation:
    aggregates.bump_generation(connection)
    return operations.operation_of(operations.by_uuid(connection, row.uuid))


def _intend_again(connection: Connection, aggregate: Row, row: Row) -> dict[str, Any]:
    """Make the intended change again; the columns of the operation that follow from it."""
    if row.action == Action.RENAME_POOL:
        return _rename_again(connection, aggregate, row)
    if row.action == Action.ROLLING_UPDATE:
        membership.lock_live(connection, aggregate.id)
        return {"directive": None}
    host = hosts.by_id(connection, row.host_id) if row.host_id is not None else None
    if host is None:
        raise HostNotFound(host=row.host_name)
    if row.action == Action.ADD_HOST:
        return _join_again(connection, aggregate, host, row)
    if row.action == Action.REMOVE_HOST:
        return _leave_again(connection, aggregate, host, row)
    if row.action not in (Action.PREFLIGHT,):
        membership.require_member(connection, host, aggregate)
    return {}


def _join_again(connection: Connection, aggregate: Row, host: Row, row: Row) -> dict[str, Any]:
    membership.lock_live(connection, aggregate.id)
    kept = [m for m in members.of_host(connection, host.id) if m.id == row.membership_id]
    if kept and row.state == OperationState.ERROR:
        return {}  # An error leaves the membership as it is.
    if row.membership_id is None and _is_member(connection, host, aggregate):
        return {}  # It puts nothing back, because the membership is not its own.
    membership.require_may_join(connection, host, aggregate, ZoneRule.AGGREGATES)
    number = members.add(connection, aggregate.id, host.id, AggregateKind.POOL)
    return {"membership_id": number}


def _is_member(connection: Connection, host: Row, aggregate: Row) -> bool:
    return any(m.aggregate_id == aggregate.id for m in members.of_host(connection, host.id))


def _leave_again(connection: Connection, aggregate: Row, host: Row, row: Row) -> dict[str, Any]:
    if aggregate.deleted_at is not None:
        return {"membership_id": None}  # The pool may have kept the host all the same.
    mine = membership.require_member(connection, host, aggregate)
    membership.require_nothing_lost(host, row.parameters.get("confirm"))
    members.remove(connection, mine.id)
    return {"membership_id": mine.id}


def _rename_again(connection: Connection, aggregate: Row, row: Row) -> dict[str, Any]:
    membership.lock_live(connection, aggregate.id)
    name = row.parameters["name"]
    if name == aggregate.name:
        return {}
    if aggregates.name_is_taken(connection, name):
        raise AggregateNameTaken(name=name)
    aggregates.change(connection, aggregate.id, name=name, live_name=name)
    return {"parameters": {**row.parameters, "former": aggregate.name}}
