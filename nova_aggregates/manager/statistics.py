"""How many of everything there are, and whether the database can be used."""

from __future__ import annotations

from nova_aggregates.db import migration, statistics
from nova_aggregates.db.engine import Database
from nova_aggregates.objects import Statistics


class StatisticsManager:
    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._url = url

    def counts(self) -> Statistics:
        """:raises DatabaseUnavailable: the database does not answer."""
        return self._database.query(statistics.fetch)

    def check(self) -> None:
        """Do nothing when the database answers and has the schema of this release.

        :raises DatabaseUnavailable: it does not answer.
        :raises SchemaMismatch: its schema is older or newer.
        """
        migration.check(self._url)
