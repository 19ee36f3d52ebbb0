from __future__ import annotations

import xmlrpc.client

import pytest
import XenAPI

from nova_aggregates.objects import AggregateState, HostStatus, Operation, OperationState
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.flows.conftest import TIMING
from tests.functional.flows.truth import Truth
from tests.unit.flows.bench import Bench, until


def fails(bench: Bench, uuid: str) -> Operation:
    (operation,) = bench.ended(uuid)
    assert operation.state is OperationState.FAILED, operation
    assert operation.failure is not None
    assert operation.failure.cure
    return operation


def test_the_whole_job(bench: Bench, site: SimulatedSite, truth: Truth) -> None:
    bench.start(TIMING)
    blue = bench.aggregate("blue")
    bench.succeeded(bench.add(blue, "host1"))
    first = truth.pool("host1")
    assert (first.name, first.master, first.ready) == ("blue", "host1", {"host1"})

    bench.succeeded(bench.add(blue, "host2"), bench.add(blue, "host3"))
    three = truth.pool("host1")
    assert three.ready == {"host1", "host2", "host3"}
    assert three.uuid == first.uuid

    bench.succeeded(bench.rename(blue, "azure"))
    assert truth.pool("host1").name == "azure"

    bench.succeeded(bench.remove(blue, "host3"))
    assert truth.pool("host1").hosts == {"host1", "host2"}
    alone = truth.pool("host3")
    assert (alone.name, alone.hosts, alone.ready) == ("", {"host3"}, {"host3"})
    assert alone.uuid != first.uuid

    bench.succeeded(bench.remove(blue, "host1"))
    left = truth.pool("host2")
    assert (left.uuid, left.name, left.ready) == (first.uuid, "azure", {"host2"})
    assert truth.pool("host1").hosts == {"host1"}

    bench.succeeded(bench.remove(blue, "host2"))
    last = truth.pool("host2")
    assert (last.name, last.hosts) == ("", {"host2"})
    assert bench.show(blue).state is AggregateState.CREATED
    assert all(h.status is HostStatus.DISABLED for h in bench.managers.hosts.index())


def test_an_ejected_host_founds_and_joins_other_pools(
    bench: Bench, site: SimulatedSite, truth: Truth
) -> None:
    bench.start(TIMING)
    blue, red = bench.aggregate("blue"), bench.aggregate("red")
    bench.succeeded(
        bench.add(blue, "host1"),
        bench.add(blue, "host2"),
        bench.add(blue, "host3"),
        bench.remove(blue, "host2"),
        bench.add(red, "host2"),  # waits for the eject by itself
        bench.remove(blue, "host1"),
        bench.add(red, "host1"),
        seconds=60,
    )
    assert truth.pool("host3").hosts == {"host3"}
    pool = truth.pool("host2")
    assert (pool.name, pool.ready) == ("red", {"host1", "host2"})


@pytest.mark.parametrize("further", [False, True])
def test_a_dead_address(bench: Bench, site: SimulatedSite, further: bool) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    if further:
        bench.succeeded(bench.add(blue, "host1"))
    site.fault("power-off", "host2")
    operation = fails(bench, bench.add(blue, "host2"))
    assert operation.failure is not None
    assert operation.failure.code == "UNREACHABLE"
    assert bench.show(blue).hosts == (("host1",) if further else ())


def test_a_wrong_password(bench: Bench, site: SimulatedSite) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    site.change("set-password", "host2", password="another")
    operation = fails(bench, bench.add(blue, "host2"))
    assert operation.failure is not None
    assert operation.failure.code == "SESSION_AUTHENTICATION_FAILED"
    assert site.host("host1").password not in str(operation)
    assert ("session.login_with_password", operation.failure.code) in calls_of(bench, operation)


def calls_of(bench: Bench, operation: Operation) -> list[tuple[str, str]]:
    """What the record says of all its calls: method and outcome."""
    events = bench.managers.operations.events(operation.uuid)
    calls = [c for event in events if event.kind == "xenapi_calls" for c in event.data["calls"]]
    assert all(c["times"] > 0 and 0 <= c["slowest"] <= c["seconds"] for c in calls)
    return [(c["method"], c["outcome"]) for c in calls]


def test_the_record_tells_of_every_call(bench: Bench, site: SimulatedSite) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    first, second = bench.succeeded(bench.add(blue, "host1"), bench.add(blue, "host2"))
    assert {
        ("session.login_with_password", "SUCCESS"),
        ("pool.get_all_records", "SUCCESS"),
        ("pool.set_name_label", "SUCCESS"),
        ("session.logout", "SUCCESS"),
    } <= set(calls_of(bench, first))
    assert ("Async.pool.join", "SUCCESS") in calls_of(bench, second)


def test_a_certificate_that_changed(bench: Bench, site: SimulatedSite) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    site.change("change-certificate", "host2")
    operation = fails(bench, bench.add(blue, "host2"))
    assert operation.failure is not None
    assert "certificate" in operation.failure.message.lower()


def test_every_reason_against_a_join_is_told_at_once(
    bench: Bench, site: SimulatedSite, truth: Truth
) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "host1"))
    site.change("set-hardware", "host2", cpu_vendor="AuthenticAMD")
    site.change("add-guest", "host2", name="web1")
    operation = fails(bench, bench.add(blue, "host2"))
    checks = {finding.check for finding in operation.findings}
    assert {"join.cpu_vendor", "join.running_guests"} <= checks
    assert "web1" in str(operation.findings)
    assert truth.pool("host1").hosts == {"host1"}
    assert truth.pool("host2").hosts == {"host2"}
    assert bench.show(blue).hosts == ("host1",)


def test_guests_and_disks_stop_an_eject(bench: Bench, site: SimulatedSite, truth: Truth) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "host1"), bench.add(blue, "host2"))
    site.change("add-guest", "host1", name="web1")
    site.change("add-disk", "host1", name="precious")
    operation = fails(bench, bench.remove(blue, "host1"))
    assert "web1" in str(operation.findings)
    assert "precious" in str(operation.findings)
    assert truth.pool("host1").ready == {"host1", "host2"}
    assert bench.show(blue).hosts == ("host1", "host2")


@pytest.mark.parametrize("action", ["drop-after", "drop-before"])
@pytest.mark.parametrize("method", ["Async.pool.join", "Async.pool.eject"])
def test_lost_answers(
    bench: Bench, site: SimulatedSite, truth: Truth, action: str, method: str
) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "host1"))
    if method.endswith("eject"):
        bench.succeeded(bench.add(blue, "host2"))
        site.spoil("host1", method, action)
        (operation,) = bench.ended(bench.remove(blue, "host2"))
    else:
        site.spoil("host2", method, action)
        (operation,) = bench.ended(bench.add(blue, "host2"))
    done = operation.state is OperationState.SUCCEEDED
    assert done is (action == "drop-after"), operation.failure
    inside = done is method.endswith("join")
    assert truth.pool("host1").ready == ({"host1", "host2"} if inside else {"host1"})
    assert bench.show(blue).hosts == (("host1", "host2") if inside else ("host1",))


def test_hosts_of_pools_that_others_made(bench: Bench, site: SimulatedSite, truth: Truth) -> None:
    master = site.host("host3")
    with truth.session("host4") as xenapi:
        xenapi.pool.join(master.address, master.username, master.password)
    until(lambda: truth.pool("host3").ready == {"host3", "host4"})
    bench.start(TIMING)
    blue = bench.aggregate()
    for name, code in (("host4", "HOST_IN_ANOTHER_POOL"), ("host3", "HOST_IS_MASTER_OF_A_POOL")):
        operation = fails(bench, bench.add(blue, name))
        assert operation.failure is not None
        assert operation.failure.code == code
    assert truth.pool("host3").name == ""
    assert bench.show(blue).state is AggregateState.CREATED


def test_an_ejected_host_rejoins_a_pool_that_verifies_certificates(
    bench: Bench, site: SimulatedSite, truth: Truth
) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "host1"), bench.add(blue, "host2"))
    with truth.session("host1") as xenapi:
        xenapi.pool.enable_tls_verification()
    bench.succeeded(bench.remove(blue, "host2"))
    with truth.session("host2") as xenapi:
        (pool,) = xenapi.pool.get_all_records().values()
    assert pool["tls_verification_enabled"], "the eject turned it off, the removal on again"
    off = {"tls_verification_enabled": False}
    site.change("set-fields", "host2", cls="pool", values=off)
    bench.succeeded(bench.add(blue, "host2"))
    assert truth.pool("host1").ready == {"host1", "host2"}
    # A host that we never ejected is refused instead: that is its administrator's decision.
    site.change("set-fields", "host3", cls="pool", values=off)
    operation = fails(bench, bench.add(blue, "host3"))
    assert {finding.check for finding in operation.findings} == {"join.tls_verification"}


def test_a_new_host_joins_one_that_was_ejected(bench: Bench, truth: Truth) -> None:
    bench.start(TIMING)
    blue, green = bench.aggregate("blue"), bench.aggregate("green")
    bench.succeeded(bench.add(blue, "host1"), bench.add(blue, "host2"))
    bench.succeeded(bench.remove(blue, "host2"))
    bench.succeeded(bench.add(green, "host2"), bench.add(green, "host3"))
    assert truth.pool("host2").ready == {"host2", "host3"}


@pytest.mark.parametrize("step", ["join_pool", "await_member", "sync_database"])
def test_the_master_restarts_while_a_host_joins(
    bench: Bench, site: SimulatedSite, truth: Truth, step: str
) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "host1"))
    uuid = bench.add(blue, "host2")
    until(lambda: bench.operation(uuid).step == step or bench.operation(uuid).state.ended)
    site.fault("kill-toolstack", "host1")
    (operation,) = bench.ended(uuid, seconds=60)
    until(lambda: settled(truth, "host1"))
    inside = operation.state is OperationState.SUCCEEDED
    assert inside or operation.state is OperationState.FAILED, operation.failure
    assert truth.pool("host1").ready == ({"host1", "host2"} if inside else {"host1"})
    assert bench.show(blue).hosts == (("host1", "host2") if inside else ("host1",))


@pytest.mark.parametrize("step", ["hand_over_master", "await_new_master", "eject_host"])
def test_the_new_master_restarts_while_the_old_one_leaves(
    bench: Bench, site: SimulatedSite, truth: Truth, step: str
) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "host1"), bench.add(blue, "host2"))
    uuid = bench.remove(blue, "host1")
    until(lambda: bench.operation(uuid).step == step or bench.operation(uuid).state.ended)
    site.fault("kill-toolstack", "host2")
    (operation,) = bench.ended(uuid, seconds=60)
    assert operation.state is OperationState.SUCCEEDED, operation.failure
    assert truth.pool("host2").ready == {"host2"}
    assert truth.pool("host1").hosts == {"host1"}


def settled(truth: Truth, master: str) -> bool:
    try:
        pool = truth.pool(master)
    except (OSError, XenAPI.Failure, xmlrpc.client.Error):
        return False
    return pool.ready == pool.hosts
