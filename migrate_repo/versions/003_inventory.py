"""Guests of hosts, contact that was lost, services that are forced down. Only adds. Frozen: a later
change is a later script."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from nova_aggregates.db.types import Instant, Json, LongText

PLAIN_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

metadata = sa.MetaData()
# The former table, as far as it is named here.
hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("contact_lost_at", Instant),
    sa.Column("contact_lost_reason", LongText),
    sa.Column(
        "forced_down",
        sa.Boolean(create_constraint=False),
        nullable=False,
        server_default=sa.false(),
    ),
)
NEW_COLUMNS = ("contact_lost_at", "contact_lost_reason", "forced_down")
host_guests = sa.Table(
    "host_guests",
    metadata,
    sa.Column(
        "host_id",
        sa.Integer,
        sa.ForeignKey("hosts.id", name="fk_host_guests_host"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("guests", Json, nullable=False),
    **PLAIN_OPTIONS,
)


def upgrade(migrate_engine: sa.engine.Engine) -> None:
    with migrate_engine.begin() as connection:
        # What an interrupted run left behind (MySQL has no transactional DDL) is kept.
        for name in NEW_COLUMNS:
            if not _has_column(connection, name):
                column = CreateColumn(hosts.c[name]).compile(dialect=connection.dialect)
                connection.execute(sa.text(f"ALTER TABLE hosts ADD COLUMN {column}"))
        metadata.create_all(connection, tables=[host_guests])


def downgrade(migrate_engine: sa.engine.Engine) -> None:
    with migrate_engine.begin() as connection:
        metadata.drop_all(connection, tables=[host_guests])
        for name in reversed(NEW_COLUMNS):
            if _has_column(connection, name):
                connection.execute(sa.text(f"ALTER TABLE hosts DROP COLUMN {name}"))


def _has_column(connection: Connection, name: str) -> bool:
    return any(each["name"] == name for each in sa.inspect(connection).get_columns("hosts"))
