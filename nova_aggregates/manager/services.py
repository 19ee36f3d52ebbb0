"""The compute service of every host: its zone, whether it is up, whether it takes new work."""

from __future__ import annotations

import dataclasses
import datetime
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from oslo_config import cfg
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.exceptions import ServiceNotFound
from nova_aggregates.manager import idempotency, membership
from nova_aggregates.manager.hosts import forget
from nova_aggregates.manager.maintenance import require_no_maintenance
from nova_aggregates.manager.states import settle
from nova_aggregates.objects import (
    Action,
    Host,
    HostStatus,
    Once,
    Operation,
    Requester,
    Service,
    ServiceGoal,
    ZoneRule,
)

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceChange:
    """What becomes of a service; None leaves as it is."""

    status: HostStatus | None = None
    reason: str | None = None  # why it is disabled; goes with the status
    forced_down: bool | None = None


class ServiceManager:
    """:param down_time: seconds without a word from a host after which its service is down.
    :param default_zone: of hosts that no aggregate gives a zone (v2.1).
    """

    def __init__(self, database: Database, *, down_time: float, default_zone: str) -> None:
        self._database = database
        self._down_time = datetime.timedelta(seconds=down_time)
        self._default_zone = default_zone

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, database: Database) -> ServiceManager:
        """By the options of [api]."""
        return cls(
            database,
            down_time=conf.api.service_down_time,
            default_zone=conf.api.default_availability_zone,
        )

    def index(self, rule: ZoneRule, *, host: str | None = None) -> list[Service]:
        """The services, in the order of the registration of their hosts.

        :param host: of the host with exactly this name only.
        """

        def work(connection: Connection) -> list[Service]:
            if host is None:
                return self.of_hosts(connection, rule, hosts.fetch_all(connection))
            row = hosts.by_name(connection, host)
            return [] if row is None else self.of_hosts(connection, rule, [hosts.host_of(row)])

        return self._database.query(work)

    def show(self, rule: ZoneRule, key: int | str) -> Service:
        """One service, by number or uuid.

        :raises ServiceNotFound: there is none.
        """

        def work(connection: Connection) -> Service:
            row = find(connection, key)
            if row is None:
                raise ServiceNotFound(service=key)
            return self.of_hosts(connection, rule, [hosts.host_of(row)])[0]

        return self._database.query(work)

    def change(
        self,
        requester: Requester,
        rule: ZoneRule,
        key: int | str,
        change: ServiceChange,
        *,
        once: Once | None = None,
    ) -> ServiceGoal:
        """Enable, disable, force down or let up again.

        The status of a host in a pool is XenServer's: an operation sets it there, and notes it when
        it is so. Everything else is a change of records, done at once.

        :raises ServiceNotFound: there is none.
        :raises HostGoalContradictory: it is in maintenance, and so cannot be enabled.
        """

        def work(connection: Connection) -> ServiceGoal:
            row = find(connection, key, locked=True)
            if row is None:
                raise ServiceNotFound(service=key)
            status, operation = _status(change), None
            pool = membership.pool_of(connection, row) if status else None
            if pool is not None:
                operation = _queue(connection, requester, row, pool, change)
            values: dict[str, Any] = {} if pool is not None else dict(status)
            if change.forced_down is not None:
                values.update(forced_down=change.forced_down)
            if values:
                hosts.change(connection, row.id, **values, updated_at=utcnow())
            aggregates.bump_generation(connection)
            host = hosts.host_of(hosts.by_id(connection, row.id))
            goal = dataclasses.replace(host, **status)
            return ServiceGoal(self.of_hosts(connection, rule, [goal])[0], operation)

        done = idempotency.run(self._database, work, once)
        service, operation = done.answer.service, done.answer.operation
        if not done.replayed:
            LOG.info(
                "service.changed host=%s status=%s forced_down=%s operation=%s request_id=%s",
                service.host.name,
                service.host.status,
                service.host.forced_down,
                operation.uuid if operation else "-",
                requester.request_id,
            )
        return done.answer

    def delete(self, requester: Requester, key: int | str) -> None:
        """Forget the host. It leaves its labels; a pool it must have left before, because that is
        more than a change of records.

        :raises ServiceNotFound: there is none.
        :raises HostInUse: it is in a pool.
        :raises HostBusy: an operation on it has not ended.
        """

        def work(connection: Connection) -> str:
            row = find(connection, key, locked=True)
            if row is None:
                raise ServiceNotFound(service=key)
            forget(connection, row)
            return str(row.name)

        name = self._database.run(work)
        LOG.info("service.deleted host=%s request_id=%s", name, requester.request_id)

    def of_hosts(
        self, connection: Connection, rule: ZoneRule, wanted: Iterable[Host]
    ) -> list[Service]:
        """The services of these hosts, as they are now."""
        zones: Mapping[int, set[str]] = {}
        if rule is ZoneRule.AGGREGATES:
            zones = members.zones(connection)
        now = utcnow()
        return [
            Service(host, self._zone(rule, host, zones.get(host.id, set())), self._up(host, now))
            for host in wanted
        ]

    def _zone(self, rule: ZoneRule, host: Host, said: set[str]) -> str:
        if rule is ZoneRule.HOSTS:
            return host.zone
        # One, unless somebody wrote to the database by hand.
        return min(said, default=self._default_zone)

    def _up(self, host: Host, now: datetime.datetime) -> bool:
        return (
            not host.forced_down
            and host.contact_lost_at is None
            and host.last_seen is not None
            and host.last_seen > now - self._down_time
        )


def find(connection: Connection, key: int | str, *, locked: bool = False) -> Row | None:
    """The row of the host with this number or uuid."""
    if isinstance(key, int):
        return hosts.by_id(connection, key, locked=locked)
    return hosts.by_uuid(connection, key, locked=locked)


def _status(change: ServiceChange) -> dict[str, Any]:
    if change.status is None:
        return {}
    return {"status": change.status, "status_reason": change.reason}


def _queue(
    connection: Connection, requester: Requester, host: Row, pool: Row, change: ServiceChange
) -> Operation:
    """:raises HostGoalContradictory: it is in maintenance, and so cannot be enabled."""
    enabled = change.status is HostStatus.ENABLED
    parameters: dict[str, Any] = {"enabled": enabled}
    if enabled:
        require_no_maintenance(host)
    else:
        parameters["reason"] = change.reason
    operation = operations.insert(
        connection, requester, Action.SET_STATUS, pool.id, host=host, parameters=parameters
    )
    settle(connection, pool)
    return operation
