"""Who may join and leave an aggregate, and what is queued for it. All rows must be locked."""

from __future__ import annotations

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations, pools, shelf
from nova_aggregates.exceptions import (
    AggregateChanged,
    AggregateNotFound,
    HoldingsNotEmpty,
    HostInAnotherAggregate,
    HostInThisAggregate,
    HostNotFound,
    HostNotInAggregate,
)
from nova_aggregates.manager import zones
from nova_aggregates.objects import (
    Action,
    Aggregate,
    AggregateKind,
    Operation,
    Requester,
    ZoneRule,
)


def lock_live(connection: Connection, aggregate_id: int) -> Row:
    """The aggregate's row, held.

    :raises AggregateNotFound: there is none, or it is deleted.
    """
    row = aggregates.lock(connection, aggregate_id)
    if row is None or row.deleted_at is not None:
        raise AggregateNotFound(aggregate_id=aggregate_id)
    return row


def require_expected(row: Row, expected: frozenset[int] | None) -> None:
    """:param row: of the aggregate, held.
    :param expected: the generations of which it must have one; None: whatever it has.
    :raises AggregateChanged: it has another one.
    """
    if expected is not None and row.generation not in expected:
        raise AggregateChanged(aggregate_id=row.id)


def lock_host_and_aggregate(
    connection: Connection, aggregate_id: int, host_name: str
) -> tuple[Row, Row]:
    """Both rows, held.

    :raises AggregateNotFound: there is none, or it is deleted.
    :raises HostNotFound: no host has exactly this name.
    """
    host = hosts.by_name(connection, host_name, locked=True)
    row = lock_live(connection, aggregate_id)
    if host is None:
        raise HostNotFound(host=host_name)
    return host, row


def pool_of(connection: Connection, host: Row) -> Row | None:
    """The row of the pool aggregate that a locked host is in, held."""
    for membership in members.of_host(connection, host.id):
        if membership.kind == AggregateKind.POOL:
            return lock_live(connection, membership.aggregate_id)
    return None


def answer(connection: Connection, aggregate_id: int) -> Aggregate:
    """The aggregate as it is now; last in a transaction that changed it."""
    found = shelf.fetch(connection, aggregate_id)
    if found is None:
        raise AggregateNotFound(aggregate_id=aggregate_id)
    aggregates.bump_generation(connection)
    return found


def require_may_join(connection: Connection, host: Row, row: Row, rule: ZoneRule) -> None:
    """Do nothing when the host may become a member.

    :raises HostInThisAggregate: it is one already.
    :raises HostInAnotherAggregate: it is in another pool.
    :raises HostZoneMismatch: it would be in two zones.
    """
    for membership in members.of_host(connection, host.id):
        if membership.aggregate_id == row.id:
            raise HostInThisAggregate(host=host.name, aggregate_id=row.id)
        if row.kind == AggregateKind.POOL and membership.pool_slot is not None:
            raise HostInAnotherAggregate(
                host=host.name, aggregate=membership.name, other_id=membership.aggregate_id
            )
    zones.require_host_fits(connection, rule, host, row)


def require_member(connection: Connection, host: Row, row: Row) -> Row:
    """The membership.

    :raises HostNotInAggregate: there is none.
    """
    for membership in members.of_host(connection, host.id):
        if membership.aggregate_id == row.id:
            return membership
    raise HostNotInAggregate(host=host.name, aggregate_id=row.id)


def require_nothing_lost(host: Row, confirm: str | None) -> None:
    """Do nothing when the host may lose what it holds.

    :param confirm: the digest of the holdings that the caller has seen.
    :raises HoldingsNotEmpty: it holds something else, too.
    """
    holdings = hosts.holdings_of(host.holdings)
    if holdings is None or holdings.empty or confirm == holdings.digest:
        return
    lost = "; ".join(
        f"{what}: {', '.join(items)}"
        for what, items in (
            ("guests", holdings.guests),
            ("disks", holdings.disks),
            ("storage", holdings.storage),
        )
        if items
    )
    raise HoldingsNotEmpty(host=host.name, lost=lost, digest=holdings.digest)


def add(
    connection: Connection, requester: Requester, host: Row, row: Row, rule: ZoneRule
) -> Operation | None:
    """Make the host a member; the operation that lets it join, None for a label.

    :raises NovaAggregatesError: see :func:`require_may_join`.
    """
    require_may_join(connection, host, row, rule)
    kind = AggregateKind(row.kind)
    membership_id = members.add(connection, row.id, host.id, kind)
    if kind is AggregateKind.LABEL:
        return None
    return operations.insert(
        connection, requester, Action.ADD_HOST, row.id, host=host, membership_id=membership_id
    )


def remove(
    connection: Connection,
    requester: Requester,
    host: Row,
    row: Row,
    *,
    forget: bool = False,
    confirm: str | None = None,
) -> Operation | None:
    """End the membership; the operation that lets the host leave, None for a label.

    :raises HostNotInAggregate: it is no member.
    :raises HoldingsNotEmpty: see :func:`require_nothing_lost`.
    """
    membership = require_member(connection, host, row)
    if row.kind == AggregateKind.POOL:
        require_nothing_lost(host, confirm)
    members.remove(connection, membership.id)
    if row.kind == AggregateKind.LABEL:
        return None
    return operations.insert(
        connection,
        requester,
        Action.REMOVE_HOST,
        row.id,
        host=host,
        membership_id=membership.id,
        parameters={"forget": forget, "confirm": confirm},
    )


def may_have_pool(connection: Connection, row: Row) -> bool:
    """Now, or by the time that the operations before this one have ended."""
    return row.kind == AggregateKind.POOL and (
        pools.by_aggregate(connection, row.id) is not None
        or members.exist(connection, row.id)
        or operations.has_unfinished(connection, row.id)
    )
