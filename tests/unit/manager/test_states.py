"""The tables of legal moves, each move and each non-move of them."""

from __future__ import annotations

import itertools

import pytest

from nova_aggregates.exceptions import IllegalMove
from nova_aggregates.manager.states import require_aggregate_move, require_operation_move
from nova_aggregates.objects import AggregateState as A
from nova_aggregates.objects import OperationState as O

AGGREGATE = {
    (A.CREATED, A.CHANGING),
    (A.CREATED, A.ACTIVE),
    (A.CREATED, A.DISMISSED),
    (A.CHANGING, A.CREATED),
    (A.CHANGING, A.ACTIVE),
    (A.CHANGING, A.ERROR),
    (A.CHANGING, A.DISMISSED),
    (A.ACTIVE, A.CHANGING),
    (A.ACTIVE, A.CREATED),
    (A.ACTIVE, A.DISMISSED),
    (A.ERROR, A.CHANGING),
    (A.ERROR, A.ACTIVE),
    (A.ERROR, A.CREATED),
    (A.ERROR, A.DISMISSED),
}
OPERATION = {
    (O.QUEUED, O.RUNNING),
    (O.QUEUED, O.FAILED),
    (O.QUEUED, O.CANCELLED),
    (O.RUNNING, O.RUNNING),
    (O.RUNNING, O.SUCCEEDED),
    (O.RUNNING, O.FAILED),
    (O.RUNNING, O.ERROR),
    (O.RUNNING, O.CANCELLED),
    (O.RUNNING, O.QUEUED),
    (O.RUNNING, O.PAUSED),
    (O.PAUSED, O.QUEUED),
    (O.FAILED, O.QUEUED),
    (O.CANCELLED, O.QUEUED),
    (O.ERROR, O.QUEUED),
    (O.ERROR, O.FAILED),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(A, A)))
def test_aggregates(old: A, new: A) -> None:
    if (old, new) in AGGREGATE:
        require_aggregate_move(1, old, new)
    else:
        with pytest.raises(IllegalMove):
            require_aggregate_move(1, old, new)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(O, O)))
def test_operations(old: O, new: O) -> None:
    if (old, new) in OPERATION:
        require_operation_move("uuid", old, new)
    else:
        with pytest.raises(IllegalMove):
            require_operation_move("uuid", old, new)


def test_what_has_ended_stays_so() -> None:
    assert O.SUCCEEDED not in {old for old, _ in OPERATION}
    left = {(old, new) for old, new in OPERATION if old.ended and new is not O.QUEUED}
    assert left == {(O.ERROR, O.FAILED)}, "only a new attempt or giving up leaves an end"
    assert A.DISMISSED not in {old for old, _ in AGGREGATE}
