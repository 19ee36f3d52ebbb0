"""How many rows are in which state."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_aggregates.db.tables import aggregates, drift, hosts, operations
from nova_aggregates.objects import Statistics


def fetch(connection: Connection) -> Statistics:
    """Everything that is counted, in one snapshot."""
    return Statistics(
        aggregates=_count(connection, aggregates.c.state),
        hosts=_count(connection, hosts.c.status, hosts.c.maintenance_mode),
        operations=_count(connection, operations.c.action, operations.c.state),
        drift=_count(connection, drift.c.kind, drift.c.policy),
    )


def _count(connection: Connection, *columns: sa.Column) -> dict[tuple[str, ...], int]:
    statement = sa.select(*columns, sa.func.count()).group_by(*columns)
    return {tuple(row[:-1]): row[-1] for row in connection.execute(statement)}
