"""Turns, owners, ends and what a failure puts back, on every database."""

from __future__ import annotations

import uuid

import pytest

from nova_aggregates.exceptions import (
    AggregateNotFound,
    HostInAnotherAggregate,
    IllegalMove,
    OperationLost,
    OperationNotFound,
)
from nova_aggregates.objects import (
    Action,
    AggregateState,
    Credentials,
    Finding,
    HostStatus,
    Operation,
    OperationFailure,
    OperationState,
    Requester,
    Severity,
)
from tests.functional.db.conftest import FAILURE, WHO, Site

FINDING = Finding(
    check="join.cpu_vendor",
    code="POOL_HOSTS_NOT_HOMOGENEOUS",
    severity=Severity.BLOCKING,
    message="Another vendor: «Größe» \N{GRINNING FACE}",
    cure="Use the same.",
    ours="a",
    theirs="b",
)


def turns(site: Site) -> list[tuple[int, str | None]]:
    return [(o.aggregate_id, o.host) for o in site.operations.runnable(100)]


def add(site: Site, aggregate_id: int, host: str) -> Operation:
    operation = site.aggregates.add_host(WHO, aggregate_id, host).operation
    assert operation is not None
    return operation


def remove(site: Site, aggregate_id: int, host: str) -> Operation:
    operation = site.aggregates.remove_host(WHO, aggregate_id, host).operation
    assert operation is not None
    return operation


class TestRecord:
    def test_a_queued_operation(self, site: Site) -> None:
        host = site.host("host1")
        aggregate = site.aggregate("a")
        who = Requester("user", "project", "req-42")
        operation = site.aggregates.add_host(who, aggregate.id, "host1").operation
        assert operation is not None
        assert site.operations.show(operation.uuid) == operation
        assert uuid.UUID(operation.uuid)
        assert operation.requester == who
        assert (operation.host_id, operation.host) == (host.id, "host1")
        assert operation.state is OperationState.QUEUED
        assert (operation.progress, operation.fence, operation.owner) == (0, 0, None)
        assert (operation.started_at, operation.finished_at, operation.failure) == (None,) * 3

    @pytest.mark.parametrize("unknown", ["", "x", "nul\0", "\ud800", "x" * 300])
    def test_an_unknown_uuid(self, site: Site, unknown: str) -> None:
        for call in (site.operations.show, site.operations.events):
            with pytest.raises(OperationNotFound):
                call(unknown)
        with pytest.raises(OperationNotFound):
            site.operations.index(marker=unknown)
        with pytest.raises(OperationNotFound):
            site.operations.take(unknown, "manager-1")

    def test_index_newest_first_with_filters_and_pages(self, site: Site) -> None:
        for number in range(4):
            site.host(f"host{number}")
        first, second = site.aggregate("a"), site.aggregate("b")
        made = [
            add(site, first.id if number % 2 else second.id, f"host{number}") for number in range(4)
        ]
        taken = site.operations.take(made[0].uuid, "manager-1")
        uuids = [o.uuid for o in made]
        index = site.operations.index
        assert [o.uuid for o in index()] == uuids[::-1]
        assert [o.uuid for o in index(aggregate_id=first.id)] == [uuids[3], uuids[1]]
        assert [o.uuid for o in index(host="host2")] == [uuids[2]]
        assert index(host="Host2") == []
        assert index(host="nul\0") == []
        assert index(state=OperationState.RUNNING) == [taken]
        assert [o.uuid for o in index(limit=2)] == [uuids[3], uuids[2]]
        assert [o.uuid for o in index(limit=2, marker=uuids[2])] == [uuids[1], uuids[0]]
        assert index(marker=uuids[0]) == []

    def test_index_of_an_aggregate_that_never_was(self, site: Site) -> None:
        with pytest.raises(AggregateNotFound):
            site.operations.index(aggregate_id=12345)
        assert site.operations.index(aggregate_id=site.aggregate("a").id) == []

    def test_the_record_outlives_the_host(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        operation = remove(site, aggregate.id, "host1")
        site.operations.succeed(site.take_next(aggregate.id))
        site.hosts.delete(WHO, "host1")
        shown = site.operations.show(operation.uuid)
        assert (shown.host_id, shown.host) == (None, "host1")


class TestTurns:
    def test_one_aggregate_works_in_order(self, site: Site) -> None:
        site.host("host1")
        site.host("host2")
        aggregate = site.aggregate("a")
        first = add(site, aggregate.id, "host1")
        second = add(site, aggregate.id, "host2")
        with pytest.raises(IllegalMove):
            site.operations.take(second.uuid, "manager-1")
        site.operations.take(first.uuid, "manager-1")
        with pytest.raises(IllegalMove):
            site.operations.take(second.uuid, "manager-1")
        assert site.operations.show(second.uuid).state is OperationState.QUEUED

    def test_different_aggregates_work_at_the_same_time(self, site: Site) -> None:
        site.host("host1")
        site.host("host2")
        first, second = site.aggregate("a"), site.aggregate("b")
        add(site, first.id, "host1")
        add(site, second.id, "host2")
        site.take_next(first.id)
        assert turns(site) == [(first.id, "host1"), (second.id, "host2")]
        site.take_next(second.id)

    def test_an_earlier_operation_on_the_host_elsewhere_is_waited_for(self, site: Site) -> None:
        site.host("host1")
        site.host("host2")
        first, second = site.aggregate("a", "host1"), site.aggregate("b")
        remove(site, first.id, "host1")
        waiting = add(site, second.id, "host1")
        add(site, second.id, "host2")
        assert turns(site) == [(first.id, "host1")], "nor does host2 overtake"
        with pytest.raises(IllegalMove):
            site.operations.take(waiting.uuid, "manager-1")
        site.operations.succeed(site.take_next(first.id))
        assert turns(site) == [(second.id, "host1")]

    def test_limit_and_aggregates_under_work(self, site: Site) -> None:
        aggregates = [site.aggregate(f"a{number}") for number in range(4)]
        for number, aggregate in enumerate(aggregates):
            site.host(f"host{number}")
            add(site, aggregate.id, f"host{number}")
        busy = {aggregates[0].id, aggregates[2].id}
        found = site.operations.runnable(1, except_aggregates=busy)
        assert [o.aggregate_id for o in found] == [aggregates[1].id]
        found = site.operations.runnable(10, except_aggregates=busy)
        assert [o.aggregate_id for o in found] == [aggregates[1].id, aggregates[3].id]


class TestOwner:
    @pytest.fixture
    def running(self, site: Site) -> Operation:
        site.host("host1")
        aggregate = site.aggregate("a")
        add(site, aggregate.id, "host1")
        return site.take_next(aggregate.id, "manager-1")

    def test_take(self, site: Site, running: Operation) -> None:
        assert running.state is OperationState.RUNNING
        assert (running.owner, running.fence) == ("manager-1", 1)
        assert running.started_at is not None
        assert site.operations.show(running.uuid) == running

    def test_another_manager_takes_over(self, site: Site, running: Operation) -> None:
        assert [o.uuid for o in site.operations.runnable(1)] == [running.uuid]
        taken = site.operations.take(running.uuid, "manager-2")
        assert (taken.owner, taken.fence) == ("manager-2", 2)
        assert taken.started_at == running.started_at

    def test_the_former_owner_can_write_nothing(self, site: Site, running: Operation) -> None:
        new = site.operations.take(running.uuid, "manager-2")
        site.operations.step(new, "join", 10)
        before = site.operations.show(running.uuid)
        events = site.operations.events(running.uuid)
        host_id = running.host_id or 0
        secret = Credentials("root", "new")
        for write in (
            lambda: site.operations.step(running, "late", 99),
            lambda: site.operations.event(running, "late", {}),
            lambda: site.operations.findings(running, (FINDING,)),
            lambda: site.operations.succeed(running),
            lambda: site.operations.fail(running, FAILURE),
            lambda: site.operations.error(running, FAILURE),
            lambda: site.pools.establish(
                running,
                aggregate_id=running.aggregate_id,
                xen_uuid="u",
                master_host_id=host_id,
                credentials=secret,
            ),
            lambda: site.pools.set_master(running, running.aggregate_id, host_id),
            lambda: site.pools.dissolve(running, running.aggregate_id),
            lambda: site.pools.joined(running, host_id, secret),
            lambda: site.pools.left(running, host_id),
        ):
            with pytest.raises(OperationLost):
                write()
        assert site.operations.show(running.uuid) == before
        assert site.operations.events(running.uuid) == events
        assert site.pools.show(running.aggregate_id) is None
        assert site.hosts.show("host1").status is HostStatus.DISABLED
        assert site.hosts.credentials(host_id).password == "secret of host1"
        assert site.members(running.aggregate_id) == ["host1"]

    def test_nothing_is_written_after_the_end(self, site: Site, running: Operation) -> None:
        ended = site.operations.succeed(running)
        for write in (
            lambda: site.operations.step(running, "late", 99),
            lambda: site.operations.fail(running, FAILURE),
            lambda: site.operations.take(running.uuid, "manager-2"),
        ):
            with pytest.raises(OperationLost):
                write()
        assert site.operations.show(running.uuid) == ended
        assert (ended.state, ended.progress) == (OperationState.SUCCEEDED, 100)
        assert ended.finished_at is not None

    def test_steps_findings_and_events_are_the_history(
        self, site: Site, running: Operation
    ) -> None:
        site.operations.step(running, "preflight", 10)
        site.operations.findings(running, (FINDING,))
        site.operations.step(running, "join", 50, "asking host1")
        site.operations.event(running, "xenapi.call", {"method": "pool.join", "seconds": 0.5})
        shown = site.operations.show(running.uuid)
        assert (shown.step, shown.progress, shown.findings) == ("join", 50, (FINDING,))
        site.operations.succeed(running)
        history = site.operations.events(running.uuid)
        assert [(e.kind, e.fence) for e in history] == [
            ("queued", 0),
            ("taken", 1),
            ("step", 1),
            ("findings", 1),
            ("step", 1),
            ("xenapi.call", 1),
            ("succeeded", 1),
        ]
        assert history[4].data == {"step": "join", "progress": 50, "message": "asking host1"}
        assert [e.at for e in history] == sorted(e.at for e in history)

    def test_long_findings_are_kept(self, site: Site, running: Operation) -> None:
        found = tuple(FINDING for _ in range(1000))
        failure = OperationFailure("CODE", "m" * 70000, "c" * 70000)
        ended = site.operations.fail(running, failure, found)
        assert site.operations.show(running.uuid) == ended
        assert ended.findings == found
        assert ended.failure == failure


class TestEnd:
    def test_a_failed_first_add(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a")
        add(site, aggregate.id, "host1")
        ended = site.operations.fail(site.take_next(aggregate.id), FAILURE, (FINDING,))
        assert ended.state is OperationState.FAILED
        assert (ended.failure, ended.findings) == (FAILURE, (FINDING,))
        shown = site.aggregates.show(aggregate.id)
        assert (shown.hosts, shown.state) == ((), AggregateState.CREATED)
        site.hosts.delete(WHO, "host1")

    def test_a_failed_further_add(self, site: Site) -> None:
        site.host("host1")
        site.host("host2")
        aggregate = site.aggregate("a", "host1")
        add(site, aggregate.id, "host2")
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        shown = site.aggregates.show(aggregate.id)
        assert (shown.hosts, shown.state) == (("host1",), AggregateState.ACTIVE)

    def test_a_failed_remove_puts_the_host_back_in_its_place(self, site: Site) -> None:
        for name in ("host1", "host2", "host3"):
            site.host(name)
        aggregate = site.aggregate("a", "host1", "host2", "host3")
        remove(site, aggregate.id, "host2")
        assert site.members(aggregate.id) == ["host1", "host3"]
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.members(aggregate.id) == ["host1", "host2", "host3"]
        other = site.aggregate("b")
        with pytest.raises(HostInAnotherAggregate):
            site.aggregates.add_host(WHO, other.id, "host2")

    def test_a_failed_remove_of_a_deleted_aggregate(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        remove(site, aggregate.id, "host1")
        site.aggregates.delete(WHO, aggregate.id)
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        with pytest.raises(AggregateNotFound):
            site.aggregates.show(aggregate.id)
        assert site.pools.members(aggregate.id) == []
        assert site.aggregate("b", "host1").hosts == ("host1",)

    def test_a_failed_remove_fails_the_add_elsewhere(self, site: Site) -> None:
        site.host("host1")
        site.host("host2")
        first, second = site.aggregate("a", "host1"), site.aggregate("b", "host2")
        remove(site, first.id, "host1")
        claim = add(site, second.id, "host1")
        assert site.members(second.id) == ["host2", "host1"]
        site.operations.fail(site.take_next(first.id), FAILURE)
        assert site.members(first.id) == ["host1"]
        assert site.members(second.id) == ["host2"]
        shown = site.operations.show(claim.uuid)
        assert shown.state is OperationState.FAILED
        assert shown.failure is not None
        assert shown.failure.code == "HOST_STILL_IN_POOL"
        assert "aggregate a" in shown.failure.message
        assert [e.kind for e in site.operations.events(claim.uuid)] == ["queued", "failed"]
        for aggregate in (first, second):
            assert site.aggregates.show(aggregate.id).state is AggregateState.ACTIVE
        assert turns(site) == []

    def test_a_claim_that_was_given_up_again(self, site: Site) -> None:
        site.host("host1")
        first, second = site.aggregate("a", "host1"), site.aggregate("b")
        third = site.aggregate("c")
        remove(site, first.id, "host1")
        add(site, second.id, "host1")
        remove(site, second.id, "host1")
        add(site, third.id, "host1")
        site.operations.fail(site.take_next(first.id), FAILURE)
        assert [site.members(a.id) for a in (first, second, third)] == [["host1"], [], []]
        site.operations.fail(site.take_next(second.id), FAILURE)
        assert site.members(second.id) == [], "the host never was in there"
        states = [site.aggregates.show(a.id).state for a in (first, second, third)]
        assert states == [AggregateState.ACTIVE, AggregateState.CREATED, AggregateState.CREATED]

    def test_failed_add_with_a_remove_behind_it(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a")
        add(site, aggregate.id, "host1")
        remove(site, aggregate.id, "host1")
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.members(aggregate.id) == [], "it never joined"

    def test_failed_remove_with_an_add_behind_it(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        remove(site, aggregate.id, "host1")
        add(site, aggregate.id, "host1")
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.members(aggregate.id) == ["host1"], "it never left"

    def test_failed_add_with_a_remove_and_an_add_behind_it(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a")
        add(site, aggregate.id, "host1")
        remove(site, aggregate.id, "host1")
        add(site, aggregate.id, "host1")
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.members(aggregate.id) == ["host1"]
        site.operations.succeed(site.take_next(aggregate.id))
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.members(aggregate.id) == []

    def test_error_is_left_by_the_next_success_only(self, site: Site) -> None:
        site.host("host1")
        site.host("host2")
        aggregate = site.aggregate("a", "host1")
        add(site, aggregate.id, "host2")
        ended = site.operations.error(site.take_next(aggregate.id), FAILURE)
        assert (ended.state, ended.failure) == (OperationState.ERROR, FAILURE)
        shown = site.aggregates.show(aggregate.id)
        assert (shown.state, shown.hosts) == (AggregateState.ERROR, ("host1", "host2"))
        remove(site, aggregate.id, "host2")
        assert site.aggregates.show(aggregate.id).state is AggregateState.CHANGING
        site.operations.fail(site.take_next(aggregate.id), FAILURE)
        assert site.aggregates.show(aggregate.id).state is AggregateState.ERROR
        remove(site, aggregate.id, "host2")
        site.operations.succeed(site.take_next(aggregate.id))
        assert site.aggregates.show(aggregate.id).state is AggregateState.ACTIVE

    def test_a_remove_that_ends_in_error_keeps_the_host(self, site: Site) -> None:
        site.host("host1")
        first, second = site.aggregate("a", "host1"), site.aggregate("b")
        remove(site, first.id, "host1")
        claim = add(site, second.id, "host1")
        site.operations.error(site.take_next(first.id), FAILURE)
        assert site.members(first.id) == ["host1"]
        assert site.operations.show(claim.uuid).state is OperationState.FAILED
        assert site.aggregates.show(second.id).state is AggregateState.CREATED

    def test_metadata_and_rename_do_not_hide_an_error(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a")
        add(site, aggregate.id, "host1")
        site.operations.error(site.take_next(aggregate.id), FAILURE)
        changed = site.aggregates.set_metadata(WHO, aggregate.id, {"k": "v"})
        assert changed.state is AggregateState.ERROR

    def test_changing_until_the_queue_is_empty(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        remove(site, aggregate.id, "host1")
        add(site, aggregate.id, "host1")
        assert site.operations.succeed(site.take_next(aggregate.id)).action is Action.REMOVE_HOST
        assert site.aggregates.show(aggregate.id).state is AggregateState.CHANGING
        site.operations.succeed(site.take_next(aggregate.id))
        assert site.aggregates.show(aggregate.id).state is AggregateState.ACTIVE
