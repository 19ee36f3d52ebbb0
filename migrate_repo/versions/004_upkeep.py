"""Maintenance and rolling updates: where guests belong, what a rolling update did to each host, how
many hosts a pool can lose. Only adds. Frozen: a later change is a later script."""

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
operations = sa.Table(
    "operations",
    former,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("aggregate_id", sa.Integer),
    sa.Column("action", ExactString(32)),
    sa.Column("state", ExactString(16)),
    sa.Column("running_slot", sa.Integer),
    sa.Column("parameters", Json),
    sa.Column("details", Json),
    sa.Column("directive", ExactString(32)),
)
operation_events = sa.Table(
    "operation_events", former, sa.Column("operation_id", sa.Integer, nullable=False)
)
NEW_COLUMNS = ("details", "directive")
NEW_ACTIONS = (
    "maintenance_on",
    "maintenance_off",
    "follow_maintenance",
    "reboot_host",
    "shutdown_host",
    "startup_host",
    "set_status",
    "rolling_update",
)

metadata = sa.MetaData()
sa.Table("aggregates", metadata, sa.Column("id", sa.Integer, primary_key=True))
sa.Table("hosts", metadata, sa.Column("id", sa.Integer, primary_key=True))
sa.Table("operations", metadata, sa.Column("id", sa.Integer, primary_key=True))
NEW_TABLES = (
    sa.Table(
        "placements",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "host_id",
            sa.Integer,
            sa.ForeignKey("hosts.id", name="fk_placements_host", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("guest_uuid", ExactString(36), nullable=False),
        sa.Column("guest_name", LongText, nullable=False),
        sa.Column("memory", sa.BigInteger, nullable=False),
        sa.Column("state", ExactString(16), nullable=False),
        sa.Column("destination", ExactString(36), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.UniqueConstraint("host_id", "guest_uuid", name="uniq_placements_guest"),
        **OPTIONS,
    ),
    sa.Table(
        "operation_hosts",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "operation_id",
            sa.Integer,
            sa.ForeignKey("operations.id", name="fk_operation_hosts_operation"),
            nullable=False,
        ),
        sa.Column("host_name", ExactString(255), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", ExactString(16), nullable=False),
        sa.Column("evidence", Json, nullable=False),
        sa.Column("failure_code", ExactString(255)),
        sa.Column("failure_message", LongText),
        sa.Column("failure_cure", LongText),
        sa.Column("updated_at", Instant, nullable=False),
        sa.UniqueConstraint("operation_id", "host_name", name="uniq_operation_hosts_host"),
        **OPTIONS,
    ),
    sa.Table(
        "headroom",
        metadata,
        sa.Column(
            "aggregate_id",
            sa.Integer,
            sa.ForeignKey("aggregates.id", name="fk_headroom_aggregate"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("hosts", sa.Integer, nullable=False),
        sa.Column("guest", LongText, nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("lost", Json, nullable=False),
        sa.Column("computed_at", Instant, nullable=False),
        **PLAIN_OPTIONS,
    ),
)


def upgrade(migrate_engine: sa.engine.Engine) -> None:
    with migrate_engine.begin() as connection:
        # What an interrupted run left behind (MySQL has no transactional DDL) is kept.
        for name in NEW_COLUMNS:
            if not _has_column(connection, name):
                column = CreateColumn(operations.c[name]).compile(dialect=connection.dialect)
                connection.execute(sa.text(f"ALTER TABLE operations ADD COLUMN {column}"))
        metadata.create_all(connection, tables=NEW_TABLES)


def downgrade(migrate_engine: sa.engine.Engine) -> None:
    with migrate_engine.begin() as connection:
        metadata.drop_all(connection, tables=NEW_TABLES)
        _forget_new_actions(connection)
        for name in reversed(NEW_COLUMNS):
            if _has_column(connection, name):
                connection.execute(sa.text(f"ALTER TABLE operations DROP COLUMN {name}"))


def _has_column(connection: Connection, name: str) -> bool:
    return any(each["name"] == name for each in sa.inspect(connection).get_columns("operations"))


def _forget_new_actions(connection: Connection) -> None:
    """The older release cannot read them; an aggregate that waited for one waits no longer."""
    found = connection.execute(
        sa.select(operations.c.id, operations.c.action, operations.c.parameters)
    )
    unreadable = [
        row.id
        for row in found
        if row.action in NEW_ACTIONS
        or (row.action == "preflight" and row.parameters.get("action") in NEW_ACTIONS)
    ]
    for number in unreadable:
        connection.execute(
            sa.delete(operation_events).where(operation_events.c.operation_id == number)
        )
        connection.execute(sa.delete(operations).where(operations.c.id == number))
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
