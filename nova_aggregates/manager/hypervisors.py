"""What the hosts have and what of it is in use, as they told when they were last seen."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.engine import Connection

from nova_aggregates.db import hosts
from nova_aggregates.db.engine import Database
from nova_aggregates.exceptions import HypervisorNoMatch, HypervisorNotFound, MarkerNotFound
from nova_aggregates.manager.services import ServiceManager, find
from nova_aggregates.objects import Host, HostStatus, Hypervisor, ZoneRule

# Hypervisors do not tell their zone.
RULE = ZoneRule.HOSTS


class HypervisorManager:
    def __init__(self, database: Database, services: ServiceManager) -> None:
        self._database = database
        self._services = services

    def index(
        self,
        *,
        limit: int | None = None,
        marker: int | str | None = None,
        with_guests: bool = False,
    ) -> list[Hypervisor]:
        """Hypervisors in the order of their registration.

        :param marker: number or uuid of the one before the first.
        :raises MarkerNotFound: there is no such one.
        """

        def work(connection: Connection) -> list[Hypervisor]:
            after = 0
            if marker is not None:
                row = find(connection, marker)
                if row is None:
                    raise MarkerNotFound(marker=marker)
                after = row.id
            found = hosts.fetch_page(connection, after=after, limit=limit)
            return self._of_hosts(connection, found, with_guests)

        return self._database.query(work)

    def search(self, pattern: str, *, with_guests: bool = False) -> list[Hypervisor]:
        """Those whose name contains ``pattern``, without regard to case.

        :raises HypervisorNoMatch: no name does.
        """

        def work(connection: Connection) -> list[Hypervisor]:
            wanted = pattern.casefold()
            found = [h for h in hosts.fetch_all(connection) if wanted in h.name.casefold()]
            return self._of_hosts(connection, found, with_guests)

        result = self._database.query(work)
        if not result:
            raise HypervisorNoMatch(pattern=pattern)
        return result

    def show(self, key: int | str, *, with_guests: bool = False) -> Hypervisor:
        """One hypervisor, by number or uuid.

        :raises HypervisorNotFound: there is none.
        """

        def work(connection: Connection) -> list[Hypervisor]:
            row = find(connection, key)
            found = [] if row is None else [hosts.host_of(row)]
            return self._of_hosts(connection, found, with_guests)

        result = self._database.query(work)
        if not result:
            raise HypervisorNotFound(hypervisor=key)
        return result[0]

    def in_service(self) -> list[Host]:
        """The enabled hosts: those that Nova's statistics count."""
        found = self._database.query(hosts.fetch_all)
        return [host for host in found if host.status is HostStatus.ENABLED]

    def _of_hosts(
        self, connection: Connection, found: Iterable[Host], with_guests: bool
    ) -> list[Hypervisor]:
        services = self._services.of_hosts(connection, RULE, found)
        if not with_guests:
            return [Hypervisor(service) for service in services]
        guests = hosts.guests_of(connection, {service.host.id for service in services})
        return [Hypervisor(service, guests.get(service.host.id, ())) for service in services]
