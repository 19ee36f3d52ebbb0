"""Facts about the pools behind aggregates: rows and queries."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db.aggregates import is_id
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import pools


def by_aggregate(connection: Connection, aggregate_id: int) -> Row | None:
    """The row of the pool behind the aggregate."""
    if not is_id(aggregate_id):
        return None
    return connection.execute(sa.select(pools).where(pools.c.aggregate_id == aggregate_id)).first()


def by_xen_uuid(connection: Connection, xen_uuid: str) -> Row | None:
    """The row of the pool with this uuid, whichever aggregate it is behind; the newest one, because
    a deleted aggregate may have had it before."""
    statement = (
        sa.select(pools)
        .where(pools.c.xen_uuid == xen_uuid)
        .order_by(pools.c.aggregate_id.desc())
        .limit(1)
    )
    return connection.execute(statement).first()


def write(connection: Connection, aggregate_id: int, **values: Any) -> None:
    """Make or replace the row. The aggregate must be locked."""
    changed = connection.execute(
        sa.update(pools)
        .where(pools.c.aggregate_id == aggregate_id)
        .values(**values, updated_at=utcnow())
    )
    if not changed.rowcount:
        connection.execute(
            sa.insert(pools).values(aggregate_id=aggregate_id, **values, updated_at=utcnow())
        )


def set_master(connection: Connection, aggregate_id: int, host_id: int) -> None:
    """Another member is the master."""
    connection.execute(
        sa.update(pools)
        .where(pools.c.aggregate_id == aggregate_id)
        .values(master_host_id=host_id, updated_at=utcnow())
    )


def delete(connection: Connection, aggregate_id: int) -> None:
    """There is no pool any more."""
    connection.execute(sa.delete(pools).where(pools.c.aggregate_id == aggregate_id))


def forget_master(connection: Connection, host_id: int) -> None:
    """Remove what is known of pools that this host was the last known master of."""
    connection.execute(sa.delete(pools).where(pools.c.master_host_id == host_id))
