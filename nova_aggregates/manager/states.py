"""The tables of legal moves, and the state that an aggregate is in by its facts."""

from __future__ import annotations

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, members, operations
from nova_aggregates.exceptions import IllegalMove
from nova_aggregates.objects import AggregateKind, AggregateState, OperationState

A = AggregateState
O = OperationState  # noqa: E741

AGGREGATE_MOVES: dict[AggregateState, frozenset[AggregateState]] = {
    # A label goes straight between created and active: it has no pool to change.
    A.CREATED: frozenset({A.CHANGING, A.ACTIVE, A.DISMISSED}),
    A.CHANGING: frozenset({A.CREATED, A.ACTIVE, A.ERROR, A.DISMISSED}),
    A.ACTIVE: frozenset({A.CHANGING, A.CREATED, A.DISMISSED}),
    # An empty aggregate in error may become a label, which no pool can put in error.
    # By abandoning what ended as error it becomes what its members say.
    A.ERROR: frozenset({A.CHANGING, A.ACTIVE, A.CREATED, A.DISMISSED}),
    A.DISMISSED: frozenset(),
}

OPERATION_MOVES: dict[OperationState, frozenset[OperationState]] = {
    # Failed without having run: it could not work any more.
    O.QUEUED: frozenset({O.RUNNING, O.FAILED, O.CANCELLED}),
    # To itself: another manager goes on. Back to queued: it waits for a better moment.
    O.RUNNING: frozenset(
        {O.RUNNING, O.QUEUED, O.PAUSED, O.SUCCEEDED, O.FAILED, O.ERROR, O.CANCELLED}
    ),
    O.PAUSED: frozenset({O.QUEUED}),
    O.SUCCEEDED: frozenset(),
    # Queued again: somebody asked for another attempt. Failed after error: it was abandoned.
    O.FAILED: frozenset({O.QUEUED}),
    O.ERROR: frozenset({O.QUEUED, O.FAILED}),
    O.CANCELLED: frozenset({O.QUEUED}),
}


def require_aggregate_move(number: int, old: AggregateState, new: AggregateState) -> None:
    """Do nothing when the move is legal.

    :raises IllegalMove: it is not.
    """
    if new not in AGGREGATE_MOVES[old]:
        raise IllegalMove(old=old, new=new, what=f"aggregate {number}")


def require_operation_move(uuid: str, old: OperationState, new: OperationState) -> None:
    """Do nothing when the move is legal.

    :raises IllegalMove: it is not.
    """
    if new not in OPERATION_MOVES[old]:
        raise IllegalMove(old=old, new=new, what=f"operation {uuid}")


def settle(connection: Connection, row: Row) -> None:
    """Give the locked aggregate the state that its operations and members mean, and mark it as
    changed in any case."""
    old = AggregateState(row.state)
    new = _state_by_facts(connection, row)
    if new is not old:
        require_aggregate_move(row.id, old, new)
    aggregates.change(connection, row.id, state=new)


def _state_by_facts(connection: Connection, row: Row) -> AggregateState:
    if row.deleted_at is not None:
        return A.DISMISSED
    if row.kind == AggregateKind.POOL:
        if operations.has_unfinished(connection, row.id):
            return A.CHANGING
        if operations.last_verdict(connection, row.id) is OperationState.ERROR:
            return A.ERROR
    return A.ACTIVE if members.exist(connection, row.id) else A.CREATED
