"""Requests and managers that meet at the same moment, on every database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import sqlalchemy as sa

from nova_aggregates.db import aggregates as rows
from nova_aggregates.db import tables
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import (
    AggregateNameTaken,
    AggregateNotEmpty,
    AggregateNotFound,
    DatabaseUnavailable,
    HostBusy,
    HostExists,
    HostInAnotherAggregate,
    HostInThisAggregate,
    HostInUse,
    HostNotFound,
    IllegalMove,
    NovaAggregatesError,
    OperationCannotBeCancelled,
    OperationCannotBeRetried,
    OperationLost,
)
from nova_aggregates.objects import AggregateState, Operation, OperationState
from tests.functional.db.conftest import FAILURE, WHO, Site
from tests.functional.db.test_hosts import REGISTRATION

T = TypeVar("T")
ROUNDS = 4


@pytest.fixture
def rivals(site: Site, migrated_url: str, box: SecretBox) -> Iterator[list[Site]]:
    """Four sites with connections of their own, as four processes have."""
    databases = [Database(migrated_url) for _ in range(4)]
    yield [Site.over(database, box) for database in databases]
    for database in databases:
        database.dispose()


def together(calls: Sequence[Callable[[], T]]) -> list[T | NovaAggregatesError]:
    """What each call returned or raised; all of them begin at the same moment."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | NovaAggregatesError:
        start.wait(timeout=20)
        try:
            return call()
        except NovaAggregatesError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def errors(results: Sequence[object]) -> list[type]:
    return [type(result) for result in results if isinstance(result, Exception)]


def test_one_of_the_same_names_wins(site: Site, rivals: list[Site]) -> None:
    for number in range(ROUNDS):
        results = together(
            [
                lambda r=rival, n=number: r.aggregates.create(
                    WHO, name=f"a{n}", availability_zone=None, metadata={"k": "v"}
                )
                for rival in rivals
            ]
        )
        assert errors(results) == [AggregateNameTaken] * 3
    assert len(site.aggregates.index()) == ROUNDS


def test_one_of_the_same_new_names_wins(site: Site, rivals: list[Site]) -> None:
    made = [site.aggregate(f"a{number}") for number in range(4)]
    results = together(
        [
            lambda r=rival, a=aggregate: r.aggregates.update(WHO, a.id, name="new")
            for rival, aggregate in zip(rivals, made, strict=True)
        ]
    )
    assert errors(results) == [AggregateNameTaken] * 3
    assert [a.name for a in site.aggregates.index()].count("new") == 1


def test_one_registration_wins(site: Site, rivals: list[Site]) -> None:
    results = together([lambda r=rival: r.hosts.register(WHO, REGISTRATION) for rival in rivals])
    assert errors(results) == [HostExists] * 3


def test_a_host_is_added_to_one_of_two_pools(site: Site, rivals: list[Site]) -> None:
    for number in range(ROUNDS):
        host = site.host(f"host{number}")
        pair = [site.aggregate(f"a{number}"), site.aggregate(f"b{number}")]
        results = together(
            [
                lambda r=rival, a=aggregate, h=host: r.aggregates.add_host(WHO, a.id, h.name)
                for rival, aggregate in zip(rivals, pair * 2, strict=True)
            ]
        )
        assert len(errors(results)) == 3
        assert set(errors(results)) <= {HostInAnotherAggregate, HostInThisAggregate}
        assert len(site.operations.index(host=host.name)) == 1
        assert sum(len(site.members(a.id)) for a in pair) == 1


def test_a_host_is_removed_once(site: Site, rivals: list[Site]) -> None:
    site.host("host1")
    aggregate = site.aggregate("a", "host1")
    results = together(
        [lambda r=rival: r.aggregates.remove_host(WHO, aggregate.id, "host1") for rival in rivals]
    )
    assert len(errors(results)) == 3
    assert len(site.operations.index(state=OperationState.QUEUED)) == 1


def test_different_metadata_of_one_aggregate_all_count(site: Site, rivals: list[Site]) -> None:
    aggregate = site.aggregate("a")
    results = together(
        [
            lambda r=rival, n=number: r.aggregates.set_metadata(
                WHO, aggregate.id, {"same": str(n), f"k{n}": "v"}
            )
            for number, rival in enumerate(rivals)
        ]
    )
    assert errors(results) == []
    metadata = site.aggregates.show(aggregate.id).metadata
    assert set(metadata) == {"same", "k0", "k1", "k2", "k3"}


def test_delete_against_add(site: Site, rivals: list[Site]) -> None:
    for number in range(ROUNDS):
        site.host(f"host{number}")
        aggregate = site.aggregate(f"a{number}")
        deleted, added = together(
            [
                lambda a=aggregate: rivals[0].aggregates.delete(WHO, a.id),
                lambda a=aggregate, n=number: rivals[1].aggregates.add_host(WHO, a.id, f"host{n}"),
            ]
        )
        assert errors([deleted, added]) in ([AggregateNotEmpty], [AggregateNotFound])


def test_unregister_against_add(site: Site, rivals: list[Site]) -> None:
    aggregate = site.aggregate("a")
    for number in range(ROUNDS):
        name = f"host{number}"
        site.host(name)
        results = together(
            [
                lambda n=name: rivals[0].hosts.delete(WHO, n),
                lambda n=name: rivals[1].aggregates.add_host(WHO, aggregate.id, n),
            ]
        )
        assert errors(results) in ([HostInUse], [HostBusy], [HostNotFound])


def test_two_managers_take_the_same_operation(site: Site, rivals: list[Site]) -> None:
    site.host("host1")
    aggregate = site.aggregate("a")
    operation = site.aggregates.add_host(WHO, aggregate.id, "host1").operation
    assert operation is not None
    taken = together(
        [
            lambda r=rival, n=number: r.operations.take(operation.uuid, f"manager-{n}")
            for number, rival in enumerate(rivals)
        ]
    )
    assert errors(taken) == []
    assert sorted(o.fence for o in taken if not isinstance(o, Exception)) == [1, 2, 3, 4]
    ended = together(
        [
            lambda r=rival, o=own: r.operations.succeed(o)
            for rival, own in zip(rivals, taken, strict=True)
        ]
    )
    assert errors(ended) == [OperationLost] * 3


def test_failing_while_others_ask_for_more(site: Site, rivals: list[Site]) -> None:
    """The locks of hosts, aggregates and operations are taken in one order, or this deadlocks."""
    site.host("anchor1")
    site.host("anchor2")
    first, second = site.aggregate("a", "anchor1"), site.aggregate("b", "anchor2")
    for number in range(ROUNDS):
        name = f"host{number}"
        site.host(name)
        site.aggregates.add_host(WHO, first.id, name)
        site.operations.succeed(site.take_next(first.id))
        site.aggregates.remove_host(WHO, first.id, name)
        running = site.take_next(first.id)
        together(
            [
                lambda o=running: rivals[0].operations.fail(o, FAILURE),
                lambda n=name: rivals[1].aggregates.add_host(WHO, second.id, n),
                lambda: rivals[2].aggregates.set_metadata(WHO, second.id, {"k": "v"}),
                lambda n=name: rivals[3].aggregates.add_host(WHO, first.id, n),
            ]
        )
        while site.operations.runnable(10):
            for operation in site.operations.runnable(10):
                site.operations.succeed(site.operations.take(operation.uuid, "manager-1"))
        places = [a.name for a in (first, second) if name in site.members(a.id)]
        assert len(places) == 1
        for aggregate in (first, second):
            assert site.aggregates.show(aggregate.id).state is AggregateState.ACTIVE


def wait_until_blocked(site: Site, backend: str) -> None:
    """Until another transaction waits for a lock of this one, as the server sees it."""
    waiting = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()",
        "mysql": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    }.get(backend)
    if waiting is None:
        return  # SQLite lets nobody else begin to write
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        # MariaDB renews innodb_trx only when nobody has asked for a tenth of a second.
        time.sleep(0.15)
        with site.database.read() as connection:
            if connection.execute(sa.text(waiting)).scalar():
                return
    pytest.fail("nothing waits for the lock")


def test_a_request_sees_what_the_one_before_it_did(site: Site, backend: str) -> None:
    """Each of these looks first and writes then; without the lock it would look too early."""
    site.host("host1")
    for name, late in (
        ("a", lambda number: site.aggregates.add_host(WHO, number, "host1")),
        ("b", lambda number: site.aggregates.set_metadata(WHO, number, {"k": "v"})),
        ("c", lambda number: site.aggregates.update(WHO, number, name="new")),
        ("d", lambda number: site.aggregates.delete(WHO, number)),
    ):
        aggregate = site.aggregate(name)
        with ThreadPoolExecutor(1) as pool:
            with site.database.transaction() as connection:
                rows.lock(connection, aggregate.id)
                rows.change(connection, aggregate.id, live_name=None, deleted_at=utcnow())
                answer = pool.submit(late, aggregate.id)
                wait_until_blocked(site, backend)
            with pytest.raises(AggregateNotFound):
                answer.result(timeout=20)
    with site.database.read() as connection:
        assert not connection.execute(sa.select(tables.aggregate_hosts)).all()
        assert not connection.execute(sa.select(tables.aggregate_metadata)).all()


def test_asking_while_others_work(site: Site, rivals: list[Site]) -> None:
    """Cancel, retry, desired hosts and the ends of operations lock in one order, too."""
    site.host("anchor")
    site.host("host1")
    site.host("host2")
    pool, other = site.aggregate("a", "anchor"), site.aggregate("b")
    failed = site.aggregates.add_host(WHO, pool.id, "host1").operation
    assert failed is not None
    site.operations.fail(site.take_next(pool.id), FAILURE)
    for number in range(ROUNDS):
        site.aggregates.add_host(WHO, other.id, "host2")
        running = site.take_next(other.id)
        results = together(
            [
                lambda: rivals[0].operations.retry(WHO, failed.uuid),
                lambda o=running: rivals[1].operations.cancel(WHO, o.uuid),
                lambda n=number: rivals[2].aggregates.set_hosts(
                    WHO, pool.id, ["host2", "host1", "anchor"][n % 2 :]
                ),
                lambda: rivals[3].aggregates.set_hosts(WHO, pool.id, ["anchor"]),
                lambda o=running: rivals[0].operations.fail(o, FAILURE),
            ]
        )
        unexpected = {DatabaseUnavailable, IllegalMove}
        assert not unexpected & set(errors(results))
        for aggregate in (pool, other):
            while any(o.aggregate_id == aggregate.id for o in site.operations.runnable(10)):
                site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.members(other.id) == []
        assert site.aggregates.show(pool.id).state is AggregateState.ACTIVE


def test_one_cancel_and_one_manager(site: Site, rivals: list[Site]) -> None:
    """Either it never runs, or its manager knows that it is to be ended."""
    aggregate = site.aggregate("a")
    for number in range(ROUNDS):
        name = f"host{number}"
        site.host(name)
        operation = site.aggregates.add_host(WHO, aggregate.id, name).operation
        assert operation is not None
        cancelled, taken = together(
            [
                lambda o=operation: rivals[0].operations.cancel(WHO, o.uuid),
                lambda o=operation: rivals[1].operations.take(o.uuid, "manager-1"),
            ]
        )
        assert isinstance(cancelled, Operation)
        if isinstance(taken, Operation):
            assert site.operations.cancel_wanted(taken)
            site.operations.cancelled(taken)
        else:
            assert isinstance(taken, OperationLost)
        assert site.operations.show(operation.uuid).state is OperationState.CANCELLED
        assert site.members(aggregate.id) == []


def test_a_cancel_or_the_point_of_no_return(site: Site, rivals: list[Site]) -> None:
    aggregate = site.aggregate("a")
    for number in range(ROUNDS):
        name = f"host{number}"
        site.host(name)
        site.aggregates.add_host(WHO, aggregate.id, name)
        running = site.take_next(aggregate.id)
        cancelled, passed = together(
            [
                lambda o=running: rivals[0].operations.cancel(WHO, o.uuid),
                lambda o=running: rivals[1].operations.uncancellable(o, "it joins"),
            ]
        )
        refused = isinstance(cancelled, OperationCannotBeCancelled)
        assert passed is refused
        assert site.operations.cancel_wanted(running) is not refused
        site.operations.succeed(running)


def test_one_of_two_retries(site: Site, rivals: list[Site]) -> None:
    site.host("host1")
    aggregate = site.aggregate("a")
    operation = site.aggregates.add_host(WHO, aggregate.id, "host1").operation
    assert operation is not None
    for _ in range(ROUNDS):
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        results = together(
            [lambda r=rival: r.operations.retry(WHO, operation.uuid) for rival in rivals]
        )
        assert errors(results) == [OperationCannotBeRetried] * 3
        assert site.members(aggregate.id) == ["host1"]
