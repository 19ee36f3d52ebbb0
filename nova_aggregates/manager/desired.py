"""The hosts of an aggregate as one wish: what is kept, added, handed over and removed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection, Row

from nova_aggregates.db import aggregates, hosts, members, operations, pools
from nova_aggregates.exceptions import AggregateNotFound, HostNotFound, MasterUnfit
from nova_aggregates.manager import membership
from nova_aggregates.manager.states import settle
from nova_aggregates.objects import (
    Action,
    AggregateKind,
    PlannedAction,
    PlannedHosts,
    PlannedStep,
    Requester,
    ZoneRule,
)


def plan(
    connection: Connection,
    requester: Requester,
    aggregate_id: int,
    names: Sequence[str],
    master: str | None,
    rule: ZoneRule,
    expected: frozenset[int] | None,
) -> PlannedHosts:
    """See ``AggregateManager.set_hosts``."""
    wanted = list(dict.fromkeys(names))
    row, known = _lock(connection, aggregate_id, wanted)
    membership.require_expected(row, expected)
    if master is not None:
        _require_fit(row, wanted, master)
    present = [host.name for host in members.of_aggregate(connection, row.id)]
    leaving = [known[name] for name in present if name not in wanted]
    # All checks first: an operation that is rolled back leaves a gap in the events.
    for name in wanted:
        if name not in present:
            membership.require_may_join(connection, known[name], row, rule)
    if row.kind == AggregateKind.POOL:
        for host in leaving:
            membership.require_nothing_lost(host, None)
    steps = [_step(name, PlannedAction.KEEP) for name in present if name in wanted]
    for name in wanted:
        if name not in present:
            operation = membership.add(connection, requester, known[name], row, rule)
            steps.append(PlannedStep(name, PlannedAction.ADD_HOST, operation))
    if master is not None and _is_another(connection, row, known[master], steps):
        operation = operations.insert(
            connection, requester, Action.CHANGE_MASTER, row.id, host=known[master]
        )
        steps.append(PlannedStep(master, PlannedAction.CHANGE_MASTER, operation))
    for host in _master_last(connection, row, leaving):
        operation = membership.remove(connection, requester, host, row)
        steps.append(PlannedStep(host.name, PlannedAction.REMOVE_HOST, operation))
    settle(connection, row)
    return PlannedHosts(membership.answer(connection, row.id), tuple(steps))


def _step(name: str, action: PlannedAction) -> PlannedStep:
    return PlannedStep(name, action, None)


def _lock(
    connection: Connection, aggregate_id: int, wanted: list[str]
) -> tuple[Row, dict[str, Row]]:
    """The aggregate and all hosts that the wish is about. Hosts come first in the order of locks,
    but who is a member is only sure afterwards; so there may be a second look."""
    if not aggregates.is_id(aggregate_id):
        raise AggregateNotFound(aggregate_id=aggregate_id)
    for _look in range(2):
        seen = {host.id for host in members.of_aggregate(connection, aggregate_id)}
        found = {name: hosts.by_name(connection, name) for name in wanted}
        numbers = seen | {host.id for host in found.values() if host is not None}
        locked = [hosts.by_id(connection, number, locked=True) for number in sorted(numbers)]
        row = membership.lock_live(connection, aggregate_id)
        if {host.id for host in members.of_aggregate(connection, row.id)} <= seen:
            break
    known = {host.name: host for host in locked if host is not None}
    for name in wanted:
        if name not in known:
            raise HostNotFound(host=name)
    return row, known


def _require_fit(row: Row, wanted: list[str], master: str) -> None:
    if master not in wanted:
        raise MasterUnfit(host=master, reason="it is not among the wanted hosts")
    if row.kind == AggregateKind.LABEL:
        raise MasterUnfit(
            host=master, reason=f"aggregate {row.id} is a plain label, which has no master"
        )


def _is_another(connection: Connection, row: Row, master: Row, steps: list[PlannedStep]) -> bool:
    """Whether the role must move. What is queued may move it meanwhile, so then it is asked for
    again; an operation that finds it there already does nothing."""
    pool = pools.by_aggregate(connection, row.id)
    new = [step for step in steps if step.action is PlannedAction.ADD_HOST]
    mine = {step.operation.uuid for step in new if step.operation is not None}
    others = operations.unfinished(connection, operations.operations.c.aggregate_id == row.id)
    if any(other.uuid not in mine for other in others):
        return True
    if pool is None:
        # The first host that joins becomes the master of the new pool.
        return not (new and new[0].host == master.name)
    return bool(pool.master_host_id != master.id)


def _master_last(connection: Connection, row: Row, leaving: list[Row]) -> list[Row]:
    pool = pools.by_aggregate(connection, row.id)
    master = pool.master_host_id if pool is not None else None
    return sorted(leaving, key=lambda host: host.id == master)
