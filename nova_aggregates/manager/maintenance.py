"""What may be asked for a host's maintenance and for the update of a whole aggregate, and when.
Each method is one transaction that queues the operation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import (
    AggregateHasNoPool,
    HostGoalContradictory,
    HostInNoPool,
    HostNotFound,
    HostNotInAggregate,
    HostNotInMaintenance,
    OperationCannotBeStarted,
    OperationNotFound,
)
from nova_aggregates.manager import idempotency, membership
from nova_aggregates.manager.states import settle
from nova_aggregates.objects import (
    Action,
    AggregateKind,
    HostGoal,
    HostStatus,
    MaintenanceMode,
    MaintenanceWish,
    Once,
    Operation,
    OperationState,
    Requester,
)

LOG = logging.getLogger(__name__)
T = TypeVar("T")
CAUTIOUS = MaintenanceWish()


class MaintenanceManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def set(
        self,
        requester: Requester,
        name: str,
        *,
        maintenance: bool | None,
        enabled: bool | None,
        wish: MaintenanceWish = CAUTIOUS,
        once: Once | None = None,
    ) -> HostGoal:
        """Begin or end maintenance, take a host out of service or back; None leaves as it is.

        :raises HostNotFound: there is no such host.
        :raises HostInNoPool: it is in no pool.
        :raises HostGoalContradictory: the two wishes, or a wish and what the host is, exclude each
            other.
        """

        def work(connection: Connection) -> HostGoal:
            host, row = _lock(connection, name)
            _require_sense(host, maintenance, enabled)
            action, parameters = _wanted(maintenance, enabled, wish)
            operation = operations.insert(
                connection, requester, action, row.id, host=host, parameters=parameters
            )
            settle(connection, row)
            aggregates.bump_generation(connection)
            on = (
                maintenance
                if maintenance is not None
                else host.maintenance_mode == "on_maintenance"
            )
            serving = enabled if enabled is not None else not on
            if maintenance is False and enabled is None:
                serving = True
            return HostGoal(
                host=host.name,
                status=HostStatus.ENABLED if serving else HostStatus.DISABLED,
                maintenance_mode=MaintenanceMode.ON if on else MaintenanceMode.OFF,
                operation=operation,
            )

        return self._change("host.goal_set", requester, name, work, once)

    def power(
        self, requester: Requester, name: str, action: Action, *, once: Once | None = None
    ) -> Operation:
        """Reboot, shut down or start a host in maintenance.

        :raises HostNotFound: there is no such host.
        :raises HostInNoPool: it is in no pool.
        :raises HostNotInMaintenance: guests may be on it.
        """

        def work(connection: Connection) -> Operation:
            host, row = _lock(connection, name)
            if host.maintenance_mode != MaintenanceMode.ON:
                raise HostNotInMaintenance(host=name, reason=_on_its_way(connection, host))
            operation = operations.insert(connection, requester, action, row.id, host=host)
            settle(connection, row)
            aggregates.bump_generation(connection)
            return operation

        return self._change(f"host.{action}", requester, name, work, once)

    def plan(
        self, requester: Requester, name: str, wish: MaintenanceWish, *, once: Once | None = None
    ) -> Operation:
        """Queue a look at where the guests of a host would go; nothing changes.

        :raises HostNotFound: there is no such host.
        :raises HostInNoPool: it is in no pool.
        """

        def work(connection: Connection) -> Operation:
            host, row = _lock(connection, name)
            parameters = {"action": Action.MAINTENANCE_ON, **wish.parameters()}
            return operations.insert(
                connection, requester, Action.PREFLIGHT, row.id, host=host, parameters=parameters
            )

        return self._change("host.plan_asked", requester, name, work, once)

    def roll(
        self,
        requester: Requester,
        aggregate_id: int,
        wish: Mapping[str, Any],
        *,
        dry_run: bool = False,
        once: Once | None = None,
    ) -> Operation:
        """Queue a rolling update of an aggregate, or (``dry_run``) a look at its plan.

        :param wish: as :mod:`nova_aggregates.flows.rolling` reads it; the schema of the API.
        :raises AggregateNotFound: there is none, or it is deleted.
        :raises AggregateHasNoPool: it is a label, or empty.
        :raises HostNotInAggregate: a host that was named is no member.
        """

        def work(connection: Connection) -> Operation:
            row = membership.lock_live(connection, aggregate_id)
            _require_hosts(connection, row, wish)
            parameters: dict[str, Any] = dict(wish)
            if dry_run:
                parameters["action"] = Action.ROLLING_UPDATE
            action = Action.PREFLIGHT if dry_run else Action.ROLLING_UPDATE
            operation = operations.insert(
                connection, requester, action, row.id, parameters=parameters
            )
            if not dry_run:
                settle(connection, row)
                aggregates.bump_generation(connection)
            return operation

        return self._change("aggregate.rolling_update", requester, aggregate_id, work, once)

    def start(self, requester: Requester, uuid: str, *, once: Once | None = None) -> Operation:
        """Queue the rolling update whose plan the operation was.

        :raises OperationNotFound: there is none.
        :raises OperationCannotBeStarted: it is no plan, or one that did not succeed.
        """

        def work(connection: Connection) -> Operation:
            plan = operations.by_uuid(connection, uuid)
            if plan is None:
                raise OperationNotFound(uuid=uuid)
            if plan.parameters.get("action") != Action.ROLLING_UPDATE:
                raise OperationCannotBeStarted(uuid=uuid, reason="it is no plan (dry_run)")
            if plan.state != OperationState.SUCCEEDED:
                raise OperationCannotBeStarted(uuid=uuid, reason=f"its plan is {plan.state}")
            wish = {key: value for key, value in plan.parameters.items() if key != "action"}
            row = membership.lock_live(connection, plan.aggregate_id)
            _require_hosts(connection, row, wish)
            operation = operations.insert(
                connection, requester, Action.ROLLING_UPDATE, row.id, parameters=wish
            )
            settle(connection, row)
            aggregates.bump_generation(connection)
            return operation

        return self._change("operation.started", requester, uuid, work, once)

    def _change(
        self,
        event: str,
        requester: Requester,
        about: str | int,
        work: Callable[[Connection], T],
        once: Once | None,
    ) -> T:
        done = idempotency.run(self._database, work, once)
        if not done.replayed:
            LOG.info("%s about=%s request_id=%s", event, about, requester.request_id)
        return done.answer


def require_no_maintenance(host: Row) -> None:
    """Do nothing when the host may be enabled.

    :raises HostGoalContradictory: it is in maintenance.
    """
    if host.maintenance_mode == MaintenanceMode.ON:
        raise HostGoalContradictory(
            host=host.name, reason="it is in maintenance; end that with maintenance_mode disable"
        )


def _lock(connection: Connection, name: str) -> tuple[Row, Row]:
    """The host and the pool aggregate that it is in, held."""
    host = hosts.by_name(connection, name, locked=True)
    if host is None:
        raise HostNotFound(host=name)
    row = membership.pool_of(connection, host)
    if row is None:
        raise HostInNoPool(host=name)
    return host, row


def _require_sense(host: Row, maintenance: bool | None, enabled: bool | None) -> None:
    if maintenance is not None and enabled is not None and maintenance == enabled:
        reason = (
            "a host in maintenance takes no new work, so it cannot be enabled"
            if maintenance
            else "its guests cannot come back to a host that is disabled"
        )
        raise HostGoalContradictory(host=host.name, reason=reason)
    if maintenance is None and enabled:
        require_no_maintenance(host)


def _wanted(
    maintenance: bool | None, enabled: bool | None, wish: MaintenanceWish
) -> tuple[Action, dict[str, Any]]:
    if maintenance is None:
        return Action.SET_STATUS, {"enabled": bool(enabled)}
    return (Action.MAINTENANCE_ON if maintenance else Action.MAINTENANCE_OFF), wish.parameters()


def _on_its_way(connection: Connection, host: Row) -> str:
    mine = operations.operations.c.host_id == host.id
    for each in operations.unfinished(connection, mine):
        if each.action == Action.MAINTENANCE_ON:
            return f"the operation {each.uuid} has not put it there yet"
    return "put it there first with maintenance_mode enable"


def _require_hosts(connection: Connection, row: Row, wish: Mapping[str, Any]) -> None:
    present = {host.name for host in members.of_aggregate(connection, row.id)}
    if row.kind == AggregateKind.LABEL or not present:
        raise AggregateHasNoPool(aggregate_id=row.id)
    for name in [*wish.get("hosts", ()), *wish.get("canary", ())]:
        if name not in present:
            raise HostNotInAggregate(host=name, aggregate_id=row.id)
