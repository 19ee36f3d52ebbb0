"""The life of an operation, and what its end means for the aggregate."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, operations
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import (
    AggregateNotFound,
    IllegalMove,
    OperationLost,
    OperationNotFound,
)
from nova_aggregates.manager import ending
from nova_aggregates.manager.states import require_operation_move
from nova_aggregates.objects import (
    Finding,
    Operation,
    OperationEvent,
    OperationFailure,
    OperationState,
)

LOG = logging.getLogger(__name__)


class OperationManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def index(
        self,
        *,
        aggregate_id: int | None = None,
        host: str | None = None,
        state: OperationState | None = None,
        limit: int = 100,
        marker: str | None = None,
    ) -> list[Operation]:
        """Operations, newest first, those older than ``marker`` (a uuid) only.

        :raises AggregateNotFound: there never was such an aggregate (a deleted one is found).
        :raises OperationNotFound: there is no such marker.
        """

        def work(connection: Connection) -> list[Operation]:
            before = None
            if marker is not None:
                before = _require(operations.by_uuid(connection, marker), marker).id
            found = operations.fetch(
                connection,
                aggregate_id=aggregate_id,
                host=host,
                state=state,
                before=before,
                limit=limit,
            )
            if (
                not found
                and aggregate_id is not None
                and aggregates.fetch(connection, aggregate_id, deleted=True) is None
            ):
                raise AggregateNotFound(aggregate_id=aggregate_id)
            return found

        return self._database.query(work)

    def show(self, uuid: str) -> Operation:
        """One operation.

        :raises OperationNotFound: there is none.
        """
        row = self._database.query(partial(operations.by_uuid, uuid=uuid))
        return operations.operation_of(_require(row, uuid))

    def events(self, uuid: str) -> list[OperationEvent]:
        """The history of an operation, oldest first.

        :raises OperationNotFound: there is none.
        """

        def work(connection: Connection) -> list[OperationEvent]:
            row = _require(operations.by_uuid(connection, uuid), uuid)
            return operations.events(connection, row.id)

        return self._database.query(work)

    def runnable(self, limit: int, *, except_aggregates: Collection[int] = ()) -> list[Operation]:
        """Operations whose turn it is, oldest first: nothing older is unfinished in their
        aggregate, nor on their host in any aggregate. Running ones too, because their owner may be
        dead: who gets the aggregate's lock may take them.

        :param except_aggregates: those that the caller works on, so that they do not use up
            ``limit``.
        """
        return self._database.query(
            partial(operations.fetch_runnable, limit=limit, except_aggregates=except_aggregates)
        )

    def take(self, uuid: str, owner: str) -> Operation:
        """Become the owner; the fencing number shuts out the former one. To be called only while
        the aggregate's lock is held.

        :raises OperationNotFound: there is none.
        :raises OperationLost: it has ended meanwhile.
        :raises IllegalMove: something older must end first.
        """

        def work(connection: Connection) -> Operation:
            row = _require(operations.by_uuid(connection, uuid, locked=True), uuid)
            state = OperationState(row.state)
            if state.ended:
                raise OperationLost(uuid=uuid, fence=row.fence)
            require_operation_move(uuid, state, OperationState.RUNNING)
            if not operations.has_turn(connection, row):
                raise IllegalMove(
                    old=state,
                    new=OperationState.RUNNING,
                    what=f"operation {uuid}: an older one has not ended",
                )
            now = utcnow()
            operations.change(
                connection,
                row.id,
                state=OperationState.RUNNING,
                running_slot=row.aggregate_id,
                owner=owner,
                fence=row.fence + 1,
                attempts=row.attempts + 1,
                started_at=row.started_at or now,
                updated_at=now,
            )
            operations.add_event(connection, row.id, row.fence + 1, "taken", {"owner": owner})
            return operations.operation_of(operations.by_uuid(connection, uuid))

        return self._database.run(work)

    def step(self, op: Operation, name: str, progress: int, message: str | None = None) -> None:
        """Note that a step begins.

        :param progress: percent of the whole operation.
        :raises OperationLost: another manager owns it now, or it has ended.
        """
        data = {"step": name, "progress": progress}
        if message is not None:
            data["message"] = message
        self._write(op, "step", data, step=name, progress=progress)

    def event(self, op: Operation, kind: str, data: Mapping[str, Any]) -> None:
        """Add to the history.

        :raises OperationLost: another manager owns it now, or it has ended.
        """
        self._write(op, kind, data)

    def findings(self, op: Operation, found: Collection[Finding]) -> None:
        """Replace the operation's findings.

        :raises OperationLost: another manager owns it now, or it has ended.
        """
        stored = operations.findings_json(found)
        self._write(op, "findings", {"findings": stored}, findings=stored)

    def succeed(self, op: Operation) -> Operation:
        """The operation did what it was for.

        :raises OperationLost: another manager owns it now, or it has ended.
        """
        return self._end(partial(ending.succeed, operation=op))

    def fail(
        self, op: Operation, failure: OperationFailure, findings: Collection[Finding] = ()
    ) -> Operation:
        """The operation did not happen: what was intended is put back in the same transaction.

        :raises OperationLost: another manager owns it now, or it has ended.
        """
        return self._end(partial(ending.fail, operation=op, failure=failure, findings=findings))

    def error(self, op: Operation, failure: OperationFailure) -> Operation:
        """The operation ended half-way, and the aggregate needs a person. The host counts as a
        member: nobody else may claim it, and it can be removed (again).

        :raises OperationLost: another manager owns it now, or it has ended.
        """
        return self._end(partial(ending.error, operation=op, failure=failure))

    def _write(self, op: Operation, kind: str, data: Mapping[str, Any], **values: Any) -> None:
        def work(connection: Connection) -> None:
            if not operations.change_owned(connection, op, **values):
                raise OperationLost(uuid=op.uuid, fence=op.fence)
            row = _require(operations.by_uuid(connection, op.uuid), op.uuid)
            operations.add_event(connection, row.id, op.fence, kind, data)

        self._database.run(work)

    def _end(self, work: Any) -> Operation:
        ended: Operation = self._database.run(work)
        LOG.info(
            "operation.%s operation=%s action=%s aggregate=%s host=%s code=%s request_id=%s",
            ended.state,
            ended.uuid,
            ended.action,
            ended.aggregate_id,
            ended.host,
            ended.failure.code if ended.failure else None,
            ended.requester.request_id,
        )
        return ended


def _require(row: Row | None, uuid: str) -> Row:
    if row is None:
        raise OperationNotFound(uuid=uuid)
    return row
