"""The life of an operation, and what its end means for the aggregate."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import events, keys, operations, shelf
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import (
    AggregateNotFound,
    IllegalMove,
    OperationLost,
    OperationNotFound,
)
from nova_aggregates.manager import asking, ending, idempotency
from nova_aggregates.manager.states import require_operation_move
from nova_aggregates.objects import (
    Action,
    Finding,
    Once,
    Operation,
    OperationEvent,
    OperationFailure,
    OperationState,
    Requester,
)

LOG = logging.getLogger(__name__)
CALLS = "xenapi_calls"  # the kind of event that sums them up
# Longer than any look takes.
PREFLIGHT_SILENCE = datetime.timedelta(seconds=60)


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
                and shelf.fetch(connection, aggregate_id, deleted=True) is None
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
            return events.fetch(connection, after=0, limit=None, operation=row.id)

        return self._database.query(work)

    def events_after(
        self, event_id: int, limit: int, *, operation: str | None = None
    ) -> list[OperationEvent]:
        """The history of one operation (a uuid) or of all, from behind ``event_id`` on, oldest
        first. Nothing ever appears before what was returned once: the numbers of all operations are
        told up to the first one that may still be committed.

        :raises OperationNotFound: there is none.
        """

        def work(connection: Connection) -> list[OperationEvent]:
            number = None
            if operation is not None:
                number = _require(operations.by_uuid(connection, operation), operation).id
            return events.fetch(connection, after=event_id, limit=limit, operation=number)

        return self._database.query(work)

    def last_event(self) -> int:
        """The number of the newest event; 0 when there is none."""
        return self._database.query(events.last)

    def preflights(self, limit: int) -> list[Operation]:
        """Operations that only look, oldest first: those that are queued, and those whose manager
        has fallen silent. They need no lock, and no operation waits for them."""
        stale_before = utcnow() - PREFLIGHT_SILENCE
        return self._database.query(
            partial(operations.fetch_preflights, limit=limit, stale_before=stale_before)
        )

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
            works = row.action != Action.PREFLIGHT
            if row.not_before is not None and row.not_before > utcnow():
                raise IllegalMove(
                    old=state,
                    new=OperationState.RUNNING,
                    what=f"operation {uuid}: it waits until {row.not_before}",
                )
            if works and not operations.has_turn(connection, row):
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
                running_slot=row.aggregate_id if works else None,
                not_before=None,
                failure_code=None,
                failure_message=None,
                failure_cure=None,
                owner=owner,
                fence=row.fence + 1,
                attempts=row.attempts + 1,
                started_at=row.started_at or now,
                updated_at=now,
            )
            events.add(connection, row.id, row.fence + 1, "taken", {"owner": owner})
            return operations.operation_of(operations.by_uuid(connection, uuid))

        return self._database.run(work)

    def step(
        self,
        op: Operation,
        name: str,
        progress: int,
        message: str | None = None,
        calls: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Note that a step begins.

        :param progress: percent of the whole operation.
        :param calls: sums of the calls that were made until then.
        :raises OperationLost: another manager owns it now, or it has ended.
        """
        data = {"step": name, "progress": progress}
        if message is not None:
            data["message"] = message
        self._write(op, "step", data, calls, step=name, progress=progress)

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

    def cancelled(self, op: Operation) -> Operation:
        """The work was stopped and undone, as :meth:`cancel` asked: put back like a failure.

        :raises OperationLost: another manager owns it now, or it has ended.
        """
        return self._end(partial(ending.cancelled, operation=op))

    def postpone(
        self, op: Operation, not_before: datetime.datetime, failure: OperationFailure
    ) -> Operation:
        """Put it off; it keeps its turn, and what is queued behind it waits. After a cancel
        it is due at once, so that it can be ended.

        :param not_before: naive UTC.
        :raises OperationLost: another manager owns it now, or it has ended.
        """
        return self._end(
            partial(ending.postpone, operation=op, not_before=not_before, failure=failure)
        )

    def cancel_wanted(self, op: Operation) -> bool:
        """Whether :meth:`cancel` was called meanwhile.

        :raises OperationLost: another manager owns it now, or it has ended.
        """
        found = self._database.query(partial(operations.cancel_wanted, operation=op))
        if found is None:
            raise OperationLost(uuid=op.uuid, fence=op.fence)
        return found

    def uncancellable(self, op: Operation, reason: str | None) -> bool:
        """From now on :meth:`cancel` is refused with this reason (None: no longer).

        :returns: False when a cancel was accepted before: then the reason is not stored, and what
            cannot be undone must not begin.
        :raises OperationLost: another manager owns it now, or it has ended.
        """

        def work(connection: Connection) -> bool:
            row = ending.lock_owned(connection, op)
            if row.cancel_requested and reason is not None:
                return False
            if row.uncancellable_reason != reason:
                operations.change(connection, row.id, uncancellable_reason=reason)
                events.add(connection, row.id, op.fence, "uncancellable", {"reason": reason})
            return True

        return self._database.run(work)

    def cancel(self, requester: Requester, uuid: str, *, once: Once | None = None) -> Operation:
        """End it without having done anything. One that no manager has begun ends at once; for any
        other the wish is noted, and its manager ends it when all is undone.

        :raises OperationNotFound: there is none.
        :raises OperationCannotBeCancelled: it has ended, or passed the point of no return.
        """
        return self._ask("cancel_requested", requester, uuid, asking.cancel, once)

    def retry(self, requester: Requester, uuid: str, *, once: Once | None = None) -> Operation:
        """Queue one that did not succeed again, at the end of the queue; what it intends is made
        again with the checks of the first time.

        :raises OperationNotFound: there is none.
        :raises OperationCannotBeRetried: it has not ended, it succeeded, or the checks say no.
        """
        return self._ask("retried", requester, uuid, asking.retry, once)

    def abandon(self, requester: Requester, uuid: str, *, once: Once | None = None) -> Operation:
        """Give up one that ended as error: it becomes failed, and the record is put back. The pool
        is left as it is.

        :raises OperationNotFound: there is none.
        :raises OperationCannotBeAbandoned: it did not end as error.
        """
        return self._ask("abandoned", requester, uuid, asking.abandon, once)

    def purge(self) -> int:
        """Forget answers to requests with an idempotency key that are older than seven days.

        :returns: how many.
        """
        return self._database.run(
            lambda connection: keys.forget(connection, utcnow() - idempotency.KEPT)
        )

    def _ask(
        self,
        kind: str,
        requester: Requester,
        uuid: str,
        do: Callable[[Connection, dict[int, Row], Row, Callable[[], None]], Operation],
        once: Once | None,
    ) -> Operation:
        def work(connection: Connection) -> Operation:
            seen = _require(operations.by_uuid(connection, uuid), uuid)
            rows = ending.lock_all(connection, seen.aggregate_id, seen.host_id)
            row = _require(operations.by_uuid(connection, uuid, locked=True), uuid)
            who = {"user_id": requester.user_id, "request_id": requester.request_id}
            note = partial(events.add, connection, row.id, row.fence, kind, who)
            return do(connection, rows, row, note)

        done = idempotency.run(self._database, work, once)
        if not done.replayed:
            LOG.info(
                "operation.%s operation=%s aggregate=%s request_id=%s",
                kind,
                uuid,
                done.answer.aggregate_id,
                requester.request_id,
            )
        return done.answer

    def _write(
        self,
        op: Operation,
        kind: str,
        data: Mapping[str, Any],
        calls: Sequence[Mapping[str, Any]] = (),
        **values: Any,
    ) -> None:
        def work(connection: Connection) -> None:
            if not operations.change_owned(connection, op, **values):
                raise OperationLost(uuid=op.uuid, fence=op.fence)
            row = _require(operations.by_uuid(connection, op.uuid), op.uuid)
            if calls:
                events.add(connection, row.id, op.fence, CALLS, {"calls": list(calls)})
            events.add(connection, row.id, op.fence, kind, data)

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
