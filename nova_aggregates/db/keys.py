"""Idempotency keys and the answers that belong to them: rows and queries."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db.tables import idempotency_keys


def find(connection: Connection, slot: str) -> Row | None:
    """The row of the key."""
    statement = sa.select(idempotency_keys).where(idempotency_keys.c.slot == slot)
    return connection.execute(statement).first()


def insert(connection: Connection, **values: Any) -> None:
    """Claim the key. It waits for another transaction that does so, and fails when that commits."""
    connection.execute(sa.insert(idempotency_keys).values(**values))


def answer(connection: Connection, slot: str, stored: Any) -> None:
    """Keep the answer."""
    connection.execute(
        sa.update(idempotency_keys).where(idempotency_keys.c.slot == slot).values(answer=stored)
    )


def forget(connection: Connection, older_than: datetime.datetime, slot: str | None = None) -> int:
    """Remove keys that were claimed before; how many."""
    statement = sa.delete(idempotency_keys).where(idempotency_keys.c.created_at < older_than)
    if slot is not None:
        statement = statement.where(idempotency_keys.c.slot == slot)
    return int(connection.execute(statement).rowcount)
