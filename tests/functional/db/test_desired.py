"""All hosts of an aggregate in one request, and what may be lost by leaving, on every database."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nova_aggregates.db.clock import utcnow
from nova_aggregates.exceptions import (
    AggregateNotFound,
    HoldingsNotEmpty,
    HostInAnotherAggregate,
    HostInThisAggregate,
    HostNotFound,
    HostNotInAggregate,
    HostZoneMismatch,
    MasterUnfit,
    OperationCannotBeRetried,
)
from nova_aggregates.objects import (
    Action,
    AggregateState,
    Holdings,
    PlannedHosts,
    PlannedStep,
)
from tests.functional.db.conftest import FAILURE, WHO, Site

HOLDINGS = Holdings(digest="d1", guests=("guest «1»",), disks=("disk 1", "disk 2"), storage=())


def pool_of(site: Site, master: str, *others: str) -> int:
    """An aggregate with a known pool."""
    site.host(master)
    aggregate = site.aggregates.create(WHO, name="a", availability_zone=None)
    site.aggregates.add_host(WHO, aggregate.id, master)
    operation = site.take_next(aggregate.id)
    number = site.hosts.show(master).id
    site.pools.establish(
        operation,
        aggregate_id=aggregate.id,
        xen_uuid="pool",
        master_host_id=number,
        credentials=site.hosts.credentials(number),
    )
    site.operations.succeed(operation)
    for name in others:
        site.host(name)
        site.aggregates.add_host(WHO, aggregate.id, name)
        site.operations.succeed(site.take_next(aggregate.id))
    return aggregate.id


def told(steps: Sequence[PlannedStep]) -> list[tuple[str, str]]:
    return [(step.host, str(step.action)) for step in steps]


def order_of_work(site: Site, aggregate_id: int) -> list[tuple[str | None, str]]:
    """Runs everything; in which order it ran."""
    done = []
    while any(o.aggregate_id == aggregate_id for o in site.operations.runnable(100)):
        operation = site.operations.succeed(site.take_next(aggregate_id))
        done.append((operation.host, str(operation.action)))
    return done


class TestSetHosts:
    def test_adds_then_the_master_then_removes_the_old_master_last(self, site: Site) -> None:
        number = pool_of(site, "host1", "host2", "host3")
        for name in ("host9", "host4"):
            site.host(name)
        planned = site.aggregates.set_hosts(
            WHO, number, ["host9", "host3", "host4"], master="host4"
        )
        work = [
            ("host9", "add_host"),
            ("host4", "add_host"),
            ("host4", "change_master"),
            ("host2", "remove_host"),
            ("host1", "remove_host"),
        ]
        assert told(planned.steps) == [("host3", "keep"), *work]
        assert planned.aggregate == site.aggregates.show(number)
        assert set(planned.aggregate.hosts) == {"host3", "host4", "host9"}
        assert planned.aggregate.state is AggregateState.CHANGING
        assert planned.steps[0].operation is None
        uuids = [step.operation.uuid for step in planned.steps[1:] if step.operation]
        assert uuids == [o.uuid for o in site.operations.index(aggregate_id=number)][4::-1]
        assert order_of_work(site, number) == work
        assert site.aggregates.show(number).state is AggregateState.ACTIVE

    def test_what_is_there_already(self, site: Site) -> None:
        number = pool_of(site, "host1", "host2")
        planned = site.aggregates.set_hosts(WHO, number, ["host2", "host1"], master="host1")
        assert told(planned.steps) == [("host1", "keep"), ("host2", "keep")]
        assert planned.aggregate.state is AggregateState.ACTIVE
        assert site.operations.runnable(10) == []

    def test_none_at_all(self, site: Site) -> None:
        number = pool_of(site, "host1", "host2")
        planned = site.aggregates.set_hosts(WHO, number, [])
        assert told(planned.steps) == [("host2", "remove_host"), ("host1", "remove_host")]
        assert site.members(number) == []

    def test_the_first_of_a_new_pool_is_its_master(self, site: Site) -> None:
        for name in ("host1", "host2"):
            site.host(name)
        for names, expected in (
            (["host1", "host2"], []),
            (["host2", "host1"], [("host1", "change_master")]),
        ):
            aggregate = site.aggregate("-".join(names))
            planned = site.aggregates.set_hosts(WHO, aggregate.id, names, master="host1")
            assert told(planned.steps) == [(name, "add_host") for name in names] + expected
            site.aggregates.set_hosts(WHO, aggregate.id, [])
            order_of_work(site, aggregate.id)

    def test_a_master_is_asked_for_again_behind_what_may_move_it(self, site: Site) -> None:
        number = pool_of(site, "host1", "host2")
        site.aggregates.set_hosts(WHO, number, ["host1", "host2"], master="host2")
        planned = site.aggregates.set_hosts(WHO, number, ["host1", "host2"], master="host1")
        assert told(planned.steps)[2:] == [("host1", "change_master")]

    def test_twice_the_same_host_is_once(self, site: Site) -> None:
        number = pool_of(site, "host1")
        site.host("host2")
        planned = site.aggregates.set_hosts(WHO, number, ["host2", "host1", "host2"])
        assert told(planned.steps) == [("host1", "keep"), ("host2", "add_host")]

    def test_all_or_nothing(self, site: Site) -> None:
        number = pool_of(site, "host1", "host2")
        site.host("free")
        site.host("west", zone="west")
        site.host("taken")
        site.aggregate("b", "taken")
        site.aggregates.update(WHO, number, availability_zone="east")
        before, operations = site.aggregates.show(number), site.operations.index()
        for names, master, fact in (
            (["free", "taken"], None, HostInAnotherAggregate),
            (["free", "west"], None, HostZoneMismatch),
            (["free", "unknown"], None, HostNotFound),
            (["free", "nul\0"], None, HostNotFound),
            (["free", "host1"], "host2", MasterUnfit),
            (["free", "host1"], "unknown", MasterUnfit),
        ):
            with pytest.raises(fact):
                site.aggregates.set_hosts(WHO, number, names, master=master)
        assert site.aggregates.show(number) == before
        assert site.operations.index() == operations

    @pytest.mark.parametrize("number", [0, -1, 2**31, 2**63])
    def test_numbers_that_no_row_can_have(self, site: Site, number: int) -> None:
        with pytest.raises(AggregateNotFound):
            site.aggregates.set_hosts(WHO, number, ["host1"])

    def test_a_label(self, site: Site) -> None:
        for name in ("host1", "host2"):
            site.host(name)
        label = site.aggregates.create(
            WHO, name="l", availability_zone=None, metadata={"hypervisor_pool": "false"}
        )
        site.aggregates.set_hosts(WHO, label.id, ["host1"])
        planned: PlannedHosts = site.aggregates.set_hosts(WHO, label.id, ["host2"])
        assert told(planned.steps) == [("host2", "add_host"), ("host1", "remove_host")]
        assert not any(step.operation for step in planned.steps)
        with pytest.raises(MasterUnfit, match="label"):
            site.aggregates.set_hosts(WHO, label.id, ["host2"], master="host2")

    def test_a_failed_add_is_not_kept_by_a_change_of_master(self, site: Site) -> None:
        number = pool_of(site, "host1")
        site.host("host2")
        site.aggregates.set_hosts(WHO, number, ["host1", "host2"], master="host2")
        site.operations.fail(site.take_next(number), FAILURE)
        assert site.members(number) == ["host1"]
        site.operations.fail(site.take_next(number), FAILURE)
        assert site.members(number) == ["host1"]
        failed = site.operations.index(aggregate_id=number)[0]
        assert failed.action is Action.CHANGE_MASTER
        with pytest.raises(OperationCannotBeRetried, match="not in aggregate"):
            site.operations.retry(WHO, failed.uuid)


class TestHoldings:
    @pytest.fixture
    def number(self, site: Site) -> int:
        number = pool_of(site, "host1", "host2")
        self.note(site, HOLDINGS)
        return number

    def note(self, site: Site, holdings: Holdings | None) -> None:
        host = site.hosts.show("host2")
        site.hosts.observed(
            host.id, xen_uuid="x", inventory=None, seen_at=utcnow(), holdings=holdings
        )

    def test_they_are_kept(self, site: Site, number: int) -> None:
        assert site.hosts.show("host2").holdings == HOLDINGS
        self.note(site, None)
        assert site.hosts.show("host2").holdings == HOLDINGS
        assert site.hosts.show("host1").holdings is None

    @pytest.mark.parametrize("confirm", [None, "", "d0"])
    @pytest.mark.parametrize("forget", [False, True])
    def test_they_are_not_lost_unasked(
        self, site: Site, number: int, confirm: str | None, forget: bool
    ) -> None:
        with pytest.raises(HoldingsNotEmpty) as caught:
            site.aggregates.remove_host(WHO, number, "host2", forget=forget, confirm=confirm)
        for part in ("host2", "guest «1»", "disk 1, disk 2", '"confirm": "d1"'):
            assert part in str(caught.value)
        assert "storage" not in str(caught.value)
        with pytest.raises(HoldingsNotEmpty):
            site.aggregates.set_hosts(WHO, number, ["host1"])
        assert site.members(number) == ["host1", "host2"]
        assert site.operations.runnable(1) == []

    def test_the_digest_of_what_is_there_confirms(self, site: Site, number: int) -> None:
        operation = site.aggregates.remove_host(WHO, number, "host2", confirm="d1").operation
        assert operation is not None
        assert operation.parameters == {"forget": False, "confirm": "d1"}

    def test_what_came_meanwhile_is_not_confirmed(self, site: Site, number: int) -> None:
        operation = site.aggregates.remove_host(WHO, number, "host2", confirm="d1").operation
        assert operation is not None
        site.operations.fail(site.take_next(number), FAILURE)
        self.note(site, Holdings(digest="d2", guests=("another",)))
        with pytest.raises(HoldingsNotEmpty, match="d2"):
            site.aggregates.remove_host(WHO, number, "host2", confirm="d1")
        with pytest.raises(OperationCannotBeRetried, match="another"):
            site.operations.retry(WHO, operation.uuid)

    def test_empty_ones_stop_nobody(self, site: Site, number: int) -> None:
        self.note(site, Holdings(digest="d3"))
        operation = site.aggregates.remove_host(WHO, number, "host2", forget=True).operation
        assert operation is not None
        assert operation.parameters == {"forget": True, "confirm": None}


def test_a_preflight_is_refused_like_the_action(site: Site) -> None:
    number = pool_of(site, "host1")
    site.host("host2")
    site.host("host3")
    site.aggregate("b", "host3")
    for action, host, fact in (
        (Action.ADD_HOST, "host1", HostInThisAggregate),
        (Action.ADD_HOST, "host3", HostInAnotherAggregate),
        (Action.ADD_HOST, "unknown", HostNotFound),
        (Action.REMOVE_HOST, "host2", HostNotInAggregate),
    ):
        with pytest.raises(fact):
            site.aggregates.preflight(WHO, number, action, host)
    with pytest.raises(AggregateNotFound):
        site.aggregates.preflight(WHO, 999, Action.ADD_HOST, "host2")
    assert site.operations.preflights(10) == []
