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

# Statements that every change needs are made once; making one costs as much as executing it.
_NUMBER = aggregates.c.id == sa.bindparam("number")
_LOCK = sa.select(aggregates).where(_NUMBER).with_for_update(key_share=True)
_BY_NAME = sa.select(aggregates.c.id).where(aggregates.c.live_name == sa.bindparam("name"))
_INSERT = sa.insert(aggregates)
_CHANGE = sa.update(aggregates).where(_NUMBER).values(generation=aggregates.c.generation + 1)
_METADATA = sa.select(aggregate_metadata.c.key, aggregate_metadata.c.value).where(
    aggregate_metadata.c.aggregate_id == sa.bindparam("number")
)
_FORGET_METADATA = sa.delete(aggregate_metadata).where(
    aggregate_metadata.c.aggregate_id == sa.bindparam("number"),
    aggregate_metadata.c.key.in_(sa.bindparam("keys", expanding=True)),
)
_ADD_METADATA = sa.insert(aggregate_metadata)
_BUMP = (
    sa.update(generation)
    .where(generation.c.id == GENERATION_ID)
    .values(value=generation.c.value + 1)
)


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
    return connection.execute(_LOCK, {"number": aggregate_id}).first()


def name_is_taken(connection: Connection, name: str, *, by_other_than: int | None = None) -> bool:
    """Whether a live aggregate (other than the given one) has the name."""
    taken = connection.execute(_BY_NAME, {"name": name}).scalar()
    return taken is not None and taken != by_other_than


def insert(connection: Connection, **values: Any) -> int:
    """A new row; the number that it got."""
    result = connection.execute(_INSERT, {**values, "generation": 1})
    return int(result.inserted_primary_key[0])


def change(connection: Connection, aggregate_id: int, **values: Any) -> None:
    """Change columns; ``updated_at`` and the row's generation move in any case."""
    values.setdefault("updated_at", utcnow())
    connection.execute(_CHANGE, {**values, "number": aggregate_id})


def metadata_of(connection: Connection, aggregate_id: int) -> dict[str, str]:
    """The metadata as stored."""
    return {row.key: row.value for row in connection.execute(_METADATA, {"number": aggregate_id})}


def write_metadata(
    connection: Connection, aggregate_id: int, old: Mapping[str, str], new: Mapping[str, str]
) -> None:
    """Make ``new`` out of ``old`` in at most two statements. The aggregate must be locked."""
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    gone = (old.keys() - new.keys()) | (changed.keys() & old.keys())
    if gone:
        connection.execute(_FORGET_METADATA, {"number": aggregate_id, "keys": sorted(gone)})
    if changed:
        connection.execute(
            _ADD_METADATA,
            [
                {"aggregate_id": aggregate_id, "key": key, "value": value}
                for key, value in changed.items()
            ],
        )


def bump_generation(connection: Connection) -> None:
    """Last in a transaction: whoever holds this row keeps every other writer waiting."""
    connection.execute(_BUMP)
