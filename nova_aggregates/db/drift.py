"""What the last audit of each aggregate found: rows and queries."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db.aggregates import is_id
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import drift
from nova_aggregates.objects import Drift, DriftFinding, DriftPolicy


def fetch(connection: Connection, *, aggregate_id: int | None) -> list[Drift]:
    """Of one aggregate or of all, oldest first."""
    statement = sa.select(drift).order_by(drift.c.first_seen, drift.c.id)
    if aggregate_id is not None:
        if not is_id(aggregate_id):
            return []
        statement = statement.where(drift.c.aggregate_id == aggregate_id)
    return [_drift_of(row) for row in connection.execute(statement)]


def _drift_of(row: Row) -> Drift:
    finding = DriftFinding(
        host=row.host,
        kind=row.kind,
        expected=row.expected,
        found=row.found,
        message=row.message,
        cure=row.cure,
        policy=DriftPolicy(row.policy),
    )
    return Drift(row.id, row.aggregate_id, finding, row.first_seen, row.last_seen)


def replace(
    connection: Connection, aggregate_id: int, findings: Collection[DriftFinding]
) -> tuple[list[DriftFinding], list[DriftFinding]]:
    """Make ``findings`` the whole of what the aggregate has; the new ones, and those that are gone.
    The aggregate must be locked."""
    known = {_identity(each.finding): each for each in fetch(connection, aggregate_id=aggregate_id)}
    wanted = {_identity(finding): finding for finding in findings}
    gone = [known[identity] for identity in known if identity not in wanted]
    if gone:
        connection.execute(sa.delete(drift).where(drift.c.id.in_([each.id for each in gone])))
    now = utcnow()
    new = []
    for identity, finding in wanted.items():
        values = {**_texts(finding), "last_seen": now}
        if identity in known:
            changed = sa.update(drift).where(drift.c.id == known[identity].id)
            connection.execute(changed.values(**values))
        else:
            new.append(finding)
            row = _row(finding, aggregate_id)
            connection.execute(sa.insert(drift).values(**row, **values, first_seen=now))
    return new, [each.finding for each in gone]


def forget(connection: Connection, number: int) -> None:
    """It is no difference any more."""
    connection.execute(sa.delete(drift).where(drift.c.id == number))


def _identity(finding: DriftFinding) -> tuple[Any, ...]:
    """What makes it the same difference as at the last look."""
    return (finding.kind, finding.host, finding.expected, finding.found)


def _texts(finding: DriftFinding) -> dict[str, Any]:
    return {"message": finding.message, "cure": finding.cure, "policy": finding.policy}


def _row(finding: DriftFinding, aggregate_id: int) -> dict[str, Any]:
    return {
        "aggregate_id": aggregate_id,
        "host": finding.host,
        "kind": finding.kind,
        "expected": finding.expected,
        "found": finding.found,
    }
