"""How far each webhook has been told of what happened."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_aggregates.db import events
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.db.tables import webhook_cursors


class WebhookManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def position(self, url: str) -> int:
        """The number of the last event that was delivered to ``url``. A new one begins with what
        happens from now on."""

        def work(connection: Connection) -> int:
            mine = webhook_cursors.c.url == _key(url)
            found = connection.execute(
                sa.select(webhook_cursors.c.last_event_id).where(mine)
            ).scalar()
            if found is not None:
                return int(found)
            newest = events.last(connection)
            connection.execute(
                sa.insert(webhook_cursors).values(
                    url=_key(url), last_event_id=newest, updated_at=utcnow()
                )
            )
            return newest

        return self._database.run(work)

    def advance(self, url: str, event_id: int) -> None:
        """Note a delivery. The position never goes back: another manager may have been faster."""

        def work(connection: Connection) -> None:
            connection.execute(
                sa.update(webhook_cursors)
                .where(
                    webhook_cursors.c.url == _key(url), webhook_cursors.c.last_event_id < event_id
                )
                .values(last_event_id=event_id, updated_at=utcnow())
            )

        self._database.run(work)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
