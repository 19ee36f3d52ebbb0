"""An existing pool becomes an aggregate. All of it is a record of what is there already: nothing is
queued, and the pool is not touched."""

from __future__ import annotations

import dataclasses
import uuid as uuids
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations, pools
from nova_aggregates.db.clock import utcnow
from nova_aggregates.exceptions import (
    AggregateBusy,
    AggregateNameTaken,
    HostExists,
    HostInAnotherAggregate,
)
from nova_aggregates.manager import membership, zones
from nova_aggregates.manager.states import settle
from nova_aggregates.objects import (
    AggregateKind,
    AggregateState,
    HostStatus,
    ImportedHost,
    ImportedPool,
    MaintenanceMode,
    PoolImported,
    ZoneRule,
)


def take_in(connection: Connection, pool: ImportedPool, secret: str) -> PoolImported:
    """See ``AggregateManager.import_pool``. ``secret`` is the sealed password of the pool."""
    known = _lock_known(connection, pool)
    row, created = _aggregate(connection, pool)
    registered, joined = [], []
    numbers: dict[str, int] = {}
    for host in pool.hosts:
        there = known[host.xen_uuid]
        if there is None:
            _require_free_name(connection, host)
            registered.append(host.name)
        number = _register(connection, pool, host, there, secret)
        numbers[host.xen_uuid] = number
        if there is not None:
            zones.require_host_fits(connection, ZoneRule.AGGREGATES, there, row)
        if _join(connection, row, host, number):
            joined.append(host.name if there is None else there.name)
    pools.write(
        connection,
        row.id,
        xen_uuid=pool.xen_uuid,
        master_host_id=numbers[pool.master_xen_uuid],
        username=pool.credentials.username,
        secret=secret,
    )
    settle(connection, row)
    answer = membership.answer(connection, row.id)
    return PoolImported(answer, created, tuple(registered), tuple(joined))


def _lock_known(connection: Connection, pool: ImportedPool) -> dict[str, Row | None]:
    """The registered host of each member, by XenServer uuid; hosts are locked in one order."""
    found = {
        host.xen_uuid: hosts.by_xen_uuid(connection, host.xen_uuid)
        or hosts.by_address(connection, host.address, host.port)
        for host in pool.hosts
    }
    for number in sorted(row.id for row in found.values() if row is not None):
        hosts.by_id(connection, number, locked=True)
    return found


def _aggregate(connection: Connection, pool: ImportedPool) -> tuple[Row, bool]:
    """The aggregate of an earlier import, else a new one."""
    former = pools.by_xen_uuid(connection, pool.xen_uuid)
    if former is not None:
        row = aggregates.lock(connection, former.aggregate_id)
        if row is not None and row.deleted_at is None:
            if operations.has_unfinished(connection, row.id):
                raise AggregateBusy(aggregate_id=row.id)
            return row, False
    if aggregates.name_is_taken(connection, pool.name):
        raise AggregateNameTaken(name=pool.name)
    number = aggregates.insert(
        connection,
        uuid=str(uuids.uuid4()),
        name=pool.name,
        live_name=pool.name,
        availability_zone=pool.zone,
        kind=AggregateKind.POOL,
        state=AggregateState.CREATED,
        created_at=utcnow(),
    )
    return membership.lock_live(connection, number), True


def _require_free_name(connection: Connection, host: ImportedHost) -> None:
    other = hosts.by_name(connection, host.name)
    if other is not None:
        raise HostExists(what="name", value=host.name, host=f"{other.address} port {other.port}")


def _register(
    connection: Connection, pool: ImportedPool, host: ImportedHost, there: Row | None, secret: str
) -> int:
    """What is known of the host, its credentials included: they are those of the pool."""
    values: dict[str, Any] = {
        "username": pool.credentials.username,
        "secret": secret,
        "xen_uuid": host.xen_uuid,
        "status": HostStatus.ENABLED if host.enabled else HostStatus.DISABLED,
    }
    if host.inventory is not None:
        values.update(inventory=dataclasses.asdict(host.inventory), last_seen=utcnow())
    if there is not None:
        hosts.change(connection, there.id, **values, updated_at=utcnow())
        return int(there.id)
    return hosts.insert(
        connection,
        uuid=str(uuids.uuid4()),
        name=host.name,
        address=host.address,
        port=host.port,
        trust_fingerprint=host.trust.fingerprint,
        trust_ca=host.trust.ca,
        trust_insecure=host.trust.insecure,
        zone=pool.zone,
        maintenance_mode=MaintenanceMode.OFF,
        created_at=utcnow(),
        **values,
    )


def _join(connection: Connection, row: Row, host: ImportedHost, number: int) -> bool:
    """Whether the host is a member only now."""
    for mine in members.of_host(connection, number):
        if mine.aggregate_id == row.id:
            return False
        if mine.pool_slot is not None:
            raise HostInAnotherAggregate(
                host=host.name, aggregate=mine.name, other_id=mine.aggregate_id
            )
    members.add(connection, row.id, number, AggregateKind.POOL)
    return True
