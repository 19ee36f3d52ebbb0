"""Aggregates with their members and metadata, in two questions whatever their number; what did not
change since the last time is not read again."""

from __future__ import annotations

import datetime
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql import Select

from nova_aggregates.db.aggregates import LIVE, is_id, storable
from nova_aggregates.db.engine import Ask, Database
from nova_aggregates.db.reading import Question, Rows, in_turns, instant
from nova_aggregates.db.tables import (
    GENERATION_ID,
    aggregate_hosts,
    aggregate_metadata,
    aggregates,
    generation,
    hosts,
)
from nova_aggregates.objects import Aggregate, AggregateKind, AggregateState

KEPT = 20_000  # aggregates, some 2 KiB each
FEW = 16  # so many are asked for by number; of more, everything is read

_ROWS = sa.select(
    aggregates.c.id,
    aggregates.c.generation,
    aggregates.c.uuid,
    aggregates.c.name,
    aggregates.c.availability_zone,
    aggregates.c.kind,
    aggregates.c.state,
    aggregates.c.created_at,
    aggregates.c.updated_at,
    aggregates.c.deleted_at,
)
_ALL = Question(_ROWS.where(LIVE).order_by(aggregates.c.id), long=True)
_IN_ZONE = Question(
    _ROWS.where(LIVE, aggregates.c.availability_zone == sa.bindparam("zone")).order_by(
        aggregates.c.id
    ),
    long=True,
)
_CHANGED = Question(
    _ROWS.where(
        sa.or_(
            *(
                column >= sa.bindparam("since")
                for column in (
                    aggregates.c.created_at,
                    aggregates.c.updated_at,
                    aggregates.c.deleted_at,
                )
            )
        )
    ).order_by(aggregates.c.id),
    long=True,
)
_ANY_ONE = Question(_ROWS.where(aggregates.c.id == sa.bindparam("number")))
_LIVE_ONE = Question(_ROWS.where(aggregates.c.id == sa.bindparam("number"), LIVE))


def _details(numbers: Any) -> Select:
    """Members (with a place and no value) and metadata (with a value) in one."""
    member, item = aggregate_hosts.c, aggregate_metadata.c
    return sa.union_all(
        sa.select(member.aggregate_id, member.id, hosts.c.name, sa.null())
        .join(hosts, hosts.c.id == member.host_id)
        .where(member.aggregate_id.in_(numbers)),
        sa.select(item.aggregate_id, sa.null(), item.key, item.value).where(
            item.aggregate_id.in_(numbers)
        ),
    )


_DETAILS = Question(_details(sa.select(aggregates.c.id).where(LIVE)), long=True)
_DETAILS_OF_ONE = Question(_details([sa.bindparam("number")]))
_NAMES = tuple(f"number{place}" for place in range(FEW))
_DETAILS_OF_FEW = Question(_details([sa.bindparam(name) for name in _NAMES]))

_GENERATION = Question(sa.select(generation.c.value).where(generation.c.id == GENERATION_ID))
_ROW_GENERATION = Question(
    sa.select(aggregates.c.generation).where(aggregates.c.id == sa.bindparam("number"), LIVE)
)


def current_generation(database: Database) -> int:
    """Equal numbers mean equal lists of aggregates and hosts (inventory and last seen aside)."""
    return int(database.ask(_GENERATION)[0][0])


def generation_of(database: Database, aggregate_id: int) -> int | None:
    """Equal numbers mean that a live aggregate is the same in everything; None when there is
    none."""
    if not is_id(aggregate_id):
        return None
    rows = database.ask(_ROW_GENERATION, number=aggregate_id)
    return int(rows[0][0]) if rows else None


def fetch(connection: Connection, aggregate_id: int, *, deleted: bool = False) -> Aggregate | None:
    """One aggregate as a transaction sees it; a deleted one only on request."""

    def ask(question: Question, **values: Any) -> Rows:
        return question.ask(connection.dialect, connection.connection, values)

    if not is_id(aggregate_id):
        return None
    rows = ask(_ANY_ONE if deleted else _LIVE_ONE, number=aggregate_id)
    return _made(rows, ask(_DETAILS_OF_ONE, number=aggregate_id))[0] if rows else None


class Shelf:
    """What a process has read of committed aggregates, by number and generation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[int, Aggregate] = {}

    def fetch_live(self, *, availability_zone: str | None = None) -> list[Aggregate]:
        """Every aggregate that is not deleted, oldest first.

        :raises DatabaseUnavailable: the database cannot be reached.
        """
        if availability_zone is None:
            return self._database.snapshot(lambda ask: self._complete(ask, ask(_ALL)))
        if not storable(availability_zone):
            return []
        return self._database.snapshot(
            lambda ask: self._complete(ask, ask(_IN_ZONE, zone=availability_zone))
        )

    def fetch_changed(self, since: datetime.datetime) -> list[Aggregate]:
        """Every aggregate that was created, changed or deleted then or later, oldest first.

        :raises DatabaseUnavailable: the database cannot be reached.
        """
        # The form in which SQLite keeps times, and the others read them.
        text = since.isoformat(" ", "microseconds")

        def work(ask: Ask) -> list[Aggregate]:
            rows = ask(_CHANGED, since=text)
            found = self._complete(ask, [row for row in rows if row[-1] is None])
            gone = [row for row in rows if row[-1] is not None]
            # The question for all details is about live ones only.
            for start in range(0, len(gone), FEW):
                found += self._complete(ask, gone[start : start + FEW])
            return sorted(found, key=lambda aggregate: aggregate.id)

        return self._database.snapshot(work)

    def fetch(self, aggregate_id: int) -> Aggregate | None:
        """One aggregate; None when there is none or it is deleted.

        :raises DatabaseUnavailable: the database cannot be reached.
        """
        if not is_id(aggregate_id):
            return None
        found = self._database.snapshot(
            lambda ask: self._complete(ask, ask(_LIVE_ONE, number=aggregate_id))
        )
        return found[0] if found else None

    def _complete(self, ask: Ask, rows: Rows) -> list[Aggregate]:
        found = {}
        missing = []
        for row in rows:
            kept = self._kept.get(row[0])
            if kept is not None and kept.generation == row[1]:
                found[kept.id] = kept
            else:
                missing.append(row)
        if missing:
            made = {each.id: each for each in _made(missing, _ask_details(ask, missing))}
            found.update(made)
            if len(self._kept) + len(made) > KEPT:
                self._kept.clear()
            # Whoever saw an older state may overwrite it again, which costs him nothing but speed.
            self._kept.update(made)
        return [found[row[0]] for row in rows]


def _ask_details(ask: Ask, rows: Rows) -> Rows:
    if len(rows) == 1:
        return ask(_DETAILS_OF_ONE, number=rows[0][0])
    if len(rows) > FEW:
        return ask(_DETAILS)
    numbers = [row[0] for row in rows]
    numbers += numbers[-1:] * (FEW - len(numbers))
    return ask(_DETAILS_OF_FEW, **dict(zip(_NAMES, numbers, strict=True)))


def _made(rows: Rows, details: Rows) -> list[Aggregate]:
    members: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    metadata: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for batch in in_turns(details):
        for number, place, name, value in batch:
            if value is None:
                members[number].append((place, name))
            else:
                metadata[number].append((name, value))
    return [
        _aggregate(row, members.get(row[0], []), metadata.get(row[0], []))
        for batch in in_turns(rows)
        for row in batch
    ]


def _aggregate(
    row: tuple[Any, ...], members: list[tuple[int, str]], metadata: list[tuple[str, str]]
) -> Aggregate:
    number, moved, uuid, name, zone, kind, state, created, updated, deleted = row
    return Aggregate(
        id=number,
        uuid=uuid,
        name=name,
        availability_zone=zone,
        kind=AggregateKind(kind),
        state=AggregateState(state),
        hosts=tuple(host for _, host in sorted(members)),
        metadata=dict(sorted(metadata)),
        created_at=instant(created),
        updated_at=instant(updated),
        deleted=deleted is not None,
        deleted_at=instant(deleted),
        generation=moved,
    )
