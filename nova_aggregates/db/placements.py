"""Guests that left a host for its maintenance: rows and queries."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import placements
from nova_aggregates.objects import Placement, PlacementState


def of_host(connection: Connection, host_id: int) -> list[Placement]:
    """In the order in which they were noted."""
    return _fetch(connection, placements.c.host_id == host_id)


def of_guests(connection: Connection, guests: Collection[str]) -> list[Placement]:
    """Of any host."""
    return _fetch(connection, placements.c.guest_uuid.in_(sorted(guests)))


def _fetch(connection: Connection, wanted: Any) -> list[Placement]:
    statement = sa.select(placements).where(wanted)
    return [
        Placement(
            host_id=row.host_id,
            guest=row.guest_uuid,
            name=row.guest_name,
            memory=row.memory,
            state=PlacementState(row.state),
            destination=row.destination,
            fence=row.fence,
        )
        for row in connection.execute(statement.order_by(placements.c.id))
    ]


def put(connection: Connection, placement: Placement) -> None:
    """Insert, or replace what is known of this guest."""
    values = {
        "guest_name": placement.name,
        "memory": placement.memory,
        "state": placement.state,
        "destination": placement.destination,
        "fence": placement.fence,
        "updated_at": utcnow(),
    }
    mine = sa.and_(
        placements.c.host_id == placement.host_id, placements.c.guest_uuid == placement.guest
    )
    if not connection.execute(sa.update(placements).where(mine).values(**values)).rowcount:
        connection.execute(
            sa.insert(placements).values(
                host_id=placement.host_id, guest_uuid=placement.guest, **values
            )
        )


def forget(connection: Connection, host_id: int, guest: str | None = None) -> None:
    """One guest of the host, or all of them."""
    statement = sa.delete(placements).where(placements.c.host_id == host_id)
    if guest is not None:
        statement = statement.where(placements.c.guest_uuid == guest)
    connection.execute(statement)
