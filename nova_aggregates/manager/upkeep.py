"""What the flows keep while they take hosts out of service: where guests belong, how far a rolling
update is, how many hosts a pool can lose. Only the owner of the running operation writes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, headroom, hosts, operations, placements, rolling, shelf
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import AggregateNotFound, HostNotFound, OperationLost
from nova_aggregates.objects import (
    Action,
    Directive,
    HeadroomFigure,
    HostProgress,
    HostRun,
    HostStatus,
    MaintenanceMode,
    Operation,
    OperationFailure,
    Placement,
    Requester,
)


class UpkeepManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    # Guests that belong to a host

    def placements(self, host_id: int) -> list[Placement]:
        """The guests that left the host, or shall, in the order in which they were noted."""
        return self._database.query(partial(placements.of_host, host_id=host_id))

    def placements_of(self, guests: Collection[str]) -> list[Placement]:
        """What is noted of these guests (uuids), whichever host they belong to."""
        return self._database.query(partial(placements.of_guests, guests=guests))

    def place(self, op: Operation, found: Collection[Placement]) -> None:
        """Note where guests are to be, before anything is sent that makes it so.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        """

        def work(connection: Connection) -> None:
            for placement in found:
                placements.put(connection, placement)

        self._write(op, work)

    def settled(self, op: Operation, host_id: int, guest: str | None = None) -> None:
        """A guest (None: every one) of the host is no longer to be brought back.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        """
        self._write(op, partial(placements.forget, host_id=host_id, guest=guest))

    def set_mode(
        self,
        op: Operation,
        host_id: int,
        mode: MaintenanceMode,
        status: HostStatus,
        reason: str | None,
    ) -> None:
        """The host is in maintenance, or is not any more.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        :raises HostNotFound: there is no such host.
        """

        def work(connection: Connection) -> None:
            if not hosts.change(
                connection,
                host_id,
                maintenance_mode=mode,
                status=status,
                status_reason=reason,
                updated_at=utcnow(),
            ):
                raise HostNotFound(host=f"number {host_id}")
            aggregates.bump_generation(connection)

        self._write(op, work)

    def follow(self, requester: Requester, host_id: int, aggregate_id: int) -> Operation | None:
        """Queue a look at a host whose pool says something else about its maintenance than the
        record; None when an operation of the aggregate is unfinished, which may be the reason."""

        def work(connection: Connection) -> Operation | None:
            host = hosts.by_id(connection, host_id, locked=True)
            row = aggregates.lock(connection, aggregate_id)
            mine = operations.operations.c.aggregate_id == aggregate_id
            if host is None or row is None or operations.unfinished(connection, mine):
                return None
            return operations.insert(
                connection, requester, Action.FOLLOW_MAINTENANCE, aggregate_id, host=host
            )

        return self._database.run(work)

    # Progress

    def details(self, op: Operation, details: Mapping[str, Any]) -> None:
        """Replace what the operation tells of its hosts and guests.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        """
        self._write(op, lambda connection: None, details=dict(details))

    def directive(self, op: Operation) -> Directive | None:
        """What somebody asked of the operation meanwhile."""
        row = self._database.query(partial(operations.by_uuid, uuid=op.uuid))
        return None if row is None or row.directive is None else Directive(row.directive)

    # Rolling updates

    def runs(self, op: Operation) -> list[HostRun]:
        """The hosts of a rolling update, in the order of the work."""

        def work(connection: Connection) -> list[HostRun]:
            row = operations.by_uuid(connection, op.uuid)
            return [] if row is None else rolling.of_operation(connection, row.id)

        return self._database.query(work)

    def begin_runs(self, op: Operation, names: Collection[str]) -> None:
        """These hosts, in this order. Those that an earlier round has done stay so.

        :raises OperationLost: another manager owns the operation now, or it has ended.
        """

        def work(connection: Connection, row: Row) -> None:
            known = {run.host: run for run in rolling.of_operation(connection, row.id)}
            for position, name in enumerate(names):
                if name not in known:
                    rolling.insert(connection, row.id, name, position)
                elif known[name].state is HostProgress.FAILED:
                    # An update that is there may still want its reboot.
                    kept = {"acted": known[name].evidence.get("acted", False)}
                    rolling.move(connection, row.id, name, HostProgress.WAITING, kept, None)

        self._with_row(op, work)

    def run(
        self,
        op: Operation,
        host: str,
        state: HostProgress,
        evidence: Mapping[str, Any],
        failure: OperationFailure | None = None,
    ) -> None:
        """The rolling update gets to ``state`` with this host.

        :param evidence: what the host says now, to be compared with later.
        :raises OperationLost: another manager owns the operation now, or it has ended.
        """

        def work(connection: Connection, row: Row) -> None:
            rolling.move(connection, row.id, host, state, evidence, failure)

        self._with_row(op, work)

    # Headroom

    def headroom(self, aggregate_id: int) -> HeadroomFigure | None:
        """The last figure; None while nobody has looked.

        :raises AggregateNotFound: there is no such aggregate.
        """

        def work(connection: Connection) -> HeadroomFigure | None:
            if shelf.fetch(connection, aggregate_id) is None:
                raise AggregateNotFound(aggregate_id=aggregate_id)
            return headroom.of_aggregate(connection, aggregate_id)

        return self._database.query(work)

    def set_headroom(self, aggregate_id: int, figure: HeadroomFigure) -> None:
        self._database.run(partial(headroom.put, aggregate_id=aggregate_id, figure=figure))

    def _with_row(self, op: Operation, work: Callable[[Connection, Row], None]) -> None:
        def inner(connection: Connection) -> None:
            row = operations.by_uuid(connection, op.uuid)
            if row is None:
                raise OperationLost(uuid=op.uuid, fence=op.fence)
            work(connection, row)

        self._write(op, inner)

    def _write(self, op: Operation, work: Callable[[Connection], Any], **values: Any) -> None:
        def fenced(connection: Connection) -> None:
            work(connection)
            # After the work, because hosts are locked before operations; the exception undoes it.
            if not operations.change_owned(connection, op, **values):
                raise OperationLost(uuid=op.uuid, fence=op.fence)

        self._database.run(fenced)
