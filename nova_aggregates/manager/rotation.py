"""A new key for the stored passwords."""

from __future__ import annotations

import time
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_aggregates.db.engine import RUN_DEADLINE, Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.db.tables import hosts, pools

BATCH = 100
# Seconds: what was encrypted with a former key is committed within this time, or never.
SETTLED_AFTER = RUN_DEADLINE + 5.0
PLACES = ((hosts, hosts.c.id), (pools, pools.c.aggregate_id))


def rotate(database: Database, secrets: SecretBox, *, batch: int = BATCH) -> int:
    """Encrypt with a new first key whatever is stored. Processes that run meanwhile see it at their
    next use of the key file. May be repeated after a crash.

    :param batch: rows in one transaction.
    :returns: how many passwords were encrypted again.
    :raises ConfigurationInvalid: the key file cannot be written, or a password opens with no key.
    """
    secrets.add_key()
    return encrypt_again(database, secrets, batch=batch)


def drop_old(database: Database, secrets: SecretBox, *, settled_after: float) -> int:
    """Remove the former keys from the file, once nothing needs them.

    :param settled_after: seconds to wait for transactions that began with a former key.
    :returns: how many keys were removed.
    :raises ConfigurationInvalid: as :func:`rotate`.
    """
    time.sleep(settled_after)
    while encrypt_again(database, secrets):
        pass
    return secrets.drop_old()


def encrypt_again(database: Database, secrets: SecretBox, *, batch: int = BATCH) -> int:
    """Encrypt with the first key what any other one had encrypted; how many passwords."""
    count = 0
    for table, key in PLACES:
        last: int | None = 0
        while last is not None:
            work = partial(_batch, secrets=secrets, table=table, key=key, after=last, batch=batch)
            changed, last = database.run(work)
            count += changed
    return count


def _batch(
    connection: Connection,
    secrets: SecretBox,
    table: sa.Table,
    key: sa.Column[int],
    after: int,
    batch: int,
) -> tuple[int, int | None]:
    """How many passwords were changed, and the last row looked at (None: there are no more)."""
    statement = (
        sa.select(key.label("key"), table.c.secret)
        .where(key > after)
        .order_by(key)
        .limit(batch)
        .with_for_update(key_share=True)
    )
    rows = connection.execute(statement).all()
    changed = 0
    for row in rows:
        if not secrets.is_new(row.secret):
            sealed = secrets.seal(secrets.open(row.secret))
            connection.execute(sa.update(table).where(key == row.key).values(secret=sealed))
            changed += 1
    return changed, rows[-1].key if rows else None
