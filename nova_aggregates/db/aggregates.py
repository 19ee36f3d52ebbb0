"""Aggregates, their metadata and their members: rows and queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import (
    GENERATION_ID,
    ID_MAX,
    aggregate_metadata,
    aggregates,
    generation,
)

LIVE = aggregates.c.deleted_at.is_(None)


def is_id(value: int) -> bool:
    """Whether ``value`` can be the number of a row; a bigger one makes PostgreSQL fail."""
    return 1 <= value <= ID_MAX


def storable(text: str) -> bool:
    """Whether every database can hold ``text``; PostgreSQL cannot hold NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def lock(connection: Connection, aggregate_id: int) -> Row | None:
    """The row, deleted or not, held until the end of the transaction.

    Rows are locked in one order everywhere, or transactions would deadlock: hosts, aggregates (by
    number), operations, generation.
    """
    if not is_id(aggregate_id):
        return None
    statement = sa.select(aggregates).where(aggregates.c.id == aggregate_id)
    return connection.execute(statement.with_for_update(key_share=True)).first()


def name_is_taken(connection: Connection, name: str, *, by_other_than: int | None = None) -> bool:
    """Whether a live aggregate (other than the given one) has the name."""
    statement = sa.select(aggregates.c.id).where(aggregates.c.live_name == name)
    taken = connection.execute(statement).scalar()
    return taken is not None and taken != by_other_than


def insert(connection: Connection, **values: Any) -> int:
    """A new row; the number that it got."""
    result = connection.execute(sa.insert(aggregates).values(**values, generation=1))
    return int(result.inserted_primary_key[0])


def change(connection: Connection, aggregate_id: int, **values: Any) -> None:
    """Change columns; ``updated_at`` and the row's generation move in any case."""
    values.setdefault("updated_at", utcnow())
    connection.execute(
        sa.update(aggregates)
        .where(aggregates.c.id == aggregate_id)
        .values(**values, generation=aggregates.c.generation + 1)
    )


def metadata_of(connection: Connection, aggregate_id: int) -> dict[str, str]:
    """The metadata as stored."""
    statement = sa.select(aggregate_metadata.c.key, aggregate_metadata.c.value).where(
        aggregate_metadata.c.aggregate_id == aggregate_id
    )
    return {row.key: row.value for row in connection.execute(statement)}


def write_metadata(
    connection: Connection, aggregate_id: int, old: Mapping[str, str], new: Mapping[str, str]
) -> None:
    """Make ``new`` out of ``old`` in at most two statements. The aggregate must be locked."""
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    gone = (old.keys() - new.keys()) | (changed.keys() & old.keys())
    if gone:
        connection.execute(
            sa.delete(aggregate_metadata).where(
                aggregate_metadata.c.aggregate_id == aggregate_id,
                aggregate_metadata.c.key.in_(sorted(gone)),
            )
        )
    if changed:
        connection.execute(
            sa.insert(aggregate_metadata),
            [
                {"aggregate_id": aggregate_id, "key": key, "value": value}
                for key, value in changed.items()
            ],
        )


def bump_generation(connection: Connection) -> None:
    """Last in a transaction: whoever holds this row keeps every other writer waiting."""
    connection.execute(
        sa.update(generation)
        .where(generation.c.id == GENERATION_ID)
        .values(value=generation.c.value + 1)
    )
