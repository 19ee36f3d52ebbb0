"""What may happen to aggregates, and when: each method is one transaction."""

from __future__ import annotations

import logging
import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, members, operations, shelf
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import (
    AggregateKindFixed,
    AggregateNameTaken,
    AggregateNotEmpty,
    AggregateNotFound,
    MarkerNotFound,
)
from nova_aggregates.manager import desired, idempotency, importing, membership, search
from nova_aggregates.manager import zones as zone_rules
from nova_aggregates.manager.states import settle
from nova_aggregates.objects import (
    Accepted,
    Action,
    Aggregate,
    AggregateKind,
    AggregatePage,
    AggregateSearch,
    AggregateState,
    ImportedPool,
    Once,
    Operation,
    OperationState,
    PlannedHosts,
    PoolImported,
    Requester,
    ZoneRule,
)

LOG = logging.getLogger(__name__)
T = TypeVar("T")

# Essex set this key itself, to "true", when an aggregate became a pool
# (nova/virt/xenapi/pool.py); here only "false" has a meaning.
KIND_KEY = "hypervisor_pool"


class AggregateManager:
    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets
        self._shelf = shelf.Shelf(database)

    def generation(self) -> int:
        """Equal numbers mean equal lists of aggregates and hosts (inventory and last seen aside).
        Read before the lists, it never promises more than they hold."""
        return shelf.current_generation(self._database)

    def generation_of(self, aggregate_id: int) -> int:
        """Equal numbers mean that the aggregate is the same in everything.

        :raises AggregateNotFound: there is none, or it is deleted.
        """
        found = shelf.generation_of(self._database, aggregate_id)
        if found is None:
            raise AggregateNotFound(aggregate_id=aggregate_id)
        return found

    def index(self, *, availability_zone: str | None = None) -> list[Aggregate]:
        """Every aggregate that is not deleted, oldest first."""
        return self._shelf.fetch_live(availability_zone=availability_zone)

    def search(self, wanted: AggregateSearch) -> AggregatePage:
        """The aggregates that fit, sorted, from behind the marker on.

        :raises MarkerNotFound: the marker is no aggregate, or is deleted.
        """
        if wanted.changed_since is None:
            found = self._shelf.fetch_live(availability_zone=wanted.availability_zone)
        else:
            found = self._shelf.fetch_changed(wanted.changed_since)
        marker = None
        if wanted.marker is not None:
            marker = self._shelf.fetch(wanted.marker)
            if marker is None:
                raise MarkerNotFound(marker=wanted.marker)
        return search.page(found, wanted, marker)

    def show(self, aggregate_id: int) -> Aggregate:
        """One aggregate.

        :raises AggregateNotFound: there is none, or it is deleted.
        """
        found = self._shelf.fetch(aggregate_id)
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
        zones: ZoneRule = ZoneRule.HOSTS,
        once: Once | None = None,
    ) -> Aggregate:
        """A new aggregate. Without a zone (Compute API v2.1) it takes hosts of any.

        :raises AggregateNameTaken: a live aggregate has this name.
        :raises ZoneUnknown: v1.1, and no host is in the zone.
        """
        kept = {key: value for key, value in (metadata or {}).items() if value}

        def work(connection: Connection) -> Aggregate:
            zone_rules.require_known(connection, zones, availability_zone)
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
            return membership.answer(connection, aggregate_id)

        return self._change("aggregate.created", requester, None, work, once)

    def update(
        self,
        requester: Requester,
        aggregate_id: int,
        *,
        name: str | None = None,
        availability_zone: str | None = None,
        zones: ZoneRule = ZoneRule.HOSTS,
        expected: frozenset[int] | None = None,
        once: Once | None = None,
    ) -> Accepted:
        """Change the name, the zone or both; None leaves as it is. The pool's label follows the
        name by an operation.

        :param expected: change nothing unless the aggregate has one of these generations; so in
            every method that changes one.
        :raises AggregateChanged: it has none of them.
        :raises AggregateNotFound: there is none, or it is deleted.
        :raises AggregateNameTaken: another live aggregate has this name.
        :raises ZoneUnknown: v1.1, and no host is in the zone.
        :raises ZoneChangeRefused: a member would be in two zones.
        """

        def work(connection: Connection) -> Accepted:
            row = _lock(connection, aggregate_id, moves=availability_zone is not None)
            membership.require_expected(row, expected)
            values: dict[str, Any] = {}
            operation = None
            if availability_zone not in (None, row.availability_zone):
                zone_rules.require_members_fit(connection, zones, row, availability_zone)
                values["availability_zone"] = availability_zone
            if name not in (None, row.name):
                _require_free_name(connection, name)
                values.update(name=name, live_name=name)
                if membership.may_have_pool(connection, row):
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
            return Accepted(membership.answer(connection, aggregate_id), operation)

        return self._change("aggregate.updated", requester, aggregate_id, work, once)

    def delete(
        self,
        requester: Requester,
        aggregate_id: int,
        *,
        expected: frozenset[int] | None = None,
        once: Once | None = None,
    ) -> None:
        """Dismiss an empty aggregate. Its name is free at once; its last operations go on.

        :raises AggregateNotFound: there is none, or it is deleted already.
        :raises AggregateNotEmpty: it has hosts.
        """

        def work(connection: Connection) -> None:
            row = membership.lock_live(connection, aggregate_id)
            membership.require_expected(row, expected)
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

        self._change("aggregate.deleted", requester, aggregate_id, work, once)

    def add_host(
        self,
        requester: Requester,
        aggregate_id: int,
        host_name: str,
        *,
        zones: ZoneRule = ZoneRule.HOSTS,
        expected: frozenset[int] | None = None,
        once: Once | None = None,
    ) -> Accepted:
        """Make the host a member, and queue the operation that lets it join the pool.

        :raises AggregateNotFound: there is no such aggregate.
        :raises HostNotFound: no host has exactly this name.
        :raises HostInThisAggregate: it is a member already.
        :raises HostInAnotherAggregate: it is a member of another pool.
        :raises HostZoneMismatch: it would be in two zones.
        """

        def work(connection: Connection) -> Accepted:
            host, row = membership.lock_host_and_aggregate(connection, aggregate_id, host_name)
            membership.require_expected(row, expected)
            operation = membership.add(connection, requester, host, row, zones)
            settle(connection, row)
            return Accepted(membership.answer(connection, row.id), operation)

        return self._change("aggregate.host_added", requester, aggregate_id, work, once)

    def remove_host(
        self,
        requester: Requester,
        aggregate_id: int,
        host_name: str,
        *,
        forget: bool = False,
        confirm: str | None = None,
        expected: frozenset[int] | None = None,
        once: Once | None = None,
    ) -> Accepted:
        """End the membership, and queue the operation that lets the host leave the pool.

        :param forget: the host is dead for good, so the pool shall forget it without its help.
        :param confirm: the digest of the holdings that may be lost.
        :raises AggregateNotFound: there is no such aggregate.
        :raises HostNotFound: no host has exactly this name.
        :raises HostNotInAggregate: it is no member.
        :raises HoldingsNotEmpty: guests, disks or storage would be lost, and ``confirm`` is not
            the digest of exactly these.
        """

        def work(connection: Connection) -> Accepted:
            host, row = membership.lock_host_and_aggregate(connection, aggregate_id, host_name)
            membership.require_expected(row, expected)
            operation = membership.remove(
                connection, requester, host, row, forget=forget, confirm=confirm
            )
            settle(connection, row)
            return Accepted(membership.answer(connection, row.id), operation)

        return self._change("aggregate.host_removed", requester, aggregate_id, work, once)

    def set_hosts(
        self,
        requester: Requester,
        aggregate_id: int,
        hosts: Sequence[str],
        master: str | None = None,
        *,
        zones: ZoneRule = ZoneRule.HOSTS,
        expected: frozenset[int] | None = None,
        once: Once | None = None,
    ) -> PlannedHosts:
        """Make these hosts, and no others, the members: new ones are added in the given order,
        then the master is changed, then the others leave, the present master last. All of it or
        nothing is queued.

        :param master: the host that shall be the pool's master; None leaves that as it is.
        :raises NovaAggregatesError: as :meth:`add_host` and :meth:`remove_host`; holdings are
            confirmed with the latter only.
        :raises MasterUnfit: the master is none of the hosts, or the aggregate is a label.
        """

        def work(connection: Connection) -> PlannedHosts:
            return desired.plan(connection, requester, aggregate_id, hosts, master, zones, expected)

        return self._change("aggregate.hosts_set", requester, aggregate_id, work, once)

    def preflight(
        self,
        requester: Requester,
        aggregate_id: int,
        action: Action,
        host_name: str,
        *,
        zones: ZoneRule = ZoneRule.HOSTS,
        once: Once | None = None,
    ) -> Operation:
        """Queue a look at what would stop ``action`` (ADD_HOST or REMOVE_HOST); nothing changes.

        :raises NovaAggregatesError: what the action itself would raise, holdings apart.
        """

        def work(connection: Connection) -> Operation:
            host, row = membership.lock_host_and_aggregate(connection, aggregate_id, host_name)
            if action is Action.ADD_HOST:
                membership.require_may_join(connection, host, row, zones)
            else:
                membership.require_member(connection, host, row)
            is_label = row.kind == AggregateKind.LABEL
            return operations.insert(
                connection,
                requester,
                Action.PREFLIGHT,
                row.id,
                host=host,
                parameters={"action": action},
                # A label touches no hypervisor, so there is nothing to look at.
                state=OperationState.SUCCEEDED if is_label else OperationState.QUEUED,
            )

        return self._change("aggregate.preflight", requester, aggregate_id, work, once)

    def import_pool(
        self, requester: Requester, pool: ImportedPool, *, once: Once | None = None
    ) -> PoolImported:
        """Make an aggregate of a pool that exists; hosts that are not registered yet become so.
        May be repeated: the aggregate of the first time then gets the hosts that are new.

        :raises AggregateNameTaken: another live aggregate has this name.
        :raises HostExists: another host is registered under the name of a member.
        :raises HostInAnotherAggregate: a member is recorded in another pool.
        :raises AggregateBusy: the aggregate of the first time has unfinished operations.
        """
        secret = self._secrets.seal(pool.credentials.password)

        def work(connection: Connection) -> PoolImported:
            return importing.take_in(connection, pool, secret)

        return self._change("pool.imported", requester, None, work, once)

    def set_metadata(
        self,
        requester: Requester,
        aggregate_id: int,
        metadata: Mapping[str, str | None],
        *,
        zones: ZoneRule = ZoneRule.HOSTS,
        expected: frozenset[int] | None = None,
        once: Once | None = None,
    ) -> Aggregate:
        """Set the keys that are given; None removes a key, unknown or not. The key
        availability_zone is the zone itself, for which the rules of :meth:`update` hold.

        :raises AggregateNotFound: there is no such aggregate.
        :raises ZoneRequired: the zone would be removed.
        :raises ZoneUnknown: see :meth:`update`.
        :raises ZoneChangeRefused: see :meth:`update`.
        :raises AggregateKindFixed: the key hypervisor_pool would make a pool out of a label, or a
            label out of a pool, that is in use.
        """

        def work(connection: Connection) -> Aggregate:
            row = _lock(connection, aggregate_id, moves=zone_rules.METADATA_KEY in metadata)
            membership.require_expected(row, expected)
            wanted = dict(metadata)
            if zone_rules.METADATA_KEY in wanted:
                _move(connection, zones, row, wanted.pop(zone_rules.METADATA_KEY))
            old = aggregates.metadata_of(connection, row.id)
            new = {key: value for key, value in {**old, **wanted}.items() if value is not None}
            kind = _kind_by(new)
            if kind != row.kind:
                _require_unused(connection, row)
                aggregates.change(connection, row.id, kind=kind)
                row = membership.lock_live(connection, aggregate_id)
            aggregates.write_metadata(connection, row.id, old, new)
            settle(connection, row)
            return membership.answer(connection, row.id)

        return self._change("aggregate.metadata_set", requester, aggregate_id, work, once)

    def _change(
        self,
        event: str,
        requester: Requester,
        aggregate_id: int | None,
        work: Callable[[Connection], T],
        once: Once | None,
    ) -> T:
        done = idempotency.run(self._database, work, once)
        if not done.replayed:
            _log(event, requester, aggregate_id, done.answer)
        return done.answer


def _require_free_name(connection: Connection, name: str) -> None:
    if aggregates.name_is_taken(connection, name):
        raise AggregateNameTaken(name=name)


def _lock(connection: Connection, aggregate_id: int, *, moves: bool) -> Row:
    """The aggregate's row, held; with its hosts when its zone may change."""
    lock = zone_rules.lock_with_members if moves else membership.lock_live
    return lock(connection, aggregate_id)


def _move(connection: Connection, rule: ZoneRule, row: Row, zone: str | None) -> None:
    zone_rules.require_members_fit(connection, rule, row, zone)
    if zone != row.availability_zone:
        aggregates.change(connection, row.id, availability_zone=zone)


def _require_unused(connection: Connection, row: Row) -> None:
    if members.exist(connection, row.id) or operations.has_unfinished(connection, row.id):
        raise AggregateKindFixed(aggregate_id=row.id)


def _kind_by(metadata: Mapping[str, str]) -> AggregateKind:
    plain = metadata.get(KIND_KEY, "").lower() == "false"
    return AggregateKind.LABEL if plain else AggregateKind.POOL


def _log(event: str, requester: Requester, aggregate_id: int | None, answer: Any) -> None:
    operation = answer if isinstance(answer, Operation) else getattr(answer, "operation", None)
    LOG.info(
        "%s aggregate=%s operation=%s request_id=%s",
        event,
        aggregate_id or getattr(answer, "id", None),
        operation.uuid if operation else None,
        requester.request_id,
    )
