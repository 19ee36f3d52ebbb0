"""Fills a migrated database with aggregates, hosts and metadata by plain SQL."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_aggregates.db import tables
from nova_aggregates.db.engine import Database

BATCH = 1000
ZONE = "bench"
MOMENT = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - the database keeps naive UTC


@dataclasses.dataclass(frozen=True, slots=True)
class DataSet:
    aggregates: int
    hosts: int = 10  # of each aggregate
    metadata: int = 5  # of each aggregate
    free_hosts: int = 64  # in no aggregate, for add_host


def free_host(number: int) -> str:
    """The name of a host that is in no aggregate."""
    return f"free-{number:05d}"


def seed(url: str, wanted: DataSet) -> None:
    """Make the database hold exactly ``wanted``."""
    database = Database(url)
    try:
        with database.transaction() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                if table is not tables.generation:
                    connection.execute(sa.delete(table))
            for table, rows in _content(wanted):
                _insert(connection, table, rows)
            connection.execute(
                sa.update(tables.generation).values(value=tables.generation.c.value + 1)
            )
            if connection.dialect.name == "postgresql":
                _move_sequences(connection)
    finally:
        database.dispose()
    _analyze(url)


def _analyze(url: str) -> None:
    """Statistics as the servers gather them by themselves after a while."""
    database = Database(url)
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    verb = "ANALYZE TABLE" if engine.dialect.name == "mysql" else "ANALYZE"
    with engine.connect() as connection:
        for table in tables.metadata.sorted_tables:
            connection.exec_driver_sql(f"{verb} {table.name}")
    database.dispose()


def _content(wanted: DataSet) -> Iterator[tuple[sa.Table, Iterable[dict[str, Any]]]]:
    numbers = range(1, wanted.aggregates + 1)
    members = range(1, wanted.aggregates * wanted.hosts + 1)
    yield tables.aggregates, (_aggregate(number) for number in numbers)
    yield (
        tables.aggregate_metadata,
        (
            {"aggregate_id": number, "key": f"key{key:02d}", "value": f"value-{number}-{key}"}
            for number in numbers
            for key in range(wanted.metadata)
        ),
    )
    yield (
        tables.hosts,
        itertools.chain(
            (_host(number, f"host-{number:05d}", "enabled") for number in members),
            (
                _host(len(members) + 1 + number, free_host(number), "disabled")
                for number in range(wanted.free_hosts)
            ),
        ),
    )
    yield (
        tables.aggregate_hosts,
        (
            {
                "id": number,
                "aggregate_id": (number - 1) // wanted.hosts + 1,
                "host_id": number,
                "pool_slot": number,
            }
            for number in members
        ),
    )


def _aggregate(number: int) -> dict[str, Any]:
    name = f"bench-{number:05d}"
    return {
        "id": number,
        "uuid": str(uuid.UUID(int=number)),
        "name": name,
        "live_name": name,
        "availability_zone": ZONE,
        "kind": "pool",
        "state": "active",
        "generation": 1,
        "created_at": MOMENT,
    }


def _host(number: int, name: str, status: str) -> dict[str, Any]:
    return {
        "id": number,
        "uuid": str(uuid.UUID(int=number)),
        "name": name,
        "address": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "port": 443,
        "username": "root",
        "secret": "none",
        "trust_insecure": True,
        "zone": ZONE,
        "status": status,
        "maintenance_mode": "off_maintenance",
        "created_at": MOMENT,
    }


def _insert(connection: Connection, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    source = iter(rows)
    while batch := list(itertools.islice(source, BATCH)):
        connection.execute(sa.insert(table), batch)


def _move_sequences(connection: Connection) -> None:
    """Rows with numbers of their own do not move PostgreSQL's sequences."""
    for table in (tables.aggregates, tables.hosts, tables.aggregate_hosts):
        last = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        connection.execute(
            sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table.name, "id"), last))
        )
