"""How many hosts each pool can lose: rows and queries."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_aggregates.db.aggregates import is_id
from nova_aggregates.db.tables import headroom
from nova_aggregates.objects import HeadroomFigure


def of_aggregate(connection: Connection, aggregate_id: int) -> HeadroomFigure | None:
    if not is_id(aggregate_id):
        return None
    statement = sa.select(headroom).where(headroom.c.aggregate_id == aggregate_id)
    row = connection.execute(statement).first()
    if row is None:
        return None
    return HeadroomFigure(row.hosts, row.guest, row.reason, tuple(row.lost), row.computed_at)


def put(connection: Connection, aggregate_id: int, figure: HeadroomFigure) -> None:
    values = {
        "hosts": figure.hosts,
        "guest": figure.guest,
        "reason": figure.reason,
        "lost": list(figure.lost),
        "computed_at": figure.computed_at,
    }
    mine = headroom.c.aggregate_id == aggregate_id
    if not connection.execute(sa.update(headroom).where(mine).values(**values)).rowcount:
        connection.execute(sa.insert(headroom).values(aggregate_id=aggregate_id, **values))


def forget(connection: Connection, aggregate_id: int) -> None:
    connection.execute(sa.delete(headroom).where(headroom.c.aggregate_id == aggregate_id))
