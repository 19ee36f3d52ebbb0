"""Cancel, retry and back-off of operations, holdings of hosts, drift, idempotency keys and webhook
cursors. Only adds. Frozen: a later change is a later script."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from nova_aggregates.db.types import ExactString, Instant, Json, LongText

OPTIONS: dict[str, Any] = {
    "sqlite_autoincrement": True,
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
}
PLAIN_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

# Former tables, as far as they are named here.
former = sa.MetaData()
aggregates = sa.Table(
    "aggregates",
    former,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", ExactString(16)),
    sa.Column("state", ExactString(16)),
)
aggregate_hosts = sa.Table("aggregate_hosts", former, sa.Column("aggregate_id", sa.Integer))
hosts = sa.Table(
    "hosts",
    former,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("holdings", Json),
)
operations = sa.Table(
    "operations",
    former,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("aggregate_id", sa.Integer),
    sa.Column("action", ExactString(32)),
    sa.Column("state", ExactString(16)),
    sa.Column("turn", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("not_before", Instant),
    sa.Column(
        "cancel_requested",
        sa.Boolean(create_constraint=False),
        nullable=False,
        server_default=sa.false(),
    ),
    sa.Column("uncancellable_reason", LongText),
)
operation_events = sa.Table(
    "operation_events", former, sa.Column("operation_id", sa.Integer, nullable=False)
)
NEW_COLUMNS = (
    (hosts, ("holdings",)),
    (operations, ("turn", "not_before", "cancel_requested", "uncancellable_reason")),
)
TURN_INDEX = sa.Index("ix_operations_turn", operations.c.turn)
NEW_ACTIONS = ("change_master", "preflight")

metadata = sa.MetaData()
sa.Table("aggregates", metadata, sa.Column("id", sa.Integer, primary_key=True))
NEW_TABLES = (
    sa.Table(
        "drift",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "aggregate_id",
            sa.Integer,
            sa.ForeignKey("aggregates.id", name="fk_drift_aggregate"),
            nullable=False,
        ),
        sa.Column("host", ExactString(255)),
        sa.Column("kind", ExactString(64), nullable=False),
        sa.Column("expected", LongText, nullable=False),
        sa.Column("found", LongText, nullable=False),
        sa.Column("message", LongText, nullable=False),
        sa.Column("cure", LongText, nullable=False),
        sa.Column("policy", ExactString(16), nullable=False),
        sa.Column("first_seen", Instant, nullable=False),
        sa.Column("last_seen", Instant, nullable=False),
        sa.Index("ix_drift_aggregate", "aggregate_id"),
        **OPTIONS,
    ),
    sa.Table(
        "idempotency_keys",
        metadata,
        sa.Column("slot", ExactString(64), primary_key=True),
        sa.Column("digest", ExactString(64), nullable=False),
        sa.Column("answer", Json),
        sa.Column("created_at", Instant, nullable=False),
        sa.Index("ix_idempotency_keys_created", "created_at"),
        **PLAIN_OPTIONS,
    ),
    sa.Table(
        "webhook_cursors",
        metadata,
        sa.Column("url", ExactString(64), primary_key=True),
        sa.Column("last_event_id", sa.BigInteger, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        **PLAIN_OPTIONS,
    ),
)


def upgrade(migrate_engine: sa.engine.Engine) -> None:
    with migrate_engine.begin() as connection:
        # What an interrupted run left behind (MySQL has no transactional DDL) is kept.
        for table, names in NEW_COLUMNS:
            for name in names:
                _add_column(connection, table, name)
        connection.execute(
            sa.update(operations).where(operations.c.turn == 0).values(turn=operations.c.id)
        )
        if not _has_index(connection):
            TURN_INDEX.create(connection)
        metadata.create_all(connection, tables=NEW_TABLES)


def downgrade(migrate_engine: sa.engine.Engine) -> None:
    with migrate_engine.begin() as connection:
        _forget_new_actions(connection)
        metadata.drop_all(connection, tables=NEW_TABLES)
        if _has_index(connection):
            TURN_INDEX.drop(connection)
        for table, names in NEW_COLUMNS:
            for name in reversed(names):
                if _has_column(connection, table, name):
                    connection.execute(sa.text(f"ALTER TABLE {table.name} DROP COLUMN {name}"))


def _add_column(connection: Connection, table: sa.Table, name: str) -> None:
    if not _has_column(connection, table, name):
        column = CreateColumn(table.c[name]).compile(dialect=connection.dialect)
        connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column}"))


def _has_column(connection: Connection, table: sa.Table, name: str) -> bool:
    return any(each["name"] == name for each in sa.inspect(connection).get_columns(table.name))


def _has_index(connection: Connection) -> bool:
    found = sa.inspect(connection).get_indexes(operations.name)
    return any(each["name"] == TURN_INDEX.name for each in found)


def _forget_new_actions(connection: Connection) -> None:
    """The older release cannot read them; an aggregate that waited for one waits no longer."""
    unreadable = operations.c.action.in_(NEW_ACTIONS)
    numbers = sa.select(operations.c.id).where(unreadable)
    connection.execute(
        sa.delete(operation_events).where(operation_events.c.operation_id.in_(numbers))
    )
    connection.execute(sa.delete(operations).where(unreadable))
    busy = sa.select(operations.c.aggregate_id).where(operations.c.state.in_(("queued", "running")))
    waiting = sa.and_(
        aggregates.c.kind == "pool",
        aggregates.c.state == "changing",
        aggregates.c.id.not_in(busy),
    )
    used = sa.select(aggregate_hosts.c.aggregate_id)
    for state, condition in (
        ("active", aggregates.c.id.in_(used)),
        ("created", aggregates.c.id.not_in(used)),
    ):
        connection.execute(sa.update(aggregates).where(waiting, condition).values(state=state))
