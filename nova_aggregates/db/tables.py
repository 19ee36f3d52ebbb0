"""The tables. ``migrate_repo`` makes them; a test holds the two together.

Invariants are unique indexes over nullable "slot" columns, because MySQL has no partial index: a
slot holds the value while the rule applies to the row and NULL otherwise.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from nova_aggregates.db.types import ExactString, Instant, Json, LongText, big_id

NAME_LENGTH = 255
ID_MAX = 2**31 - 1

metadata = sa.MetaData()

# AUTOINCREMENT: without it SQLite gives the number of a removed last row to the next one.
OPTIONS: dict[str, Any] = {
    "sqlite_autoincrement": True,
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
}
PLAIN_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

aggregates = sa.Table(
    "aggregates",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uuid", ExactString(36), nullable=False),
    sa.Column("name", ExactString(NAME_LENGTH), nullable=False),
    # Slot: the name while the aggregate lives, so that a deleted one frees it.
    sa.Column("live_name", ExactString(NAME_LENGTH)),
    sa.Column("availability_zone", ExactString(NAME_LENGTH)),
    sa.Column("kind", ExactString(16), nullable=False),
    sa.Column("state", ExactString(16), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant),
    sa.Column("deleted_at", Instant),
    sa.UniqueConstraint("uuid", name="uniq_aggregates_uuid"),
    sa.UniqueConstraint("live_name", name="uniq_aggregates_live_name"),
    **OPTIONS,
)

aggregate_metadata = sa.Table(
    "aggregate_metadata",
    metadata,
    sa.Column(
        "aggregate_id",
        sa.Integer,
        sa.ForeignKey("aggregates.id", name="fk_aggregate_metadata_aggregate"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("key", ExactString(NAME_LENGTH), primary_key=True),
    sa.Column("value", ExactString(NAME_LENGTH), nullable=False),
    **PLAIN_OPTIONS,
)

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uuid", ExactString(36), nullable=False),
    sa.Column("name", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("address", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("username", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("secret", LongText, nullable=False),  # the password, encrypted
    sa.Column("trust_fingerprint", ExactString(64)),
    sa.Column("trust_ca", LongText),
    sa.Column("trust_insecure", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("zone", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("xen_uuid", ExactString(36)),
    sa.Column("status", ExactString(16), nullable=False),
    sa.Column("status_reason", LongText),
    sa.Column("maintenance_mode", ExactString(16), nullable=False),
    sa.Column("inventory", Json),
    sa.Column("last_seen", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant),
    sa.Column("holdings", Json),
    sa.Column("contact_lost_at", Instant),
    sa.Column("contact_lost_reason", LongText),
    sa.Column(
        "forced_down",
        sa.Boolean(create_constraint=False),
        nullable=False,
        server_default=sa.false(),
    ),
    sa.UniqueConstraint("uuid", name="uniq_hosts_uuid"),
    sa.UniqueConstraint("name", name="uniq_hosts_name"),
    sa.UniqueConstraint("address", "port", name="uniq_hosts_address_port"),
    sa.Index("ix_hosts_zone", "zone"),
    **OPTIONS,
)

# Beside the hosts, because lists of hosts do not want it.
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
    sa.Column("guests", Json, nullable=False),  # [[uuid, name], ...]
    **PLAIN_OPTIONS,
)

aggregate_hosts = sa.Table(
    "aggregate_hosts",
    metadata,
    # Also the order of joining: a membership that is put back gets its old number again.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "aggregate_id",
        sa.Integer,
        sa.ForeignKey("aggregates.id", name="fk_aggregate_hosts_aggregate"),
        nullable=False,
    ),
    sa.Column(
        "host_id",
        sa.Integer,
        sa.ForeignKey("hosts.id", name="fk_aggregate_hosts_host"),
        nullable=False,
    ),
    # Slot: the host while the aggregate is a pool; a label leaves it empty.
    sa.Column("pool_slot", sa.Integer),
    sa.UniqueConstraint("aggregate_id", "host_id", name="uniq_aggregate_hosts_member"),
    sa.UniqueConstraint("pool_slot", name="uniq_aggregate_hosts_pool_slot"),
    sa.Index("ix_aggregate_hosts_host", "host_id"),
    **OPTIONS,
)

pools = sa.Table(
    "pools",
    metadata,
    sa.Column(
        "aggregate_id",
        sa.Integer,
        sa.ForeignKey("aggregates.id", name="fk_pools_aggregate"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("xen_uuid", ExactString(36), nullable=False),
    sa.Column(
        "master_host_id",
        sa.Integer,
        sa.ForeignKey("hosts.id", name="fk_pools_master_host"),
        nullable=False,
    ),
    sa.Column("username", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("secret", LongText, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Index("ix_pools_master_host", "master_host_id"),
    **PLAIN_OPTIONS,
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uuid", ExactString(36), nullable=False),
    sa.Column(
        "aggregate_id",
        sa.Integer,
        sa.ForeignKey("aggregates.id", name="fk_operations_aggregate"),
        nullable=False,
    ),
    # The record outlives the registration of its host; the name stays readable.
    sa.Column(
        "host_id",
        sa.Integer,
        sa.ForeignKey("hosts.id", name="fk_operations_host", ondelete="SET NULL"),
    ),
    sa.Column("host_name", ExactString(NAME_LENGTH)),
    # The row of aggregate_hosts that a failure takes away or puts back; empty: nothing to put back.
    sa.Column("membership_id", sa.Integer),
    sa.Column("action", ExactString(32), nullable=False),
    sa.Column("parameters", Json, nullable=False),
    sa.Column("state", ExactString(16), nullable=False),
    # Slot: the aggregate while the operation runs.
    sa.Column("running_slot", sa.Integer),
    sa.Column("step", ExactString(NAME_LENGTH)),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("findings", Json, nullable=False),
    sa.Column("failure_code", ExactString(NAME_LENGTH)),
    sa.Column("failure_message", LongText),
    sa.Column("failure_cure", LongText),
    sa.Column("user_id", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("project_id", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("request_id", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("idempotency_key", ExactString(NAME_LENGTH)),
    sa.Column("owner", ExactString(NAME_LENGTH)),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("updated_at", Instant),
    sa.Column("finished_at", Instant),
    # The order of the work: a retried operation goes to the end of the queue.
    sa.Column("turn", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("not_before", Instant),
    sa.Column(
        "cancel_requested",
        sa.Boolean(create_constraint=False),
        nullable=False,
        server_default=sa.false(),
    ),
    sa.Column("uncancellable_reason", LongText),
    sa.Column("details", Json),
    sa.Column("directive", ExactString(32)),
    sa.UniqueConstraint("uuid", name="uniq_operations_uuid"),
    sa.UniqueConstraint("running_slot", name="uniq_operations_running_slot"),
    sa.Index("ix_operations_aggregate_state", "aggregate_id", "state"),
    sa.Index("ix_operations_host_state", "host_id", "state"),
    sa.Index("ix_operations_host_name", "host_name"),
    sa.Index("ix_operations_state", "state"),
    sa.Index("ix_operations_turn", "turn"),
    **OPTIONS,
)

operation_events = sa.Table(
    "operation_events",
    metadata,
    sa.Column("id", big_id(), primary_key=True),
    sa.Column(
        "operation_id",
        sa.Integer,
        sa.ForeignKey("operations.id", name="fk_operation_events_operation"),
        nullable=False,
    ),
    sa.Column("at", Instant, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("kind", ExactString(64), nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Index("ix_operation_events_operation", "operation_id"),
    **OPTIONS,
)

drift = sa.Table(
    "drift",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "aggregate_id",
        sa.Integer,
        sa.ForeignKey("aggregates.id", name="fk_drift_aggregate"),
        nullable=False,
    ),
    sa.Column("host", ExactString(NAME_LENGTH)),
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
)

# Guests that left a host for its maintenance, and belong there.
placements = sa.Table(
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
)

# What a rolling update did to each of its hosts.
operation_hosts = sa.Table(
    "operation_hosts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "operation_id",
        sa.Integer,
        sa.ForeignKey("operations.id", name="fk_operation_hosts_operation"),
        nullable=False,
    ),
    sa.Column("host_name", ExactString(NAME_LENGTH), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("state", ExactString(16), nullable=False),
    sa.Column("evidence", Json, nullable=False),
    sa.Column("failure_code", ExactString(NAME_LENGTH)),
    sa.Column("failure_message", LongText),
    sa.Column("failure_cure", LongText),
    sa.Column("updated_at", Instant, nullable=False),
    sa.UniqueConstraint("operation_id", "host_name", name="uniq_operation_hosts_host"),
    **OPTIONS,
)

headroom = sa.Table(
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
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    # SHA-256 of scope and key, whose own lengths are the caller's.
    sa.Column("slot", ExactString(64), primary_key=True),
    sa.Column("digest", ExactString(64), nullable=False),
    sa.Column("answer", Json),
    sa.Column("created_at", Instant, nullable=False),
    sa.Index("ix_idempotency_keys_created", "created_at"),
    **PLAIN_OPTIONS,
)

webhook_cursors = sa.Table(
    "webhook_cursors",
    metadata,
    # SHA-256 of the URL, which may hold a secret.
    sa.Column("url", ExactString(64), primary_key=True),
    sa.Column("last_event_id", sa.BigInteger, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    **PLAIN_OPTIONS,
)

# One row. It moves with every write that changes what the lists of aggregates and hosts show, so
# that a reader knows by one small query whether his copy still holds.
generation = sa.Table(
    "generation",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("value", sa.BigInteger, nullable=False),
    **PLAIN_OPTIONS,
)
GENERATION_ID = 1
