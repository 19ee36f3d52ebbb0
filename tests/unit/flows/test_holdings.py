"""What a host would lose: looked at beforehand, agreed to, compared when it matters."""

from __future__ import annotations

import pytest

from nova_aggregates.exceptions import HoldingsNotEmpty
from nova_aggregates.flows.inventory import NOTHING, holdings_of
from nova_aggregates.flows.watch import HostWatch
from nova_aggregates.objects import Action, HostStatus
from tests.unit.flows.bench import Bench, until
from tests.unit.flows.site import FakeSite
from tests.unit.flows.test_add_host import CPU, TLS, fails
from tests.unit.flows.test_remove_host import DISKS, GUESTS, three

HELD = holdings_of((), ("disk1 (1)",), ("local (2)",))
OTHER = holdings_of((), ("disk1 (1)", "disk2 (3)"), ("local (2)",))


def holds(site: FakeSite, name: str) -> None:
    site.holdings_of[name] = HELD
    site.leave_problems[name] = (DISKS,)


def test_the_digest_depends_on_what_is_there_and_not_on_its_order() -> None:
    there = holdings_of(("a", "b"), ("c",), ())
    assert there == holdings_of(["b", "a"], ["c"], [])
    assert there.digest != holdings_of(("a", "b", "c"), (), ()).digest
    assert NOTHING.empty


def test_the_right_digest_lifts_the_finding_about_disks(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    holds(site, "h2")
    operation = fails(bench, bench.remove(blue, "h2"), DISKS.code)
    assert HELD.digest in operation.findings[1].cure
    assert bench.managers.hosts.show("h2").holdings == HELD
    with pytest.raises(HoldingsNotEmpty):
        bench.remove(blue, "h2")
    bench.succeeded(bench.remove(blue, "h2", confirm=HELD.digest))
    assert site["h2"].pool.hosts == [site["h2"]]


def test_a_digest_of_something_else_does_not(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    holds(site, "h2")
    fails(bench, bench.remove(blue, "h2"), DISKS.code)
    site.holdings_of["h2"] = OTHER
    operation = fails(bench, bench.remove(blue, "h2", confirm=HELD.digest), "HOLDINGS_NOT_EMPTY")
    assert "disk2" in operation.findings[0].message
    assert DISKS in operation.findings
    assert ("eject", "h2") not in site.calls
    assert bench.managers.hosts.show("h2").holdings == OTHER


def test_no_digest_lifts_the_finding_about_guests(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    holds(site, "h2")
    site.leave_problems["h2"] = (DISKS, GUESTS)
    operation = fails(bench, bench.remove(blue, "h2", confirm=HELD.digest), GUESTS.code)
    assert operation.findings == (GUESTS,)


def test_a_look_at_a_removal_keeps_the_holdings(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    holds(site, "h2")
    (operation,) = bench.succeeded(bench.preflight(blue, Action.REMOVE_HOST, "h2"))
    assert [each.code for each in operation.findings] == [DISKS.code, "HOLDINGS_NOT_EMPTY"]
    assert bench.managers.hosts.show("h2").holdings == HELD
    assert bench.show(blue).hosts == ("h1", "h2", "h3")


def test_a_look_at_a_join_finds_all_at_once(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    (operation,) = bench.succeeded(bench.preflight(blue, Action.ADD_HOST, "h1"))
    assert operation.findings == ()
    bench.succeeded(bench.add(blue, "h1"))
    site.join_problems["h2"] = (CPU, TLS)
    calls = list(site.calls)
    (operation,) = bench.succeeded(bench.preflight(blue, Action.ADD_HOST, "h2"))
    assert operation.findings == (CPU, TLS)
    site["h2"].dead = True
    (operation,) = bench.succeeded(bench.preflight(blue, Action.ADD_HOST, "h2"))
    assert [each.code for each in operation.findings] == ["UNREACHABLE"]
    assert bench.show(blue).hosts == ("h1",)
    assert site.calls == calls


def test_a_look_offers_a_stranger_no_password_of_the_pool(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h1"].dead = True
    bench.succeeded(bench.preflight(blue, Action.ADD_HOST, "h2"))
    assert site["h2"].offered == {"secret-of-h2"}


def test_a_look_waits_for_no_turn(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h1"].live = False
    uuid = bench.add(blue, "h2")
    until(lambda: "await_settled_pool" in bench.steps(uuid))
    bench.succeeded(bench.preflight(blue, Action.ADD_HOST, "h3"))
    assert not bench.operation(uuid).state.ended
    site["h1"].live = True
    bench.succeeded(uuid)


def test_the_watch_keeps_holdings_of_members_only(bench: Bench, site: FakeSite) -> None:
    bench.start()
    three(bench)
    holds(site, "h2")
    site.holdings_of["h4"] = OTHER
    watch = HostWatch(bench.managers, bench.hypervisor, 0.1)
    watch.start()
    try:
        until(lambda: bench.managers.hosts.show("h2").holdings == HELD)
        until(lambda: bench.managers.hosts.show("h4").holdings == NOTHING)
    finally:
        watch.stop()


def test_a_dead_host_is_forgotten(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    site["h2"].dead = True
    site["h2"].restart()
    bench.succeeded(bench.remove(blue, "h2", forget=True))
    assert site.calls[-2:] == [("declare_dead", "h2"), ("destroy_host", "h2")]
    assert site["h1"].pool.hosts == [site["h1"], site["h3"]]
    assert bench.managers.hosts.show("h2").status is HostStatus.DISABLED
    assert bench.show(blue).hosts == ("h1", "h3")


@pytest.mark.parametrize("live", [True, False])
def test_a_host_that_answers_is_not_forgotten(bench: Bench, site: FakeSite, live: bool) -> None:
    bench.start()
    blue = three(bench)
    site["h2"].live = live
    fails(bench, bench.remove(blue, "h2", forget=True), "HOST_IS_LIVE")
    assert site["h2"] in site["h1"].pool.hosts
    assert bench.show(blue).hosts.count("h2") == 1


def test_a_host_that_its_master_sees_is_not_forgotten(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    site["h2"].dead = True
    fails(bench, bench.remove(blue, "h2", forget=True), "HOST_IS_LIVE")
    assert ("destroy_host", "h2") not in site.calls


def test_the_last_host_is_forgotten_with_its_pool(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h1"].dead = True
    bench.succeeded(bench.remove(blue, "h1", forget=True))
    assert bench.managers.pools.show(blue) is None
