from __future__ import annotations

from nova_aggregates.xenapi import errors
from tests.unit.flows.bench import Bench
from tests.unit.flows.site import FakeSite
from tests.unit.flows.test_add_host import fails
from tests.unit.flows.test_remove_host import LOST, three, verbs


def test_the_named_host_becomes_the_master(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    bench.succeeded(bench.change_master(blue, "h3"))
    pool = site["h1"].pool
    assert pool.master is site["h3"]
    assert pool.hosts == [site["h1"], site["h2"], site["h3"]]
    assert all(host.enabled and host.live for host in pool.hosts)
    assert verbs(site) == [("designate_new_master", "h3")]
    found = bench.managers.pools.show(blue)
    assert found is not None
    assert found.master_host_id == bench.managers.hosts.show("h3").id


def test_members_that_were_disabled_stay_so(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    for name in ("h1", "h2"):
        site[name].enabled = False
        site[name].sticky_disabled = True
    bench.succeeded(bench.change_master(blue, "h3"))
    assert [site[name].enabled for name in ("h1", "h2", "h3")] == [False, False, True]


def test_a_disabled_host_does_not_take_over(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    site["h3"].enabled = False
    site["h3"].sticky_disabled = True
    operation = fails(bench, bench.change_master(blue, "h3"), "NO_NEW_MASTER")
    assert "h3" in operation.findings[0].message
    assert "h2" not in operation.findings[0].message
    assert site["h1"].pool.master is site["h1"]


def test_the_role_that_is_there_already_is_not_moved(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    uuid = bench.change_master(blue, "h3")
    again = bench.change_master(blue, "h3")
    bench.succeeded(uuid, again)
    assert verbs(site) == [("designate_new_master", "h3")]


def test_an_answer_that_was_lost_is_found_out(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    site.fail["designate_new_master"] = [("after", LOST)]
    bench.succeeded(bench.change_master(blue, "h2"))
    assert site["h1"].pool.master is site["h2"]


def test_a_refusal_leaves_the_role_where_it_is(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    refused = errors.PreconditionFailed("HA_IS_ENABLED", ())
    site.fail["designate_new_master"] = [("before", refused)]
    fails(bench, bench.change_master(blue, "h2"), "HA_IS_ENABLED")
    assert bench.show(blue).hosts == ("h1", "h2", "h3")
