"""Availability zones: which hosts and aggregates fit together.

The Compute API v1.1 registers every host in a zone, and aggregates take hosts of their own zone
only; in v2.1 a zone is what an aggregate says of its hosts. Both are served over the same rows, so
one rule holds for all: no host is in two aggregates that name different zones.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations
from nova_aggregates.db.operations import operations as table
from nova_aggregates.exceptions import (
    AggregateNotFound,
    HostZoneMismatch,
    ZoneChangeRefused,
    ZoneRequired,
    ZoneUnknown,
)
from nova_aggregates.objects import Action, AggregateKind, ZoneRule

METADATA_KEY = "availability_zone"  # in metadata it means the zone itself


def lock_with_members(connection: Connection, aggregate_id: int) -> Row:
    """The aggregate's row, held together with its hosts, so that none of them gets into another
    zone while the aggregate's changes.

    :raises AggregateNotFound: there is none, or it is deleted.
    """
    if not aggregates.is_id(aggregate_id):
        raise AggregateNotFound(aggregate_id=aggregate_id)
    # Hosts come first in the order of locks, but who is a member is only sure afterwards.
    for _look in range(2):
        seen = _bound_hosts(connection, aggregate_id)
        for number in sorted(seen):
            hosts.by_id(connection, number, locked=True)
        row = aggregates.lock(connection, aggregate_id)
        if row is None or row.deleted_at is not None:
            raise AggregateNotFound(aggregate_id=aggregate_id)
        if _bound_hosts(connection, aggregate_id) <= seen:
            break
    return row


def require_known(connection: Connection, rule: ZoneRule, zone: str | None) -> None:
    """Do nothing when there can be an aggregate in the zone.

    :raises ZoneUnknown: v1.1, and no host is registered in it.
    """
    if zone is None or rule is ZoneRule.AGGREGATES:
        return
    if not hosts.has_zone(connection, zone):
        known = hosts.zones(connection)
        raise ZoneUnknown(zone=zone, known=", ".join(known) or "(there is no host yet)")


def require_members_fit(connection: Connection, rule: ZoneRule, row: Row, zone: str | None) -> None:
    """Do nothing when the aggregate, locked with its members, may move to the zone.

    :raises ZoneRequired: it would have none any more.
    :raises ZoneChangeRefused: a host would be in two zones.
    :raises ZoneUnknown: see :func:`require_known`.
    """
    if not zone:
        raise ZoneRequired(aggregate_id=row.id)
    numbers = _bound_hosts(connection, row.id)
    strangers = []
    for number in sorted(numbers):
        host = hosts.by_id(connection, number)
        if host is None:
            continue
        bound = _zones_of(connection, rule, host, row)
        strangers += [f"{host.name} in {other}" for other in sorted(bound - {zone})]
    if strangers:
        raise ZoneChangeRefused(aggregate_id=row.id, zone=zone, hosts=", ".join(strangers))
    require_known(connection, rule, zone)


def require_host_fits(connection: Connection, rule: ZoneRule, host: Row, row: Row) -> None:
    """Do nothing when the locked host may become a member of the locked aggregate.

    :raises HostZoneMismatch: it would be in two zones.
    """
    zone = row.availability_zone
    if zone is None:
        return
    for other in sorted(_zones_of(connection, rule, host, row) - {zone}):
        raise HostZoneMismatch(host=host.name, host_zone=other, aggregate_id=row.id, zone=zone)


def _bound_hosts(connection: Connection, aggregate_id: int) -> set[int]:
    """The members, and those whose removal may still fail and make them members again."""
    leaving = operations.unfinished(
        connection, table.c.aggregate_id == aggregate_id, table.c.action == Action.REMOVE_HOST
    )
    present = {host.id for host in members.of_aggregate(connection, aggregate_id)}
    return present | {operation.host_id for operation in leaving if operation.host_id}


def _zones_of(connection: Connection, rule: ZoneRule, host: Row, row: Row) -> set[str]:
    """The zones that the host is bound to, the aggregate ``row`` apart."""
    bound = members.zones(connection, {host.id}, besides=row.id).get(host.id, set())
    if rule is ZoneRule.HOSTS:
        bound.add(host.zone)
    if row.kind == AggregateKind.LABEL:
        bound |= _zones_being_left(connection, host.id)
    return bound


def _zones_being_left(connection: Connection, host_id: int) -> set[str]:
    """A removal that fails takes back a membership in a pool (its add fails then), but not one in
    a label; so a label must fit the pool that the host is leaving."""
    leaving = operations.unfinished(
        connection, table.c.host_id == host_id, table.c.action == Action.REMOVE_HOST
    )
    rows = (aggregates.lock(connection, operation.aggregate_id) for operation in leaving)
    return {row.availability_zone for row in rows if row is not None and row.availability_zone}
