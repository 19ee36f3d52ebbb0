"""How operations end: the state, the aggregate's state, and what a failure puts back.

A failed operation did not happen, so what had been intended by it is taken back. When a later
operation on the same host of the same aggregate waits already, the intention is that one's: the
membership stays as it is, and the later one loses what *it* would put back, because its goal is
what already holds.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, events, hosts, members, operations
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.operations import operations as table
from nova_aggregates.exceptions import OperationLost
from nova_aggregates.manager.states import require_operation_move, settle
from nova_aggregates.objects import (
    Action,
    AggregateKind,
    Finding,
    Operation,
    OperationFailure,
    OperationState,
)

CLAIM_LOST = "HOST_STILL_IN_POOL"


def succeed(connection: Connection, operation: Operation) -> Operation:
    """See ``OperationManager.succeed``."""
    aggregate = aggregates.lock(connection, operation.aggregate_id)
    row = lock_owned(connection, operation)
    return _finish(connection, aggregate, row, OperationState.SUCCEEDED, progress=100)


def fail(
    connection: Connection,
    operation: Operation,
    failure: OperationFailure,
    findings: Collection[Finding],
) -> Operation:
    """See ``OperationManager.fail``."""
    rows = lock_all(connection, operation.aggregate_id, operation.host_id)
    row = lock_owned(connection, operation)
    aggregate = rows[row.aggregate_id]
    _put_back(connection, rows, aggregate, row)
    values = _failure_columns(failure)
    if findings:
        values["findings"] = operations.findings_json(findings)
    return _finish(connection, aggregate, row, OperationState.FAILED, **values)


def cancelled(connection: Connection, operation: Operation) -> Operation:
    """See ``OperationManager.cancelled``."""
    rows = lock_all(connection, operation.aggregate_id, operation.host_id)
    return cancel_row(connection, rows, lock_owned(connection, operation))


def cancel_row(connection: Connection, rows: dict[int, Row], row: Row) -> Operation:
    """End a locked operation that has left nothing at the hypervisor."""
    aggregate = rows[row.aggregate_id]
    _put_back(connection, rows, aggregate, row)
    return _finish(connection, aggregate, row, OperationState.CANCELLED)


def abandon_row(
    connection: Connection, rows: dict[int, Row], row: Row, failure: OperationFailure
) -> Operation:
    """Give up a locked operation that ended as error. A host that did not leave is a member since
    then, so there is nothing to put back for it."""
    aggregate = rows[row.aggregate_id]
    if row.action != Action.REMOVE_HOST:
        _put_back(connection, rows, aggregate, row)
    return _finish(connection, aggregate, row, OperationState.FAILED, **_failure_columns(failure))


def postpone(
    connection: Connection,
    operation: Operation,
    not_before: datetime.datetime,
    failure: OperationFailure,
) -> Operation:
    """See ``OperationManager.postpone``."""
    aggregates.lock(connection, operation.aggregate_id)
    row = lock_owned(connection, operation)
    require_operation_move(row.uuid, OperationState(row.state), OperationState.QUEUED)
    values = _failure_columns(failure)
    operations.change(
        connection,
        row.id,
        state=OperationState.QUEUED,
        running_slot=None,
        owner=None,
        # Whoever asked for the end meanwhile shall not wait for another attempt.
        not_before=None if row.cancel_requested else not_before,
        updated_at=utcnow(),
        **values,
    )
    data = {"not_before": not_before.isoformat(), **values}
    events.add(connection, row.id, row.fence, "postponed", data)
    return operations.operation_of(operations.by_uuid(connection, row.uuid))


def error(connection: Connection, operation: Operation, failure: OperationFailure) -> Operation:
    """See ``OperationManager.error``."""
    rows = lock_all(connection, operation.aggregate_id, operation.host_id)
    row = lock_owned(connection, operation)
    aggregate = rows[row.aggregate_id]
    if (
        row.action == Action.REMOVE_HOST
        and row.membership_id is not None
        and not _later(connection, row)
    ):
        _restore_member(connection, rows, aggregate, row)
    return _finish(connection, aggregate, row, OperationState.ERROR, **_failure_columns(failure))


def lock_all(connection: Connection, aggregate_id: int, host_id: int | None) -> dict[int, Row]:
    """The host, then every aggregate in which something waits for it, by number."""
    wanted = {aggregate_id}
    if host_id is not None:
        hosts.by_id(connection, host_id, locked=True)
        others = operations.unfinished(connection, table.c.host_id == host_id)
        wanted |= {other.aggregate_id for other in others}
    locked = {number: aggregates.lock(connection, number) for number in sorted(wanted)}
    return {number: row for number, row in locked.items() if row is not None}


def lock_owned(connection: Connection, operation: Operation) -> Row:
    """The row, held.

    :raises OperationLost: another manager owns it now, or it has ended.
    """
    row = operations.by_uuid(connection, operation.uuid, locked=True)
    if row is None or row.fence != operation.fence or row.state != OperationState.RUNNING:
        raise OperationLost(uuid=operation.uuid, fence=operation.fence)
    return row


def _finish(
    connection: Connection, aggregate: Row, row: Row, state: OperationState, **values: Any
) -> Operation:
    _end_row(connection, row, state, **values)
    if row.action != Action.PREFLIGHT:
        settle(connection, aggregate)
    aggregates.bump_generation(connection)
    return operations.operation_of(operations.by_uuid(connection, row.uuid))


def _end_row(connection: Connection, row: Row, state: OperationState, **values: Any) -> None:
    require_operation_move(row.uuid, OperationState(row.state), state)
    now = utcnow()
    operations.change(
        connection,
        row.id,
        state=state,
        running_slot=None,
        finished_at=now,
        updated_at=now,
        not_before=None,
        **values,
    )
    data = {key: value for key, value in values.items() if key.startswith("failure_")}
    events.add(connection, row.id, row.fence, state, data)


def _failure_columns(failure: OperationFailure) -> dict[str, Any]:
    return {
        "failure_code": failure.code,
        "failure_message": failure.message,
        "failure_cure": failure.cure,
    }


def _put_back(connection: Connection, rows: dict[int, Row], aggregate: Row, row: Row) -> None:
    if row.action == Action.RENAME_POOL:
        _put_back_name(connection, aggregate, row)
    elif row.membership_id is not None:
        later = _later(connection, row)
        if later:
            operations.change(connection, later[0].id, membership_id=None)
        elif row.action == Action.ADD_HOST:
            members.remove(connection, row.membership_id)
        else:
            _restore_member(connection, rows, aggregate, row)


def _later(connection: Connection, row: Row) -> list[Row]:
    return operations.unfinished(
        connection,
        table.c.aggregate_id == row.aggregate_id,
        table.c.host_id == row.host_id,
        table.c.action.in_((Action.ADD_HOST, Action.REMOVE_HOST)),
        operations.before(row, table),
    )


def _restore_member(connection: Connection, rows: dict[int, Row], aggregate: Row, row: Row) -> None:
    if aggregate.deleted_at is not None or row.host_id is None:
        return
    _fail_claims(connection, rows, aggregate, row)
    if not any(m.pool_slot is not None for m in members.of_host(connection, row.host_id)):
        members.add(connection, aggregate.id, row.host_id, AggregateKind.POOL, row.membership_id)


def _fail_claims(connection: Connection, rows: dict[int, Row], aggregate: Row, row: Row) -> None:
    """Other aggregates wait for a host that does not come free."""
    claims = operations.unfinished(
        connection,
        table.c.host_id == row.host_id,
        table.c.aggregate_id != aggregate.id,
        table.c.action == Action.ADD_HOST,
        operations.before(row, table),
    )
    failure = OperationFailure(
        code=CLAIM_LOST,
        message=f"Host {row.host_name} could not leave aggregate {aggregate.name} "
        f"(id {aggregate.id}), so it cannot join another one.",
        cure=f"See how operation {row.uuid} ended, remove the host from that aggregate, then add "
        "it here again.",
    )
    for claim in claims:
        _put_back(connection, rows, rows[claim.aggregate_id], claim)
        _end_row(connection, claim, OperationState.FAILED, **_failure_columns(failure))
        settle(connection, rows[claim.aggregate_id])


def _put_back_name(connection: Connection, aggregate: Row, row: Row) -> None:
    renames = operations.unfinished(
        connection,
        table.c.aggregate_id == row.aggregate_id,
        table.c.action == Action.RENAME_POOL,
        operations.before(row, table),
    )
    former = row.parameters["former"]
    if renames:
        parameters = {**renames[0].parameters, "former": former}
        operations.change(connection, renames[0].id, parameters=parameters)
    elif (
        aggregate.deleted_at is None
        and aggregate.name == row.parameters["name"]
        and not aggregates.name_is_taken(connection, former)
    ):
        aggregates.change(connection, aggregate.id, name=former, live_name=former)
