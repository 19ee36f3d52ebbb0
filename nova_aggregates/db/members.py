"""Which host is meant to be in which aggregate: rows and queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db.tables import aggregate_hosts, aggregates, hosts
from nova_aggregates.objects import AggregateKind

_OF_AGGREGATE = (
    sa.select(hosts)
    .join(aggregate_hosts, aggregate_hosts.c.host_id == hosts.c.id)
    .where(aggregate_hosts.c.aggregate_id == sa.bindparam("number"))
    .order_by(aggregate_hosts.c.id)
)
_OF_HOST = (
    sa.select(aggregate_hosts, aggregates.c.name, aggregates.c.kind)
    .join(aggregates, aggregates.c.id == aggregate_hosts.c.aggregate_id)
    .where(aggregate_hosts.c.host_id == sa.bindparam("number"))
    .order_by(aggregate_hosts.c.id)
)
_FIRST = (
    sa.select(aggregate_hosts.c.id)
    .where(aggregate_hosts.c.aggregate_id == sa.bindparam("number"))
    .limit(1)
)
_ADD = sa.insert(aggregate_hosts)
_REMOVE = sa.delete(aggregate_hosts).where(aggregate_hosts.c.id == sa.bindparam("number"))


def of_aggregate(connection: Connection, aggregate_id: int) -> list[Row]:
    """The hosts' rows, in the order of joining."""
    return list(connection.execute(_OF_AGGREGATE, {"number": aggregate_id}))


def of_host(connection: Connection, host_id: int) -> list[Row]:
    """The memberships of a host, each with the ``name`` and ``kind`` of its aggregate."""
    return list(connection.execute(_OF_HOST, {"number": host_id}))


def zones(
    connection: Connection, host_ids: Collection[int] | None = None, *, besides: int | None = None
) -> dict[int, set[str]]:
    """The zones that aggregates give their hosts, by host.

    :param host_ids: of these hosts only.
    :param besides: an aggregate that does not count.
    """
    statement = (
        sa.select(aggregate_hosts.c.host_id, aggregates.c.availability_zone)
        .join(aggregates, aggregates.c.id == aggregate_hosts.c.aggregate_id)
        .where(aggregates.c.availability_zone.is_not(None))
    )
    if host_ids is not None:
        statement = statement.where(aggregate_hosts.c.host_id.in_(sorted(host_ids)))
    if besides is not None:
        statement = statement.where(aggregate_hosts.c.aggregate_id != besides)
    found: defaultdict[int, set[str]] = defaultdict(set)
    for host_id, zone in connection.execute(statement):
        found[host_id].add(zone)
    return found


def exist(connection: Connection, aggregate_id: int) -> bool:
    """Whether the aggregate has any member."""
    return connection.execute(_FIRST, {"number": aggregate_id}).first() is not None


def add(
    connection: Connection,
    aggregate_id: int,
    host_id: int,
    kind: AggregateKind,
    membership_id: int | None = None,
) -> int:
    """A new membership, or a former one with its old number; the number."""
    values = {
        "aggregate_id": aggregate_id,
        "host_id": host_id,
        "pool_slot": host_id if kind is AggregateKind.POOL else None,
    }
    if membership_id is not None:
        values["id"] = membership_id
    result = connection.execute(_ADD, values)
    return int(result.inserted_primary_key[0])


def remove(connection: Connection, membership_id: int) -> None:
    """Take a membership away; nothing happens when it is gone."""
    connection.execute(_REMOVE, {"number": membership_id})
