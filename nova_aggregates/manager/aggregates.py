"""What may happen to aggregates, and when: each method is one transaction."""

from __future__ import annotations

import logging
import uuid as uuids
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations, pools
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import (
    AggregateKindFixed,
    AggregateNameTaken,
    AggregateNotEmpty,
    AggregateNotFound,
    HostInAnotherAggregate,
    HostInThisAggregate,
    HostNotFound,
    HostNotInAggregate,
    HostZoneMismatch,
    ZoneChangeRefused,
    ZoneUnknown,
)
from nova_aggregates.manager.states import settle
from nova_aggregates.objects import (
    Accepted,
    Action,
    Aggregate,
    AggregateKind,
    AggregateState,
    Operation,
    Requester,
)

LOG = logging.getLogger(__name__)

# Essex set this key itself, to "true", when an aggregate became a pool
# (nova/virt/xenapi/pool.py); here only "false" has a meaning.
KIND_KEY = "hypervisor_pool"


class AggregateManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def index(self, *, availability_zone: str | None = None) -> list[Aggregate]:
        """Every aggregate that is not deleted, oldest first."""
        return self._database.query(
            partial(aggregates.fetch_live, availability_zone=availability_zone)
        )

    def show(self, aggregate_id: int) -> Aggregate:
        """One aggregate.

        :raises AggregateNotFound: there is none, or it is deleted.
        """
        found = self._database.query(partial(aggregates.fetch, aggregate_id=aggregate_id))
        if found is None:
            raise AggregateNotFound(aggregate_id=aggregate_id)
        return found

    def create(
        self,
        requester: Requester,
        *,
        name: str,
        availability_zone: str | None,
        metadata: Mapping[str, str | None] | None = None,
    ) -> Aggregate:
        """A new aggregate. Without a zone (Compute API v2.1) no zone rule applies to it.

        :raises AggregateNameTaken: a live aggregate has this name.
        :raises ZoneUnknown: no host is in the zone.
        """
        kept = {key: value for key, value in (metadata or {}).items() if value}

        def work(connection: Connection) -> Aggregate:
            _require_zone(connection, availability_zone)
            _require_free_name(connection, name)
            aggregate_id = aggregates.insert(
                connection,
                uuid=str(uuids.uuid4()),
                name=name,
                live_name=name,
                availability_zone=availability_zone,
                kind=_kind_by(kept),
                state=AggregateState.CREATED,
                created_at=utcnow(),
            )
            aggregates.write_metadata(connection, aggregate_id, {}, kept)
            return _answer(connection, aggregate_id)

        created = self._database.run(work)
        _log("aggregate.created", requester, created.id)
        return created

    def update(
        self,
        requester: Requester,
        aggregate_id: int,
        *,
        name: str | None = None,
        availability_zone: str | None = None,
    ) -> Accepted:
        """Change the name, the zone or both; None leaves as it is. The pool's label follows the
        name by an operation.

        :raises AggregateNotFound: there is none, or it is deleted.
        :raises AggregateNameTaken: another live aggregate has this name.
        :raises ZoneUnknown: no host is in the zone.
        :raises ZoneChangeRefused: a member is in another zone.
        """

        def work(connection: Connection) -> Accepted:
            row = _lock_live(connection, aggregate_id)
            values: dict[str, Any] = {}
            operation = None
            if availability_zone not in (None, row.availability_zone):
                _require_zone_fits(connection, aggregate_id, availability_zone)
                values["availability_zone"] = availability_zone
            if name not in (None, row.name):
                _require_free_name(connection, name)
                values.update(name=name, live_name=name)
                if _may_have_pool(connection, row):
                    operation = operations.insert(
                        connection,
                        requester,
                        Action.RENAME_POOL,
                        aggregate_id,
                        parameters={"name": name, "former": row.name},
                    )
            if values:
                aggregates.change(connection, aggregate_id, **values)
            settle(connection, row)
            return Accepted(_answer(connection, aggregate_id), operation)

        accepted = self._database.run(work)
        _log("aggregate.updated", requester, aggregate_id, accepted.operation)
        return accepted

    def delete(self, requester: Requester, aggregate_id: int) -> None:
        """Dismiss an empty aggregate. Its name is free at once; its last operations go on.

        :raises AggregateNotFound: there is none, or it is deleted already.
        :raises AggregateNotEmpty: it has hosts.
        """

        def work(connection: Connection) -> None:
            row = _lock_live(connection, aggregate_id)
            names = [host.name for host in members.of_aggregate(connection, aggregate_id)]
            if names:
                raise AggregateNotEmpty(aggregate_id=aggregate_id, hosts=", ".join(names))
            now = utcnow()
            aggregates.change(
                connection,
                row.id,
                live_name=None,
                state=AggregateState.DISMISSED,
                updated_at=now,
                deleted_at=now,
            )
            aggregates.bump_generation(connection)

        self._database.run(work)
        _log("aggregate.deleted", requester, aggregate_id)

    def add_host(self, requester: Requester, aggregate_id: int, host_name: str) -> Accepted:
        """Make the host a member, and queue the operation that lets it join the pool.

        :raises AggregateNotFound: there is no such aggregate.
        :raises HostNotFound: no host has exactly this name.
        :raises HostInThisAggregate: it is a member already.
        :raises HostInAnotherAggregate: it is a member of another pool.
        :raises HostZoneMismatch: it is in another zone than the aggregate.
        """

        def work(connection: Connection) -> Accepted:
            host, row = _lock_host_and_aggregate(connection, aggregate_id, host_name)
            kind = AggregateKind(row.kind)
            _require_may_join(connection, host, row, kind)
            membership_id = members.add(connection, row.id, host.id, kind)
            operation = None
            if kind is AggregateKind.POOL:
                operation = operations.insert(
                    connection,
                    requester,
                    Action.ADD_HOST,
                    row.id,
                    host=host,
                    membership_id=membership_id,
                )
            settle(connection, row)
            return Accepted(_answer(connection, row.id), operation)

        accepted = self._database.run(work)
        _log("aggregate.host_added", requester, aggregate_id, accepted.operation)
        return accepted

    def remove_host(self, requester: Requester, aggregate_id: int, host_name: str) -> Accepted:
        """End the membership, and queue the operation that lets the host leave the pool.

        :raises AggregateNotFound: there is no such aggregate.
        :raises HostNotFound: no host has exactly this name.
        :raises HostNotInAggregate: it is no member.
        """

        def work(connection: Connection) -> Accepted:
            host, row = _lock_host_and_aggregate(connection, aggregate_id, host_name)
            mine = [m for m in members.of_host(connection, host.id) if m.aggregate_id == row.id]
            if not mine:
                raise HostNotInAggregate(host=host.name, aggregate_id=row.id)
            members.remove(connection, mine[0].id)
            operation = None
            if row.kind == AggregateKind.POOL:
                operation = operations.insert(
                    connection,
                    requester,
                    Action.REMOVE_HOST,
                    row.id,
                    host=host,
                    membership_id=mine[0].id,
                )
            settle(connection, row)
            return Accepted(_answer(connection, row.id), operation)

        accepted = self._database.run(work)
        _log("aggregate.host_removed", requester, aggregate_id, accepted.operation)
        return accepted

    def set_metadata(
        self, requester: Requester, aggregate_id: int, metadata: Mapping[str, str | None]
    ) -> Aggregate:
        """Set the keys that are given; None or "" removes a key, unknown or not.

        :raises AggregateNotFound: there is no such aggregate.
        :raises AggregateKindFixed: the key hypervisor_pool would make a pool out of a label, or a
            label out of a pool, that is in use.
        """

        def work(connection: Connection) -> Aggregate:
            row = _lock_live(connection, aggregate_id)
            old = aggregates.metadata_of(connection, row.id)
            new = {key: value for key, value in {**old, **metadata}.items() if value}
            kind = _kind_by(new)
            if kind != row.kind:
                _require_unused(connection, row)
                aggregates.change(connection, row.id, kind=kind)
                row = _lock_live(connection, aggregate_id)
            aggregates.write_metadata(connection, row.id, old, new)
            settle(connection, row)
            return _answer(connection, row.id)

        changed = self._database.run(work)
        _log("aggregate.metadata_set", requester, aggregate_id)
        return changed


def _answer(connection: Connection, aggregate_id: int) -> Aggregate:
    aggregates.bump_generation(connection)
    answer = aggregates.fetch(connection, aggregate_id)
    if answer is None:
        raise AggregateNotFound(aggregate_id=aggregate_id)
    return answer


def _lock_live(connection: Connection, aggregate_id: int) -> Row:
    row = aggregates.lock(connection, aggregate_id)
    if row is None or row.deleted_at is not None:
        raise AggregateNotFound(aggregate_id=aggregate_id)
    return row


def _lock_host_and_aggregate(
    connection: Connection, aggregate_id: int, host_name: str
) -> tuple[Row, Row]:
    host = hosts.by_name(connection, host_name, locked=True)
    row = _lock_live(connection, aggregate_id)
    if host is None:
        raise HostNotFound(host=host_name)
    return host, row


def _require_free_name(connection: Connection, name: str) -> None:
    if aggregates.name_is_taken(connection, name):
        raise AggregateNameTaken(name=name)


def _require_zone(connection: Connection, zone: str | None) -> None:
    if zone is None:
        return
    known = hosts.zones(connection)
    if zone not in known:
        raise ZoneUnknown(zone=zone, known=", ".join(known) or "(there is no host yet)")


def _require_zone_fits(connection: Connection, aggregate_id: int, zone: str) -> None:
    strangers = [
        f"{host.name} in {host.zone}"
        for host in members.of_aggregate(connection, aggregate_id)
        if host.zone != zone
    ]
    if strangers:
        raise ZoneChangeRefused(aggregate_id=aggregate_id, zone=zone, hosts=", ".join(strangers))
    _require_zone(connection, zone)


def _require_may_join(connection: Connection, host: Row, row: Row, kind: AggregateKind) -> None:
    for membership in members.of_host(connection, host.id):
        if membership.aggregate_id == row.id:
            raise HostInThisAggregate(host=host.name, aggregate_id=row.id)
        if kind is AggregateKind.POOL and membership.pool_slot is not None:
            raise HostInAnotherAggregate(
                host=host.name, aggregate=membership.name, other_id=membership.aggregate_id
            )
    if row.availability_zone not in (None, host.zone):
        raise HostZoneMismatch(
            host=host.name,
            host_zone=host.zone,
            aggregate_id=row.id,
            zone=row.availability_zone,
        )


def _require_unused(connection: Connection, row: Row) -> None:
    if members.exist(connection, row.id) or _has_unfinished(connection, row.id):
        raise AggregateKindFixed(aggregate_id=row.id)


def _may_have_pool(connection: Connection, row: Row) -> bool:
    """Now, or by the time that the operations before this one have ended."""
    return row.kind == AggregateKind.POOL and (
        pools.by_aggregate(connection, row.id) is not None
        or members.exist(connection, row.id)
        or _has_unfinished(connection, row.id)
    )


def _has_unfinished(connection: Connection, aggregate_id: int) -> bool:
    return bool(
        operations.unfinished(connection, operations.operations.c.aggregate_id == aggregate_id)
    )


def _kind_by(metadata: Mapping[str, str]) -> AggregateKind:
    plain = metadata.get(KIND_KEY, "").lower() == "false"
    return AggregateKind.LABEL if plain else AggregateKind.POOL


def _log(
    event: str, requester: Requester, aggregate_id: int, operation: Operation | None = None
) -> None:
    LOG.info(
        "%s aggregate=%s operation=%s request_id=%s",
        event,
        aggregate_id,
        operation.uuid if operation else None,
        requester.request_id,
    )
