from __future__ import annotations

from collections.abc import Iterator

import pytest

from nova_aggregates.flows.watch import HostWatch
from tests.unit.flows.bench import Bench, until
from tests.unit.flows.site import FakeSite


@pytest.fixture
def watch(bench: Bench, site: FakeSite) -> Iterator[HostWatch]:
    watch = HostWatch(bench.managers, site, interval=0.1)
    yield watch
    watch.stop()


def seen(bench: Bench, name: str) -> object:
    return bench.managers.hosts.show(name).last_seen


def test_every_host_is_seen_and_seen_again(bench: Bench, watch: HostWatch) -> None:
    watch.start()
    until(lambda: all(host.last_seen for host in bench.managers.hosts.index()))
    first = bench.managers.hosts.show("h1")
    assert first.xen_uuid is not None
    assert first.inventory is not None
    assert first.inventory.vcpus == 8
    assert first.inventory.memory_mb_used == 4 * 1024
    until(lambda: seen(bench, "h1") != first.last_seen)


def test_members_are_seen_through_their_master(
    bench: Bench, site: FakeSite, watch: HostWatch
) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"))
    before = seen(bench, "h2")
    contacted: list[str] = []
    original = site.host
    site.host = lambda endpoint: (contacted.append(endpoint.address), original(endpoint))[1]  # type: ignore[method-assign,assignment]
    watch.start()
    until(lambda: seen(bench, "h2") != before)
    assert site["h2"].address not in contacted


def test_trouble_is_told_once_until_it_changes(
    bench: Bench, site: FakeSite, watch: HostWatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    site["h1"].dead = True
    watch.start()

    def lines(about: str) -> int:
        texts = [record.getMessage() for record in caplog.records]
        return sum("host=h1" in text and about in text for text in texts)

    until(lambda: lines("UNREACHABLE") == 1)
    others = set()
    until(lambda: others.add(seen(bench, "h2")) or len(others) > 3)
    assert lines("UNREACHABLE") == 1
    assert seen(bench, "h1") is None
    site["h1"].dead = False
    site["h1"].pool.password = "changed"
    until(lambda: lines("SESSION_AUTHENTICATION_FAILED") == 1)
    site["h1"].pool.password = "secret-of-h1"
    until(lambda: seen(bench, "h1") is not None)
    assert lines("host.seen_again") == 1
    assert "secret-of" not in caplog.text


def test_a_machine_that_was_replaced_is_not_taken_for_the_old_one(
    bench: Bench, site: FakeSite, watch: HostWatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch.start()
    until(lambda: seen(bench, "h1") is not None)
    known = bench.managers.hosts.show("h1").xen_uuid
    site["h1"].uuid = "another"
    until(lambda: "HOST_IDENTITY_CHANGED" in caplog.text)
    assert bench.managers.hosts.show("h1").xen_uuid == known


def test_what_an_operation_works_on_is_left_alone(
    bench: Bench, site: FakeSite, watch: HostWatch
) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h2"].delay = 10**9
    uuid = bench.add(blue, "h2")
    until(lambda: bench.operation(uuid).step == "await_member")
    targets = {host.name for target in watch._targets() for host in target.hosts}
    assert targets == {"h3", "h4"}
    site["h2"].arrives_in = 1
    bench.succeeded(uuid)
    targets = {host.name for target in watch._targets() for host in target.hosts}
    assert targets == {"h1", "h2", "h3", "h4"}
