"""Aggregates, their metadata and their members: rows and queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.tables import (
    GENERATION_ID,
    ID_MAX,
    aggregate_hosts,
    aggregate_metadata,
    aggregates,
    generation,
    hosts,
)
from nova_aggregates.objects import Aggregate, AggregateKind, AggregateState

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


def fetch_live(connection: Connection, *, availability_zone: str | None = None) -> list[Aggregate]:
    """Every aggregate that is not deleted, oldest first, in three queries."""
    wanted = LIVE
    if availability_zone is not None:
        if not storable(availability_zone):
            return []
        wanted = sa.and_(LIVE, aggregates.c.availability_zone == availability_zone)
    return _fetch(connection, wanted)


def fetch(connection: Connection, aggregate_id: int, *, deleted: bool = False) -> Aggregate | None:
    """One aggregate; a deleted one only on request."""
    if not is_id(aggregate_id):
        return None
    wanted = aggregates.c.id == aggregate_id
    found = _fetch(connection, wanted if deleted else sa.and_(wanted, LIVE))
    return found[0] if found else None


def _fetch(connection: Connection, wanted: Any) -> list[Aggregate]:
    rows = connection.execute(sa.select(aggregates).where(wanted).order_by(aggregates.c.id)).all()
    if not rows:
        return []
    members: defaultdict[int, list[str]] = defaultdict(list)
    statement = (
        sa.select(aggregate_hosts.c.aggregate_id, hosts.c.name)
        .join(aggregates, aggregates.c.id == aggregate_hosts.c.aggregate_id)
        .join(hosts, hosts.c.id == aggregate_hosts.c.host_id)
        .where(wanted)
        .order_by(aggregate_hosts.c.id)
    )
    for aggregate_id, name in connection.execute(statement):
        members[aggregate_id].append(name)
    metadata: defaultdict[int, dict[str, str]] = defaultdict(dict)
    statement = (
        sa.select(aggregate_metadata)
        .join(aggregates, aggregates.c.id == aggregate_metadata.c.aggregate_id)
        .where(wanted)
        .order_by(aggregate_metadata.c.key)
    )
    for aggregate_id, key, value in connection.execute(statement):
        metadata[aggregate_id][key] = value
    return [_aggregate(row, members.get(row.id, []), metadata.get(row.id, {})) for row in rows]


def _aggregate(row: Row, members: list[str], metadata: Mapping[str, str]) -> Aggregate:
    return Aggregate(
        id=row.id,
        uuid=row.uuid,
        name=row.name,
        availability_zone=row.availability_zone,
        kind=AggregateKind(row.kind),
        state=AggregateState(row.state),
        hosts=tuple(members),
        metadata=metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted=row.deleted_at is not None,
        deleted_at=row.deleted_at,
    )


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


def current_generation(connection: Connection) -> int:
    """Equal numbers mean equal lists of aggregates and hosts (inventory and last seen aside)."""
    statement = sa.select(generation.c.value).where(generation.c.id == GENERATION_ID)
    return int(connection.execute(statement).scalar_one())
