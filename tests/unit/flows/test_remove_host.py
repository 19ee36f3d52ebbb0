from __future__ import annotations

import dataclasses

import pytest

from nova_aggregates.objects import (
    AggregateState,
    Finding,
    HostStatus,
    OperationState,
    Severity,
)
from nova_aggregates.xenapi import errors
from tests.unit.flows.bench import FAST, WHO, Bench
from tests.unit.flows.site import FakeSite
from tests.unit.flows.test_add_host import fails

GUESTS = Finding("leave.guests", "GUESTS", Severity.BLOCKING, "web1 runs there.", "Move it.")
DISKS = Finding("leave.local_data", "DATA", Severity.BLOCKING, "disk1 is there.", "Move it.")
LOST = errors.OutcomeUnknown("OUTCOME_UNKNOWN", ("call", "cut"))


def three(bench: Bench) -> int:
    """The aggregate blue of h1 (master), h2 and h3."""
    blue = bench.aggregate()
    bench.succeeded(*(bench.add(blue, name) for name in ("h1", "h2", "h3")))
    return blue


def verbs(site: FakeSite) -> list[tuple[str, str]]:
    return [call for call in site.calls if call[0] in ("designate_new_master", "eject", "disable")]


def test_a_slave_is_ejected_and_comes_back_alone(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    uuid = bench.remove(blue, "h2")
    bench.succeeded(uuid)
    assert site["h2"].pool.hosts == [site["h2"]]
    assert site["h2"].enabled
    assert site["h1"].pool.hosts == [site["h1"], site["h3"]]
    assert verbs(site) == [("eject", "h2")]
    host = bench.managers.hosts.show("h2")
    assert host.status is HostStatus.DISABLED
    assert bench.managers.hosts.credentials(host.id).password == "secret-of-h1"
    assert bench.steps(uuid) == [
        "inspect_host",
        "await_settled_pool",
        "eject_host",
        "await_standalone_host",
        "release_host",
    ]


@pytest.mark.parametrize("leaver", ["h1", "h2"])
def test_a_host_leaves_with_the_verification_that_its_pool_had(
    bench: Bench, site: FakeSite, leaver: str
) -> None:
    bench.start()
    blue = three(bench)
    site["h1"].pool.tls = True
    uuid = bench.remove(blue, leaver)
    bench.succeeded(uuid)
    assert site[leaver].pool.tls, "an eject turns it off"
    assert "restore_tls_verification" in bench.steps(uuid)


def test_a_master_hands_over_first(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    old = site["h1"].pool
    uuid = bench.remove(blue, "h1")
    bench.succeeded(uuid)
    assert verbs(site) == [("designate_new_master", "h2"), ("eject", "h1")]
    assert old.master is site["h2"]
    assert old.hosts == [site["h2"], site["h3"]]
    assert all(host.enabled and host.live for host in old.hosts)
    pool = bench.managers.pools.show(blue)
    assert pool is not None
    assert pool.master_host_id == bench.managers.hosts.show("h2").id
    assert old.name == "blue"
    assert bench.steps(uuid)[2:4] == ["hand_over_master", "await_new_master"]


def test_the_last_host_only_gives_up_the_name(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site.leave_problems["h1"] = (GUESTS,)
    before = site["h1"].pool.uuid
    uuid = bench.remove(blue, "h1")
    bench.succeeded(uuid)
    assert (site["h1"].pool.uuid, site["h1"].pool.name) == (before, "")
    assert verbs(site) == []
    assert bench.managers.pools.show(blue) is None
    assert bench.managers.hosts.show("h1").status is HostStatus.DISABLED
    assert bench.show(blue).state is AggregateState.CREATED
    assert bench.steps(uuid) == ["inspect_host", "clear_pool_name", "release_host"]


def test_all_are_removed_in_quick_succession_and_the_aggregate_deleted(
    bench: Bench, site: FakeSite
) -> None:
    bench.start()
    blue = three(bench)
    uuids = [bench.remove(blue, name) for name in ("h1", "h2", "h3")]
    bench.managers.aggregates.delete(WHO, blue)
    bench.succeeded(*uuids)
    for host in site.hosts:
        assert host.pool.hosts == [host]
        assert host.pool.name == ""
    assert bench.managers.pools.show(blue) is None
    # Whoever leaves last takes over first, so that the role moves once only.
    assert verbs(site) == [("designate_new_master", "h3"), ("eject", "h1"), ("eject", "h2")]


def test_findings_stop_an_eject_and_the_host_stays(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    site.leave_problems["h1"] = (GUESTS, DISKS)
    operation = fails(bench, bench.remove(blue, "h1"), "GUESTS")
    assert set(operation.findings) >= {GUESTS, DISKS}
    assert verbs(site) == []
    assert bench.show(blue).hosts == ("h1", "h2", "h3")
    assert bench.show(blue).state is AggregateState.ACTIVE
    assert bench.managers.hosts.show("h1").status is HostStatus.ENABLED


def test_members_that_were_disabled_are_disabled_again(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    bench.succeeded(bench.add(blue, "h4"))
    site["h4"].enabled = False
    site["h4"].sticky_disabled = True
    bench.succeeded(bench.remove(blue, "h1"))
    assert not site["h4"].enabled
    assert site["h2"].enabled
    assert site["h3"].enabled
    assert ("disable", "h4") in site.calls


def test_a_master_stays_when_nobody_can_take_over(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"))
    site["h2"].enabled = False
    fails(bench, bench.remove(blue, "h1"), "NO_NEW_MASTER")
    assert site["h1"].pool.master is site["h1"]
    assert bench.show(blue).hosts == ("h1", "h2")


@pytest.mark.parametrize("verb", ["eject", "designate_new_master"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_cleared_up_by_looking(
    bench: Bench, site: FakeSite, verb: str, when: str
) -> None:
    bench.start()
    blue = three(bench)
    site.fail[verb] = [(when, LOST)]
    (operation,) = bench.ended(bench.remove(blue, "h1"))
    if (verb, when) == ("eject", "before"):
        # Not done is not done: the person may ask again, we do not eject twice on a guess.
        assert operation.state is OperationState.FAILED
        assert bench.show(blue).hosts == ("h1", "h2", "h3")
        assert site["h1"].pool.master is site["h1"], "the role goes back"
        assert bench.managers.pools.show(blue).master_host_id == operation.host_id
        assert operation.findings == ()
        bench.succeeded(bench.remove(blue, "h1"))
        return
    assert operation.state is OperationState.SUCCEEDED
    assert site["h1"].pool.hosts == [site["h1"]]
    times = sum(call[0] == "designate_new_master" for call in site.calls)
    assert times == (2 if (verb, when) == ("designate_new_master", "before") else 1)


def test_a_role_that_cannot_go_back_is_told(bench: Bench, site: FakeSite) -> None:
    bench.start(dataclasses.replace(FAST, handover=0.6))
    blue = three(bench)
    refused = errors.PreconditionFailed("OTHER_OPERATION_IN_PROGRESS", ("pool", "x"))
    site.fail["eject"] = [("before", refused)]

    def gate(verb: str, _about: str) -> None:
        if verb == "eject":
            site["h1"].live = site["h1"].enabled = False

    site.gate = gate
    (operation,) = bench.ended(bench.remove(blue, "h1"))
    assert operation.state is OperationState.FAILED
    assert operation.failure is not None
    assert operation.failure.code == "OTHER_OPERATION_IN_PROGRESS"
    (left,) = operation.findings
    assert (left.check, left.code) == ("undo.hand_over_master", "NOT_UNDONE")
    assert "not live" in left.message
    assert "master" in left.cure
    assert bench.show(blue).hosts == ("h1", "h2", "h3")


def test_a_refused_change_of_master_changes_nothing(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    refused = errors.PreconditionFailed("HA_IS_ENABLED")
    site.fail["designate_new_master"] = [("before", refused)]
    fails(bench, bench.remove(blue, "h1"), "HA_IS_ENABLED")
    assert bench.show(blue).hosts == ("h1", "h2", "h3")
    assert bench.show(blue).state is AggregateState.ACTIVE


def test_a_host_that_does_not_come_back_needs_a_person(bench: Bench, site: FakeSite) -> None:
    bench.start(dataclasses.replace(FAST, eject=0.3))
    blue = three(bench)
    site["h2"].delay = 10**9
    (operation,) = bench.ended(bench.remove(blue, "h2"))
    assert operation.state is OperationState.ERROR
    assert operation.failure is not None
    assert operation.failure.code == "HOST_NOT_BACK"
    assert "h2" in operation.failure.message
    # Asked again when the host is back, the operation only has to see that.
    site["h2"].away_for = site["h2"].arrives_in = 0
    site["h2"].live = site["h2"].enabled = True
    site.calls.clear()
    bench.succeeded(bench.remove(blue, "h2"))
    assert verbs(site) == []
    assert bench.show(blue).state is AggregateState.ACTIVE


def test_a_host_that_never_was_in_a_pool_is_let_go(bench: Bench, site: FakeSite) -> None:
    """The add failed half-way before the pool was known, or was taken back while it waited."""
    site["h1"].dead = True
    blue = bench.aggregate()
    added = bench.add(blue, "h1")
    removed = bench.remove(blue, "h1")
    bench.start()
    bench.ended(added)
    bench.succeeded(removed)
    assert bench.show(blue).hosts == ()
    assert bench.show(blue).state is AggregateState.CREATED


def test_an_ejected_host_joins_another_aggregate(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    red = bench.aggregate("red")
    bench.succeeded(bench.add(red, "h4"))
    # Both asked for at once: the second waits for the first by itself.
    bench.succeeded(bench.remove(blue, "h1"), bench.add(red, "h1"))
    assert site["h4"].pool.hosts == [site["h4"], site["h1"]]
    assert bench.show(red).hosts == ("h4", "h1")
    host = bench.managers.hosts.show("h1")
    assert bench.managers.hosts.credentials(host.id).password == "secret-of-h4"


def test_a_host_whose_join_ended_half_way_keeps_its_own_password(
    bench: Bench, site: FakeSite
) -> None:
    bench.start(dataclasses.replace(FAST, join=0.1))
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    # Neither here nor there for as long as we wait, and in the end it had not joined.
    site.fail["join"] = [("before", LOST)]
    site.gate = lambda verb, about: (
        setattr(site["h2"], "away_for", 10**9) if verb == "join" else None
    )
    (operation,) = bench.ended(bench.add(blue, "h2"))
    assert operation.failure is not None
    assert operation.failure.code == "JOIN_OUTCOME_UNKNOWN"
    assert operation.state is OperationState.ERROR
    site["h2"].away_for = 0
    bench.succeeded(bench.remove(blue, "h2"))
    host = bench.managers.hosts.show("h2")
    assert bench.managers.hosts.credentials(host.id).password == "secret-of-h2"
    site.gate = lambda verb, about: None
    bench.succeeded(bench.add(blue, "h2"))
