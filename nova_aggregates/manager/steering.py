"""Pause, resume and abort of an operation under way: rolling updates can be steered so."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, events, operations
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import OperationCannotBeSteered, OperationLost, OperationNotFound
from nova_aggregates.manager import idempotency
from nova_aggregates.manager.states import require_operation_move
from nova_aggregates.objects import (
    Action,
    Directive,
    Once,
    Operation,
    OperationState,
    Requester,
)

LOG = logging.getLogger(__name__)


class SteeringManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def pause(self, requester: Requester, uuid: str, *, once: Once | None = None) -> Operation:
        """Begin no further host; the operation is paused when the hosts under way are done.

        :raises OperationNotFound: there is none.
        :raises OperationCannotBeSteered: it is no rolling update, or it has ended or is paused.
        """

        def do(connection: Connection, row: Row) -> None:
            if row.state == OperationState.PAUSED:
                raise OperationCannotBeSteered(uuid=uuid, verb="paused", reason="it is already")
            operations.change(connection, row.id, directive=Directive.PAUSE, updated_at=utcnow())

        return self._ask("paused", requester, uuid, do, once)

    def resume(self, requester: Requester, uuid: str, *, once: Once | None = None) -> Operation:
        """Let a paused one go on, or take a pause back that has not begun.

        :raises OperationNotFound: there is none.
        :raises OperationCannotBeSteered: nobody paused it.
        """

        def do(connection: Connection, row: Row) -> None:
            if row.state == OperationState.PAUSED:
                _queue_again(connection, row, None)
            elif row.directive == Directive.PAUSE:
                operations.change(connection, row.id, directive=None, updated_at=utcnow())
            else:
                raise OperationCannotBeSteered(uuid=uuid, verb="resumed", reason="nobody paused it")

        return self._ask("resumed", requester, uuid, do, once)

    def abort(self, requester: Requester, uuid: str, *, once: Once | None = None) -> Operation:
        """End it as soon as the hosts under way are done; cancel puts them back instead.

        :raises OperationNotFound: there is none.
        :raises OperationCannotBeSteered: it is no rolling update, or it has ended.
        """

        def do(connection: Connection, row: Row) -> None:
            if row.state == OperationState.PAUSED:
                _queue_again(connection, row, Directive.ABORT)
            else:
                operations.change(
                    connection, row.id, directive=Directive.ABORT, updated_at=utcnow()
                )

        return self._ask("aborted", requester, uuid, do, once)

    def pause_here(self, op: Operation) -> None:
        """As if somebody had asked for a pause just now; an abort stays one.

        :raises OperationLost: another manager owns it now, or it has ended.
        """

        def work(connection: Connection) -> None:
            row = operations.by_uuid(connection, op.uuid, locked=True)
            if row is None or row.fence != op.fence or row.state != OperationState.RUNNING:
                raise OperationLost(uuid=op.uuid, fence=op.fence)
            if row.directive is None:
                operations.change(connection, row.id, directive=Directive.PAUSE)

        self._database.run(work)

    def park(self, op: Operation) -> None:
        """The operation has come to the rest that :meth:`pause` asked for.

        :raises OperationLost: another manager owns it now, or it has ended.
        """

        def work(connection: Connection) -> None:
            row = operations.by_uuid(connection, op.uuid, locked=True)
            if row is None or row.fence != op.fence or row.state != OperationState.RUNNING:
                raise OperationLost(uuid=op.uuid, fence=op.fence)
            if row.directive != Directive.PAUSE or row.cancel_requested:
                # Somebody thought better of it meanwhile.
                _queue_again(connection, row, row.directive)
                return
            require_operation_move(row.uuid, OperationState(row.state), OperationState.PAUSED)
            operations.change(
                connection,
                row.id,
                state=OperationState.PAUSED,
                running_slot=None,
                owner=None,
                updated_at=utcnow(),
            )
            events.add(connection, row.id, row.fence, OperationState.PAUSED, {})
            aggregates.bump_generation(connection)

        self._database.run(work)

    def _ask(
        self,
        kind: str,
        requester: Requester,
        uuid: str,
        do: Callable[[Connection, Row], None],
        once: Once | None,
    ) -> Operation:
        def work(connection: Connection) -> Operation:
            seen = operations.by_uuid(connection, uuid)
            if seen is None:
                raise OperationNotFound(uuid=uuid)
            aggregates.lock(connection, seen.aggregate_id)
            row = operations.by_uuid(connection, uuid, locked=True)
            if row is None:
                raise OperationNotFound(uuid=uuid)
            _require_steerable(row, kind)
            do(connection, row)
            who = {"user_id": requester.user_id, "request_id": requester.request_id}
            events.add(connection, row.id, row.fence, f"{kind}_asked", who)
            aggregates.bump_generation(connection)
            return operations.operation_of(operations.by_uuid(connection, uuid))

        done = idempotency.run(self._database, work, once)
        if not done.replayed:
            LOG.info(
                "operation.%s_asked operation=%s request_id=%s", kind, uuid, requester.request_id
            )
        return done.answer


def _require_steerable(row: Row, verb: str) -> None:
    state = OperationState(row.state)
    if row.action != Action.ROLLING_UPDATE:
        raise OperationCannotBeSteered(uuid=row.uuid, verb=verb, reason="it is no rolling update")
    if state.ended:
        raise OperationCannotBeSteered(uuid=row.uuid, verb=verb, reason=f"it has ended as {state}")


def _queue_again(connection: Connection, row: Row, directive: str | None) -> None:
    require_operation_move(row.uuid, OperationState(row.state), OperationState.QUEUED)
    operations.change(
        connection,
        row.id,
        state=OperationState.QUEUED,
        running_slot=None,
        owner=None,
        not_before=None,
        directive=directive,
        updated_at=utcnow(),
    )
