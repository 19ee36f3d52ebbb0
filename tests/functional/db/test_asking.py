"""Cancel, retry, abandon, and waiting for a better moment, on every database."""

from __future__ import annotations

import datetime

import pytest

from nova_aggregates.db.clock import utcnow
from nova_aggregates.exceptions import (
    IllegalMove,
    OperationCannotBeAbandoned,
    OperationCannotBeCancelled,
    OperationCannotBeRetried,
    OperationLost,
    OperationNotFound,
)
from nova_aggregates.objects import (
    Action,
    AggregateState,
    Operation,
    OperationState,
    Requester,
)
from tests.functional.db.conftest import FAILURE, WHO, Site
from tests.functional.db.test_operations import add, remove

PERSON = Requester("person", "demo", "req-ask")
LATER = datetime.timedelta(hours=1)


def state(site: Site, aggregate_id: int) -> AggregateState:
    return site.aggregates.show(aggregate_id).state


def kinds(site: Site, operation: Operation) -> list[str]:
    return [event.kind for event in site.operations.events(operation.uuid)]


@pytest.fixture
def pool(site: Site) -> int:
    """An aggregate with the members host1 and host2; host3 is free."""
    for name in ("host1", "host2", "host3"):
        site.host(name)
    return site.aggregate("a", "host1", "host2").id


class TestCancel:
    def test_a_queued_add(self, site: Site, pool: int) -> None:
        operation = add(site, pool, "host3")
        ended = site.operations.cancel(PERSON, operation.uuid)
        assert (ended.state, ended.failure) == (OperationState.CANCELLED, None)
        assert ended.finished_at is not None
        assert ended == site.operations.show(operation.uuid)
        assert site.members(pool) == ["host1", "host2"]
        assert state(site, pool) is AggregateState.ACTIVE
        assert kinds(site, operation) == ["queued", "cancel_requested", "cancelled"]
        asked = site.operations.events(operation.uuid)[1].data
        assert asked == {"user_id": "person", "request_id": "req-ask"}
        site.hosts.delete(WHO, "host3")

    def test_a_queued_remove(self, site: Site, pool: int) -> None:
        operation = remove(site, pool, "host1")
        site.operations.cancel(PERSON, operation.uuid)
        assert site.members(pool) == ["host1", "host2"], "in its old place"
        assert state(site, pool) is AggregateState.ACTIVE

    def test_a_queued_remove_whose_host_is_claimed_elsewhere(self, site: Site, pool: int) -> None:
        operation = remove(site, pool, "host1")
        other = site.aggregate("b")
        claim = add(site, other.id, "host1")
        site.operations.cancel(PERSON, operation.uuid)
        assert site.members(pool) == ["host1", "host2"]
        assert site.operations.show(claim.uuid).state is OperationState.FAILED
        assert site.members(other.id) == []

    def test_a_queued_rename(self, site: Site, pool: int) -> None:
        operation = site.aggregates.update(WHO, pool, name="b").operation
        assert operation is not None
        site.operations.cancel(PERSON, operation.uuid)
        assert site.aggregates.show(pool).name == "a"

    def test_the_add_before_a_remove(self, site: Site, pool: int) -> None:
        first = add(site, pool, "host3")
        second = remove(site, pool, "host3")
        site.operations.cancel(PERSON, first.uuid)
        assert site.members(pool) == ["host1", "host2"]
        site.operations.fail(site.take_next(pool), FAILURE)
        assert site.operations.show(second.uuid).state is OperationState.FAILED
        assert site.members(pool) == ["host1", "host2"], "there was no membership to put back"

    def test_a_running_one(self, site: Site, pool: int) -> None:
        add(site, pool, "host3")
        running = site.take_next(pool)
        assert site.operations.cancel_wanted(running) is False
        asked = site.operations.cancel(PERSON, running.uuid)
        assert (asked.state, asked.cancel_requested) == (OperationState.RUNNING, True)
        assert site.members(pool) == ["host1", "host2", "host3"], "until it is undone"
        assert site.operations.cancel_wanted(running) is True
        ended = site.operations.cancelled(running)
        assert ended.state is OperationState.CANCELLED
        assert site.members(pool) == ["host1", "host2"]
        with pytest.raises(OperationLost):
            site.operations.cancel_wanted(running)
        with pytest.raises(OperationLost):
            site.operations.cancelled(running)

    def test_past_the_point_of_no_return(self, site: Site, pool: int) -> None:
        add(site, pool, "host3")
        running = site.take_next(pool)
        assert site.operations.uncancellable(running, "host3 is joining")
        with pytest.raises(OperationCannotBeCancelled, match="host3 is joining"):
            site.operations.cancel(PERSON, running.uuid)
        assert not site.operations.cancel_wanted(running)
        assert "cancel_requested" not in kinds(site, running)
        shown = site.operations.show(running.uuid)
        assert shown.uncancellable_reason == "host3 is joining"
        assert site.operations.uncancellable(running, None)
        site.operations.cancel(PERSON, running.uuid)

    def test_a_cancel_that_came_first_is_not_passed_over(self, site: Site, pool: int) -> None:
        add(site, pool, "host3")
        running = site.take_next(pool)
        site.operations.cancel(PERSON, running.uuid)
        assert site.operations.uncancellable(running, "host3 is joining") is False
        assert site.operations.show(running.uuid).uncancellable_reason is None

    def test_what_has_ended(self, site: Site, pool: int) -> None:
        operation = add(site, pool, "host3")
        site.operations.succeed(site.take_next(pool))
        with pytest.raises(OperationCannotBeCancelled, match="ended as succeeded"):
            site.operations.cancel(PERSON, operation.uuid)
        assert site.members(pool) == ["host1", "host2", "host3"]

    def test_a_former_owner_is_told(self, site: Site, pool: int) -> None:
        operation = add(site, pool, "host3")
        former = site.take_next(pool)
        site.operations.take(operation.uuid, "manager-2")
        for call in (
            lambda: site.operations.cancel_wanted(former),
            lambda: site.operations.uncancellable(former, "x"),
            lambda: site.operations.cancelled(former),
            lambda: site.operations.postpone(former, utcnow(), FAILURE),
        ):
            with pytest.raises(OperationLost):
                call()


@pytest.mark.parametrize("unknown", ["", "x", "nul\0", "\ud800"])
def test_an_unknown_uuid(site: Site, unknown: str) -> None:
    for ask in (site.operations.cancel, site.operations.retry, site.operations.abandon):
        with pytest.raises(OperationNotFound):
            ask(PERSON, unknown)
    with pytest.raises(OperationNotFound):
        site.operations.events_after(0, 10, operation=unknown)


class TestPostpone:
    def test_it_keeps_its_turn(self, site: Site, pool: int) -> None:
        first = add(site, pool, "host3")
        second = remove(site, pool, "host1")
        running = site.take_next(pool)
        waiting = site.operations.postpone(running, utcnow() + LATER, FAILURE)
        assert (waiting.state, waiting.owner) == (OperationState.QUEUED, None)
        assert (waiting.failure, waiting.attempts) == (FAILURE, 1)
        assert state(site, pool) is AggregateState.CHANGING
        assert site.operations.runnable(10) == []
        for operation in (first, second):
            with pytest.raises(IllegalMove):
                site.operations.take(operation.uuid, "manager-2")
        with pytest.raises(OperationLost):
            site.operations.step(running, "late", 50)

    def test_other_aggregates_go_on(self, site: Site, pool: int) -> None:
        add(site, pool, "host3")
        site.operations.postpone(site.take_next(pool), utcnow() + LATER, FAILURE)
        site.host("host4")
        other = site.aggregate("b")
        add(site, other.id, "host4")
        assert [o.host for o in site.operations.runnable(10)] == ["host4"]

    def test_it_comes_back(self, site: Site, pool: int) -> None:
        add(site, pool, "host3")
        site.operations.postpone(site.take_next(pool), utcnow(), FAILURE)
        again = site.take_next(pool, "manager-2")
        assert (again.attempts, again.fence, again.owner) == (2, 2, "manager-2")
        assert (again.failure, again.not_before) == (None, None)
        assert site.operations.succeed(again).failure is None

    def test_a_cancel_makes_it_due(self, site: Site, pool: int) -> None:
        """A manager had it in its hands: only a manager knows what that left behind."""
        operation = add(site, pool, "host3")
        site.operations.postpone(site.take_next(pool), utcnow() + LATER, FAILURE)
        asked = site.operations.cancel(PERSON, operation.uuid)
        assert (asked.state, asked.cancel_requested) == (OperationState.QUEUED, True)
        running = site.take_next(pool)
        assert site.operations.cancel_wanted(running)
        assert site.operations.cancelled(running).state is OperationState.CANCELLED

    def test_a_cancel_before_it_is_put_off(self, site: Site, pool: int) -> None:
        add(site, pool, "host3")
        running = site.take_next(pool)
        site.operations.cancel(PERSON, running.uuid)
        site.operations.postpone(running, utcnow() + LATER, FAILURE)
        assert site.operations.cancel_wanted(site.take_next(pool))


class TestRetry:
    def test_a_failed_add(self, site: Site, pool: int) -> None:
        operation = add(site, pool, "host3")
        site.operations.fail(site.take_next(pool), FAILURE)
        again = site.operations.retry(PERSON, operation.uuid)
        assert again.uuid == operation.uuid
        assert (again.state, again.failure) == (OperationState.QUEUED, None)
        assert (again.finished_at, again.owner, again.attempts) == (None, None, 1)
        assert again.requester == WHO
        assert site.members(pool) == ["host1", "host2", "host3"]
        assert state(site, pool) is AggregateState.CHANGING
        running = site.take_next(pool)
        assert (running.attempts, running.fence) == (2, 2)
        site.operations.fail(running, FAILURE)
        assert site.members(pool) == ["host1", "host2"]
        site.operations.retry(PERSON, operation.uuid)
        site.operations.succeed(site.take_next(pool))
        assert site.members(pool) == ["host1", "host2", "host3"]
        assert kinds(site, operation).count("retried") == 2

    def test_a_failed_remove(self, site: Site, pool: int) -> None:
        operation = remove(site, pool, "host1")
        site.operations.fail(site.take_next(pool), FAILURE)
        site.operations.retry(PERSON, operation.uuid)
        assert site.members(pool) == ["host2"]
        site.operations.fail(site.take_next(pool), FAILURE)
        assert site.members(pool) == ["host1", "host2"]

    def test_a_cancelled_rename(self, site: Site, pool: int) -> None:
        operation = site.aggregates.update(WHO, pool, name="b").operation
        assert operation is not None
        site.operations.cancel(PERSON, operation.uuid)
        site.aggregates.update(WHO, pool, name="c")
        site.operations.succeed(site.take_next(pool))
        again = site.operations.retry(PERSON, operation.uuid)
        assert again.parameters == {"name": "b", "former": "c"}
        assert site.aggregates.show(pool).name == "b"
        site.operations.fail(site.take_next(pool), FAILURE)
        assert site.aggregates.show(pool).name == "c"

    def test_an_add_in_error(self, site: Site, pool: int) -> None:
        operation = add(site, pool, "host3")
        site.operations.error(site.take_next(pool), FAILURE)
        assert state(site, pool) is AggregateState.ERROR
        site.operations.retry(PERSON, operation.uuid)
        assert site.members(pool) == ["host1", "host2", "host3"]
        site.operations.succeed(site.take_next(pool))
        assert state(site, pool) is AggregateState.ACTIVE

    def test_it_goes_to_the_end_of_the_queue(self, site: Site, pool: int) -> None:
        """In its former place it would run before the remove, whose effect would then stay."""
        failed = add(site, pool, "host3")
        site.operations.fail(site.take_next(pool), FAILURE)
        add(site, pool, "host3")
        site.operations.succeed(site.take_next(pool))
        waiting = remove(site, pool, "host3")
        site.operations.retry(PERSON, failed.uuid)
        assert [o.uuid for o in site.operations.runnable(10)] == [waiting.uuid]
        with pytest.raises(IllegalMove):
            site.operations.take(failed.uuid, "manager-1")
        running = site.take_next(pool)
        assert running.uuid == waiting.uuid
        assert [o.uuid for o in site.operations.runnable(10)] == [waiting.uuid]
        site.operations.fail(running, FAILURE)
        assert site.members(pool) == ["host1", "host2", "host3"]
        assert site.take_next(pool).uuid == failed.uuid

    @pytest.mark.parametrize("end", ["succeed", None])
    def test_what_did_not_fail(self, site: Site, pool: int, end: str | None) -> None:
        operation = add(site, pool, "host3")
        if end is not None:
            site.operations.succeed(site.take_next(pool))
        with pytest.raises(OperationCannotBeRetried, match=r"it is (succeeded|queued)"):
            site.operations.retry(PERSON, operation.uuid)

    def test_the_checks_of_the_first_time(self, site: Site, pool: int) -> None:
        operation = add(site, pool, "host3")
        site.operations.fail(site.take_next(pool), FAILURE)
        other = site.aggregate("b", "host3")
        with pytest.raises(OperationCannotBeRetried, match="in another aggregate"):
            site.operations.retry(PERSON, operation.uuid)
        assert site.operations.show(operation.uuid).state is OperationState.FAILED
        assert "retried" not in kinds(site, operation)
        remove(site, other.id, "host3")
        site.operations.succeed(site.take_next(other.id))
        site.hosts.delete(WHO, "host3")
        with pytest.raises(OperationCannotBeRetried, match="host3 could not be found"):
            site.operations.retry(PERSON, operation.uuid)

    def test_a_deleted_aggregate(self, site: Site) -> None:
        """The pool may have kept the host, so leaving may be tried again; joining may not."""
        site.host("host1")
        number = site.aggregate("a").id
        joining = add(site, number, "host1")
        site.operations.fail(site.take_next(number), FAILURE)
        add(site, number, "host1")
        site.operations.succeed(site.take_next(number))
        leaving = remove(site, number, "host1")
        site.aggregates.delete(WHO, number)
        site.operations.fail(site.take_next(number), FAILURE)
        with pytest.raises(OperationCannotBeRetried, match="could not be found"):
            site.operations.retry(PERSON, joining.uuid)
        site.operations.retry(PERSON, leaving.uuid)
        site.operations.succeed(site.take_next(number))
        site.hosts.delete(WHO, "host1")

    def test_a_pool_that_became_a_label(self, site: Site) -> None:
        site.host("host1")
        number = site.aggregate("a").id
        operation = add(site, number, "host1")
        site.operations.fail(site.take_next(number), FAILURE)
        site.aggregates.set_metadata(WHO, number, {"hypervisor_pool": "false"})
        with pytest.raises(OperationCannotBeRetried, match="plain label"):
            site.operations.retry(PERSON, operation.uuid)


class TestAbandon:
    def test_an_add(self, site: Site, pool: int) -> None:
        operation = add(site, pool, "host3")
        site.operations.error(site.take_next(pool), FAILURE)
        assert site.members(pool) == ["host1", "host2", "host3"]
        ended = site.operations.abandon(PERSON, operation.uuid)
        assert ended.state is OperationState.FAILED
        assert ended.failure is not None
        assert ended.failure.code == "ABANDONED"
        assert site.members(pool) == ["host1", "host2"]
        assert state(site, pool) is AggregateState.ACTIVE

    def test_a_remove(self, site: Site, pool: int) -> None:
        operation = remove(site, pool, "host1")
        site.operations.error(site.take_next(pool), FAILURE)
        site.operations.abandon(PERSON, operation.uuid)
        assert site.members(pool) == ["host1", "host2"]
        assert state(site, pool) is AggregateState.ACTIVE

    def test_a_remove_after_which_the_host_did_leave(self, site: Site, pool: int) -> None:
        operation = remove(site, pool, "host1")
        site.operations.error(site.take_next(pool), FAILURE)
        remove(site, pool, "host1")
        site.operations.succeed(site.take_next(pool))
        site.operations.abandon(PERSON, operation.uuid)
        assert site.members(pool) == ["host2"]

    def test_a_rename_after_which_there_was_another(self, site: Site, pool: int) -> None:
        operation = site.aggregates.update(WHO, pool, name="b").operation
        assert operation is not None
        site.operations.error(site.take_next(pool), FAILURE)
        site.aggregates.update(WHO, pool, name="c")
        site.operations.succeed(site.take_next(pool))
        site.operations.abandon(PERSON, operation.uuid)
        assert site.aggregates.show(pool).name == "c"

    def test_what_is_no_error(self, site: Site, pool: int) -> None:
        operation = add(site, pool, "host3")
        for _ in range(2):
            with pytest.raises(OperationCannotBeAbandoned, match=r"because it is (queued|failed)"):
                site.operations.abandon(PERSON, operation.uuid)
            if site.operations.runnable(1):
                site.operations.fail(site.take_next(pool), FAILURE)
        assert "abandoned" not in kinds(site, operation)


class TestPreflight:
    def test_nothing_waits_and_nothing_changes(self, site: Site, pool: int) -> None:
        before = site.aggregates.show(pool)
        look = site.aggregates.preflight(PERSON, pool, Action.ADD_HOST, "host3")
        assert (look.action, look.parameters) == (Action.PREFLIGHT, {"action": "add_host"})
        assert site.aggregates.show(pool) == before
        assert site.operations.runnable(10) == []
        add(site, pool, "host3")
        site.take_next(pool)
        assert site.operations.preflights(10) == [look]
        running = site.operations.take(look.uuid, "manager-1")
        assert site.operations.preflights(10) == [], "its manager has only just begun"
        changed = site.aggregates.show(pool)
        assert site.operations.succeed(running).state is OperationState.SUCCEEDED
        assert site.aggregates.show(pool) == changed

    def test_an_error_of_a_look_is_none_of_the_pool(self, site: Site, pool: int) -> None:
        look = site.aggregates.preflight(PERSON, pool, Action.REMOVE_HOST, "host1")
        site.operations.error(site.operations.take(look.uuid, "manager-1"), FAILURE)
        assert state(site, pool) is AggregateState.ACTIVE
        assert site.operations.retry(PERSON, look.uuid).state is OperationState.QUEUED
        assert site.operations.cancel(PERSON, look.uuid).cancel_requested

    def test_a_label_needs_no_look(self, site: Site) -> None:
        site.host("host1")
        label = site.aggregates.create(
            WHO, name="l", availability_zone=None, metadata={"hypervisor_pool": "false"}
        )
        look = site.aggregates.preflight(PERSON, label.id, Action.ADD_HOST, "host1")
        assert look.state is OperationState.SUCCEEDED
        assert site.operations.preflights(10) == []
