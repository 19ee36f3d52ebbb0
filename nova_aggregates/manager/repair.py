"""What is done about drift where the policy says more than to report it. Each call is made in one
transaction that holds the aggregate, and changes nothing while operations of it are unfinished."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, drift, hosts, members, operations, pools
from nova_aggregates.db.clock import utcnow
from nova_aggregates.manager.drift_kinds import DriftKind
from nova_aggregates.manager.states import settle
from nova_aggregates.objects import (
    Action,
    AggregateKind,
    Drift,
    HostStatus,
    Operation,
    Requester,
)

AUDIT = Requester(user_id="audit", project_id="nova-aggregates", request_id="audit")
LONGEST_NAME = 255
_ENFORCED_BY = {
    DriftKind.POOL_NAME: Action.RENAME_POOL,
    DriftKind.MASTER: Action.CHANGE_MASTER,
    DriftKind.MEMBER_MISSING: Action.ADD_HOST,
}


def adopt(connection: Connection, found: Drift) -> bool:
    """The record follows the pool; whether it does now. A stranger is not adopted here: what the
    record needs to know of it only an import finds out."""
    finding = found.finding
    host = hosts.by_name(connection, finding.host or finding.found, locked=True)
    row = _lock_at_rest(connection, found.aggregate_id)
    if row is None:
        return False
    if finding.kind == DriftKind.POOL_NAME:
        done = _adopt_name(connection, row, finding.found)
    elif finding.kind == DriftKind.MASTER:
        done = host is not None and _adopt_master(connection, row, host)
    else:
        done = host is not None and _adopt_absence(connection, row, host)
    if done:
        drift.forget(connection, found.id)
        settle(connection, row)
        aggregates.bump_generation(connection)
    return done


def enforce(connection: Connection, found: Drift) -> Operation | None:
    """The operation that makes the pool follow the record. One that did not help is not repeated:
    whoever finds out why can retry it."""
    finding = found.finding
    name = finding.expected if finding.kind == DriftKind.MASTER else finding.host
    host = hosts.by_name(connection, name, locked=True) if name else None
    row = _lock_at_rest(connection, found.aggregate_id)
    action = _ENFORCED_BY[DriftKind(finding.kind)]
    needs_host = action is not Action.RENAME_POOL
    if row is None or (needs_host and host is None) or _was_tried(connection, row, action, found):
        return None
    parameters = {"name": row.name, "former": row.name} if not needs_host else None
    queued = operations.insert(
        connection, AUDIT, action, row.id, host=host if needs_host else None, parameters=parameters
    )
    settle(connection, row)
    aggregates.bump_generation(connection)
    return queued


def _lock_at_rest(connection: Connection, aggregate_id: int) -> Row | None:
    row = aggregates.lock(connection, aggregate_id)
    if row is None or row.deleted_at is not None or row.kind != AggregateKind.POOL:
        return None
    return None if operations.has_unfinished(connection, row.id) else row


def _adopt_name(connection: Connection, row: Row, name: str) -> bool:
    fit = bool(name.strip()) and len(name) <= LONGEST_NAME
    if not fit or aggregates.name_is_taken(connection, name):
        return False
    aggregates.change(connection, row.id, name=name, live_name=name)
    return True


def _adopt_master(connection: Connection, row: Row, host: Row) -> bool:
    if not any(m.aggregate_id == row.id for m in members.of_host(connection, host.id)):
        return False
    pools.set_master(connection, aggregate_id=row.id, host_id=host.id)
    return True


def _adopt_absence(connection: Connection, row: Row, host: Row) -> bool:
    """As after an eject: the host keeps the credentials of the pool."""
    mine = next((m for m in members.of_host(connection, host.id) if m.aggregate_id == row.id), None)
    pool = pools.by_aggregate(connection, row.id)
    if mine is None or pool is None or pool.master_host_id == host.id:
        return False
    members.remove(connection, mine.id)
    hosts.change(
        connection,
        host.id,
        username=pool.username,
        secret=pool.secret,
        status=HostStatus.DISABLED,
        status_reason="it had left the pool of its aggregate",
        updated_at=utcnow(),
    )
    return True


def _was_tried(connection: Connection, row: Row, action: Action, found: Drift) -> bool:
    table = operations.operations
    statement = sa.select(table.c.id).where(
        table.c.aggregate_id == row.id,
        table.c.action == action,
        table.c.user_id == AUDIT.user_id,
        table.c.created_at >= found.first_seen,
    )
    return connection.execute(statement.limit(1)).first() is not None


def seen_before(connection: Connection, aggregate_id: int) -> list[Drift]:
    """What this look and an earlier one have found."""
    found = drift.fetch(connection, aggregate_id=aggregate_id)
    return [each for each in found if each.first_seen < each.last_seen]
