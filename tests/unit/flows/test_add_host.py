from __future__ import annotations

from nova_aggregates.objects import AggregateState, HostStatus, OperationState
from tests.unit.flows.bench import Bench
from tests.unit.flows.site import FakeSite


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
    assert list(bench.logbooks.left_open()) == []


def test_a_further_host_joins_and_takes_the_credentials_of_the_pool(
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


def test_steps_are_told_in_order(bench: Bench, site: FakeSite) -> None:
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
    assert bench.operation(second).state is OperationState.SUCCEEDED
