"""Where a pool and its aggregate differ."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial

from sqlalchemy.engine import Connection

from nova_aggregates.db import aggregates, drift, shelf
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import AggregateNotFound
from nova_aggregates.manager import repair
from nova_aggregates.objects import Drift, DriftFinding, Operation

LOG = logging.getLogger(__name__)


class DriftManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def index(self, aggregate_id: int | None = None) -> list[Drift]:
        """Differences that the last audit found, in one aggregate or (None) in all, oldest first.

        :raises AggregateNotFound: there never was such an aggregate (a deleted one is found).
        """

        def work(connection: Connection) -> list[Drift]:
            found = drift.fetch(connection, aggregate_id=aggregate_id)
            if (
                not found
                and aggregate_id is not None
                and shelf.fetch(connection, aggregate_id, deleted=True) is None
            ):
                raise AggregateNotFound(aggregate_id=aggregate_id)
            return found

        return self._database.query(work)

    def seen_before(self, aggregate_id: int) -> list[Drift]:
        """Those that the last look and an earlier one have found: somebody who is just changing
        something at the pool by hand has had time to finish."""
        return self._database.query(partial(repair.seen_before, aggregate_id=aggregate_id))

    def adopt(self, found: Drift) -> bool:
        """Let the record follow the pool; whether it does now. It cannot while an operation of the
        aggregate is unfinished, or when the pool has a name that another aggregate has."""
        done = self._database.run(partial(repair.adopt, found=found))
        if done:
            _tell("adopted", found.aggregate_id, found.finding)
        return done

    def enforce(self, found: Drift) -> Operation | None:
        """Queue the operation that lets the pool follow the record, once for each difference."""
        operation = self._database.run(partial(repair.enforce, found=found))
        if operation is not None:
            _tell(f"enforced operation={operation.uuid}", found.aggregate_id, found.finding)
        return operation

    def record(self, aggregate_id: int, findings: Collection[DriftFinding]) -> None:
        """These, and no others, are the differences now. One that was there before (same kind,
        host and values) keeps the time when it was first seen.

        :raises AggregateNotFound: there never was such an aggregate.
        """

        def work(connection: Connection) -> tuple[list[DriftFinding], list[DriftFinding]]:
            if aggregates.lock(connection, aggregate_id) is None:
                raise AggregateNotFound(aggregate_id=aggregate_id)
            return drift.replace(connection, aggregate_id, findings)

        new, gone = self._database.run(work)
        for event, changed in (("found", new), ("gone", gone)):
            for finding in changed:
                _tell(event, aggregate_id, finding)


def _tell(event: str, aggregate_id: int, finding: DriftFinding) -> None:
    LOG.warning(
        "drift.%s aggregate=%s host=%s kind=%s expected=%s found=%s policy=%s",
        event,
        aggregate_id,
        finding.host,
        finding.kind,
        finding.expected,
        finding.found,
        finding.policy,
    )
