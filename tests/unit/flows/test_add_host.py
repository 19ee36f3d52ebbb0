from __future__ import annotations

import dataclasses

import pytest

from nova_aggregates.objects import (
    AggregateState,
    Finding,
    HostStatus,
    Operation,
    OperationState,
    Severity,
)
from nova_aggregates.xenapi import errors
from tests.unit.flows.bench import FAST, Bench, until
from tests.unit.flows.site import FakePool, FakeSite

CPU = Finding("join.cpu_vendor", "HOSTS_NOT_HOMOGENEOUS", Severity.SKIPPABLE, "CPUs.", "Swap.")
HA = Finding("join.ha_on_pool", "HA_IS_ENABLED", Severity.BLOCKING, "HA is on.", "Turn it off.")
NOTE = Finding("join.note", "NOTE", Severity.INFO, "By the way.", "Nothing.")
TLS = Finding("join.tls_verification", "TLS", Severity.BLOCKING, "TLS differs.", "Turn it on.")


def merge(site: FakeSite, *names: str) -> FakePool:
    """A pool made by hand, the first host its master."""
    pool = site[names[0]].pool
    for name in names[1:]:
        host = site[name]
        host.pool = pool
        pool.hosts.append(host)
    return pool


def fails(bench: Bench, uuid: str, code: str) -> Operation:
    (operation,) = bench.ended(uuid)
    assert operation.state is OperationState.FAILED
    assert operation.failure is not None
    assert operation.failure.code == code
    assert operation.failure.cure
    return operation


def test_the_first_host_makes_the_pool(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate("blue")
    (operation,) = bench.succeeded(bench.add(blue, "h1"))
    assert operation.progress == 100
    assert site["h1"].pool.name == "blue"
    pool = bench.managers.pools.show(blue)
    assert pool is not None
    host = bench.managers.hosts.show("h1")
    assert (pool.xen_uuid, pool.master_host_id) == (site["h1"].pool.uuid, host.id)
    assert pool.credentials.password == "secret-of-h1"
    assert host.status is HostStatus.ENABLED
    assert host.xen_uuid == site["h1"].uuid
    assert host.inventory is not None
    assert host.inventory.memory_mb == 64 * 1024
    assert bench.show(blue).state is AggregateState.ACTIVE
    until(lambda: list(bench.logbooks.left_open()) == [])


def test_a_first_host_that_is_disabled_comes_into_service(bench: Bench, site: FakeSite) -> None:
    site["h1"].enabled = False
    bench.start()
    bench.succeeded(bench.add(bench.aggregate(), "h1"))
    assert site["h1"].enabled


def test_further_hosts_join_and_take_the_credentials_of_the_pool(
    bench: Bench, site: FakeSite
) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"), bench.add(blue, "h3"))
    pool = site["h1"].pool
    assert pool.hosts == [site["h1"], site["h2"], site["h3"]]
    assert pool.synced_with == 3
    assert all(host.live and host.enabled for host in pool.hosts)
    second = bench.managers.hosts.show("h2")
    assert bench.managers.hosts.credentials(second.id).password == "secret-of-h1"
    assert second.status is HostStatus.ENABLED
    assert bench.show(blue).hosts == ("h1", "h2", "h3")


def test_steps_are_told_in_order(bench: Bench) -> None:
    bench.start()
    blue = bench.aggregate()
    first, second = bench.add(blue, "h1"), bench.add(blue, "h2")
    bench.succeeded(first, second)
    assert bench.steps(first) == [
        "identify_host",
        "establish_pool",
        "name_pool",
        "bring_into_service",
        "admit_host",
    ]
    assert bench.steps(second) == [
        "identify_host",
        "await_settled_pool",
        "preflight",
        "enable_tls_verification",
        "join_pool",
        "await_member",
        "sync_database",
        "admit_host",
    ]


def test_findings_stop_a_join_before_anything_is_changed(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site.calls.clear()
    site.join_problems["h2"] = (NOTE, CPU, HA)
    operation = fails(bench, bench.add(blue, "h2"), "HOSTS_NOT_HOMOGENEOUS")
    assert operation.failure is not None
    assert (operation.failure.message, operation.failure.cure) == (CPU.message, CPU.cure)
    assert set(operation.findings) == {NOTE, CPU, HA}
    assert site.calls == []
    assert bench.show(blue).hosts == ("h1",)
    assert bench.show(blue).state is AggregateState.ACTIVE
    assert bench.managers.hosts.show("h2").status is HostStatus.DISABLED


def test_a_remark_alone_stops_nothing(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    site.join_problems["h2"] = (NOTE,)
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"))


@pytest.mark.parametrize("further", [False, True])
def test_a_slave_of_another_pool_is_refused(bench: Bench, site: FakeSite, further: bool) -> None:
    merge(site, "h3", "h4")
    bench.start()
    blue = bench.aggregate()
    if further:
        bench.succeeded(bench.add(blue, "h1"))
    operation = fails(bench, bench.add(blue, "h4"), "HOST_IN_ANOTHER_POOL")
    assert [finding.theirs for finding in operation.findings] == [site["h3"].address]
    assert site["h4"].pool is site["h3"].pool


@pytest.mark.parametrize("further", [False, True])
def test_a_master_of_others_is_refused(bench: Bench, site: FakeSite, further: bool) -> None:
    merge(site, "h3", "h4")
    bench.start()
    blue = bench.aggregate()
    if further:
        bench.succeeded(bench.add(blue, "h1"))
    operation = fails(bench, bench.add(blue, "h3"), "HOST_IS_MASTER_OF_A_POOL")
    assert "h4" in operation.findings[0].message
    assert site["h3"].pool.name == ""


def test_a_machine_that_was_replaced_is_refused(bench: Bench, site: FakeSite) -> None:
    registered = bench.managers.hosts.show("h1")
    bench.managers.hosts.observed(
        registered.id, xen_uuid="another", inventory=None, seen_at=registered.created_at
    )
    bench.start()
    fails(bench, bench.add(bench.aggregate(), "h1"), "HOST_IDENTITY_CHANGED")
    assert site["h1"].pool.name == ""


def test_one_machine_under_two_names_is_refused(bench: Bench, site: FakeSite) -> None:
    site["h2"].uuid = site["h1"].uuid
    bench.start()
    bench.succeeded(bench.add(bench.aggregate("blue"), "h1"))
    operation = fails(bench, bench.add(bench.aggregate("red"), "h2"), "HOST_REGISTERED_TWICE")
    assert "h1" in operation.findings[0].message
    assert site["h2"].pool.name == ""


@pytest.mark.parametrize("further", [False, True])
@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ("dead", "UNREACHABLE"),
        ("password", "SESSION_AUTHENTICATION_FAILED"),
        ("certificate", "CERTIFICATE_REFUSED"),
    ],
)
def test_a_host_that_does_not_let_us_in(
    bench: Bench, site: FakeSite, trouble: str, code: str, further: bool
) -> None:
    bench.start()
    blue = bench.aggregate()
    if further:
        bench.succeeded(bench.add(blue, "h1"))
    match trouble:
        case "dead":
            site["h2"].dead = True
        case "password":
            site["h2"].pool.password = "changed"
        case "certificate":
            site["h2"].fingerprint = "f" * 64
    operation = fails(bench, bench.add(blue, "h2"), code)
    assert operation.failure is not None
    assert "secret" not in str(operation)
    assert bench.show(blue).hosts == (("h1",) if further else ())
    assert bench.show(blue).state is (AggregateState.ACTIVE if further else AggregateState.CREATED)


def test_when_the_first_add_fails_the_second_makes_the_pool(bench: Bench, site: FakeSite) -> None:
    site["h1"].dead = True
    blue = bench.aggregate()
    first, second = bench.add(blue, "h1"), bench.add(blue, "h2")
    bench.start()
    fails(bench, first, "UNREACHABLE")
    bench.succeeded(second)
    assert site["h2"].pool.name == "blue"
    assert bench.show(blue).hosts == ("h2",)


def test_a_first_add_that_fails_late_leaves_no_trace(bench: Bench, site: FakeSite) -> None:
    site["h1"].pool.name = "as it was"
    site["h1"].enabled = False
    refused = errors.ApiFailure("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", ("h1",))
    site.fail["enable"] = [("before", refused)] * 10_000
    bench.start(dataclasses.replace(FAST, join=0.1))
    blue = bench.aggregate()
    fails(bench, bench.add(blue, "h1"), "HOST_NOT_READY")
    assert site["h1"].pool.name == "as it was"
    assert bench.managers.pools.show(blue) is None
    assert bench.managers.hosts.show("h1").status is HostStatus.DISABLED
    assert bench.show(blue).hosts == ()


def test_a_member_that_somebody_else_let_in_is_only_admitted(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    merge(site, "h1", "h2")
    site.calls.clear()
    bench.succeeded(bench.add(blue, "h2"))
    assert site.calls == [("sync_database", "blue")]
    assert bench.managers.hosts.show("h2").xen_uuid == site["h2"].uuid


def test_a_join_whose_answer_was_lost_goes_on(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site.fail["join"] = [("after", errors.OutcomeUnknown("OUTCOME_UNKNOWN", ("join", "cut")))]
    bench.succeeded(bench.add(blue, "h2"))
    assert [call for call in site.calls if call[0] == "join"] == [("join", "h2")]


def test_a_join_that_never_arrived_fails(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site.fail["join"] = [("before", errors.OutcomeUnknown("OUTCOME_UNKNOWN", ("join", "cut")))]
    fails(bench, bench.add(blue, "h2"), "OUTCOME_UNKNOWN")
    assert site["h2"].pool is not site["h1"].pool
    assert bench.show(blue).hosts == ("h1",)


def test_a_refused_join_takes_its_half_made_record_away(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    refused = errors.ApiFailure("INTERNAL_ERROR", ("Failure(resolve)",))
    site.fail["join"] = [("before", refused)]
    site.gate = lambda verb, about: (
        site["h1"].pool.stale.append(site["h2"]) if verb == "join" else None
    )
    fails(bench, bench.add(blue, "h2"), "INTERNAL_ERROR")
    assert ("destroy_host", "h2") in site.calls
    assert site["h1"].pool.stale == []


def test_a_stale_record_of_an_earlier_attempt_is_no_member(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h1"].pool.stale.append(site["h2"])
    bench.succeeded(bench.add(blue, "h2"))
    assert ("join", "h2") in site.calls
    assert site["h1"].pool.hosts == [site["h1"], site["h2"]]


@pytest.mark.parametrize("trouble", ["silent", "storage"])
def test_a_member_that_never_comes_into_service_needs_a_person(
    bench: Bench, site: FakeSite, trouble: str
) -> None:
    bench.start(dataclasses.replace(FAST, join=0.3))
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    if trouble == "silent":
        site["h2"].delay = 10**9
    else:
        site["h2"].storage_missing = ("shared disks",)
    (operation,) = bench.ended(bench.add(blue, "h2"))
    assert operation.state is OperationState.ERROR
    assert operation.failure is not None
    assert operation.failure.code == "JOIN_NOT_COMPLETED"
    assert ("not live" if trouble == "silent" else "shared disks") in operation.failure.message
    assert "Decide" in operation.failure.cure
    assert bench.show(blue).state is AggregateState.ERROR
    assert bench.show(blue).hosts == ("h1", "h2")
    assert site["h2"] in site["h1"].pool.hosts


def test_a_joiner_that_was_disabled_for_good_is_enabled(bench: Bench, site: FakeSite) -> None:
    site["h2"].enabled = False
    site["h2"].sticky_disabled = True
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"))
    assert site["h2"].enabled


def test_nothing_joins_beside_a_dead_member(bench: Bench, site: FakeSite) -> None:
    bench.start(dataclasses.replace(FAST, handover=0.3))
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"))
    site["h2"].live = False
    operation = fails(bench, bench.add(blue, "h3"), "POOL_NOT_SETTLED")
    assert [(each.code, each.ours) for each in operation.findings] == [("HOST_NOT_LIVE", "h2")]
    assert ("join", "h3") not in site.calls


def test_a_member_disabled_on_purpose_is_no_obstacle(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"))
    site["h2"].enabled = False
    bench.succeeded(bench.add(blue, "h3"))
    assert not site["h2"].enabled


def test_an_ejected_host_gets_the_verification_that_the_pool_demands(
    bench: Bench, site: FakeSite
) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"), bench.remove(blue, "h2"))
    site["h1"].pool.tls = True
    site.join_problems["h2"] = (TLS,)
    bench.succeeded(bench.add(blue, "h2"))
    assert ("enable_tls_verification", "h2") in site.calls


def test_the_verification_of_a_host_that_was_never_ejected_is_not_ours_to_change(
    bench: Bench, site: FakeSite
) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h1"].pool.tls = True
    site.join_problems["h2"] = (TLS,)
    fails(bench, bench.add(blue, "h2"), "TLS")
    assert ("enable_tls_verification", "h2") not in site.calls


def test_a_host_that_is_still_starting_is_waited_for(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    starting = Finding("join.x", "HOST_STILL_BOOTING", Severity.BLOCKING, "Starting.", "Wait.")
    site.join_problems["h2"] = (starting,)
    uuid = bench.add(blue, "h2")
    until(lambda: bench.operation(uuid).step == "preflight")
    assert bench.operation(uuid).state is OperationState.RUNNING
    site.join_problems.clear()
    bench.succeeded(uuid)


def test_a_host_that_was_ejected_by_hand_lets_in_with_the_password_of_the_pool(
    bench: Bench, site: FakeSite
) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h2"].pool.password = site["h1"].pool.password
    site.join_problems["h2"] = (HA,)
    fails(bench, bench.add(blue, "h2"), HA.code)
    host = bench.managers.hosts.show("h2")
    assert bench.managers.hosts.credentials(host.id).password == "secret-of-h1"
    site.join_problems.clear()
    bench.succeeded(bench.add(blue, "h2"))
    assert site["h2"].pool is site["h1"].pool


def test_the_pool_follows_a_master_that_changed_by_itself(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"))
    site["h1"].pool.master = site["h2"]
    bench.succeeded(bench.add(blue, "h3"))
    pool = bench.managers.pools.show(blue)
    assert pool is not None
    assert pool.master_host_id == bench.managers.hosts.show("h2").id


@pytest.mark.parametrize("trouble", ["password", "certificate"])
def test_a_master_that_bars_the_way_is_not_waited_for(
    bench: Bench, site: FakeSite, trouble: str
) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    if trouble == "password":
        site["h1"].pool.password = "changed"
    else:
        site["h1"].fingerprint = "f" * 64
    operation = fails(bench, bench.add(blue, "h2"), "NO_MASTER_FOUND")
    assert operation.started_at is not None
    assert operation.finished_at is not None
    taken = (operation.finished_at - operation.started_at).total_seconds()
    assert taken < FAST.handover
