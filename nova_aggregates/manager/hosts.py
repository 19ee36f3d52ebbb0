"""Registration of hosts, and what is known of each."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import uuid as uuids
from collections.abc import Collection
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations, pools, shelf
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import HostBusy, HostExists, HostInUse, HostNotFound
from nova_aggregates.objects import (
    Aggregate,
    AggregateKind,
    Credentials,
    Guest,
    Holdings,
    Host,
    HostRegistration,
    HostStatus,
    Inventory,
    MaintenanceMode,
    Requester,
)

LOG = logging.getLogger(__name__)


class HostManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def index(self, *, zone: str | None = None) -> list[Host]:
        """Registered hosts, in the order of their registration."""
        return self._database.query(partial(hosts.fetch_all, zone=zone))

    def show(self, name: str) -> Host:
        """The host with exactly this name.

        :raises HostNotFound: there is none.
        """
        row = self._database.query(partial(hosts.by_name, name=name))
        if row is None:
            raise HostNotFound(host=name)
        return hosts.host_of(row)

    def aggregate_of(self, name: str) -> Aggregate | None:
        """The pool that the host is meant to be in.

        :raises HostNotFound: there is no such host.
        """

        def work(connection: Connection) -> Aggregate | None:
            row = hosts.by_name(connection, name)
            if row is None:
                raise HostNotFound(host=name)
            for membership in members.of_host(connection, row.id):
                if membership.kind == AggregateKind.POOL:
                    return shelf.fetch(connection, membership.aggregate_id)
            return None

        return self._database.query(work)

    def register(self, requester: Requester, registration: HostRegistration) -> Host:
        """A new host, disabled until it joins an aggregate.

        :raises HostExists: the name, or the address with the port, is registered already.
        """
        secret = self._secrets.seal(registration.credentials.password)

        def work(connection: Connection) -> Host:
            _require_new(connection, registration)
            hosts.insert(
                connection,
                uuid=str(uuids.uuid4()),
                name=registration.name,
                address=registration.address,
                port=registration.port,
                username=registration.credentials.username,
                secret=secret,
                trust_fingerprint=registration.trust.fingerprint,
                trust_ca=registration.trust.ca,
                trust_insecure=registration.trust.insecure,
                zone=registration.zone,
                status=HostStatus.DISABLED,
                maintenance_mode=MaintenanceMode.OFF,
                created_at=utcnow(),
            )
            aggregates.bump_generation(connection)
            return hosts.host_of(hosts.by_name(connection, registration.name))

        host = self._database.run(work)
        LOG.info("host.registered host=%s request_id=%s", host.name, requester.request_id)
        return host

    def delete(self, requester: Requester, name: str) -> None:
        """Forget a host that is in no aggregate.

        :raises HostNotFound: there is none.
        :raises HostInUse: it is in an aggregate.
        :raises HostBusy: an operation on it has not ended.
        """

        def work(connection: Connection) -> None:
            row = hosts.by_name(connection, name, locked=True)
            if row is None:
                raise HostNotFound(host=name)
            for membership in members.of_host(connection, row.id):
                raise HostInUse(host=name, aggregate=membership.name)
            forget(connection, row)

        self._database.run(work)
        LOG.info("host.deleted host=%s request_id=%s", name, requester.request_id)

    def credentials(self, host_id: int) -> Credentials:
        """User and password of the host; for flows only.

        :raises HostNotFound: there is none.
        :raises ConfigurationInvalid: the password was encrypted with a key that is not there.
        """
        row = self._database.query(partial(hosts.by_id, host_id=host_id))
        if row is None:
            raise HostNotFound(host=f"number {host_id}")
        return Credentials(row.username, self._secrets.open(row.secret))

    def observed(
        self,
        host_id: int,
        *,
        xen_uuid: str,
        inventory: Inventory | None,
        seen_at: datetime.datetime,
        holdings: Holdings | None = None,
        guests: Collection[Guest] | None = None,
    ) -> None:
        """Note what the host said of itself. Without an inventory, holdings or guests the last
        ones stay.

        :raises HostNotFound: there is none.
        """
        values: dict[str, Any] = {
            "xen_uuid": xen_uuid,
            "last_seen": seen_at,
            "contact_lost_at": None,
            "contact_lost_reason": None,
        }
        if inventory is not None:
            values["inventory"] = dataclasses.asdict(inventory)
        if holdings is not None:
            values["holdings"] = dataclasses.asdict(holdings)

        def work(connection: Connection) -> None:
            # No bump: it would make every reader's copy of the lists stale once a minute and host.
            if not hosts.change(connection, host_id, **values):
                raise HostNotFound(host=f"number {host_id}")
            if guests is not None:
                hosts.write_guests(connection, host_id, guests)

        self._database.run(work)

    def not_seen(self, host_id: int, at: datetime.datetime, reason: str) -> None:
        """Note that the host could not be read. The time of the first failure in a row stays.

        :raises HostNotFound: there is none.
        """

        def work(connection: Connection) -> None:
            row = hosts.by_id(connection, host_id, locked=True)
            if row is None:
                raise HostNotFound(host=f"number {host_id}")
            if row.last_seen is not None and row.last_seen >= at:
                return
            since = row.contact_lost_at or at
            hosts.change(connection, host_id, contact_lost_at=since, contact_lost_reason=reason)

        self._database.run(work)

    def set_credentials(self, host_id: int, credentials: Credentials) -> None:
        """The host has other credentials now.

        :raises HostNotFound: there is none.
        """
        self._change(
            host_id,
            bump=True,
            username=credentials.username,
            secret=self._secrets.seal(credentials.password),
            updated_at=utcnow(),
        )

    def set_status(self, host_id: int, status: HostStatus, reason: str | None = None) -> None:
        """Whether the host takes new work, and why not.

        :raises HostNotFound: there is none.
        """
        self._change(host_id, bump=True, status=status, status_reason=reason, updated_at=utcnow())

    def _change(self, host_id: int, *, bump: bool, **values: Any) -> None:
        def work(connection: Connection) -> None:
            if not hosts.change(connection, host_id, **values):
                raise HostNotFound(host=f"number {host_id}")
            if bump:
                aggregates.bump_generation(connection)

        self._database.run(work)


def forget(connection: Connection, row: Row) -> None:
    """Remove a locked host, and its memberships in labels.

    :raises HostInUse: it is in a pool.
    :raises HostBusy: an operation on it has not ended.
    """
    memberships = members.of_host(connection, row.id)
    for membership in memberships:
        if membership.kind == AggregateKind.POOL:
            raise HostInUse(host=row.name, aggregate=membership.name)
    for operation in operations.unfinished(connection, operations.operations.c.host_id == row.id):
        raise HostBusy(host=row.name, operation=operation.uuid)
    for membership in memberships:
        members.remove(connection, membership.id)
    pools.forget_master(connection, row.id)
    hosts.delete(connection, row.id)
    aggregates.bump_generation(connection)


def _require_new(connection: Connection, registration: HostRegistration) -> None:
    if hosts.by_name(connection, registration.name) is not None:
        raise HostExists(what="name", value=registration.name, host=registration.name)
    other = hosts.by_address(connection, registration.address, registration.port)
    if other is not None:
        raise HostExists(
            what="address",
            value=f"{registration.address} port {registration.port}",
            host=other.name,
        )
