"""What a removal costs, and hosts that are gone for good, on simulated hosts."""

from __future__ import annotations

from nova_aggregates.objects import Action, OperationState
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.flows.conftest import TIMING
from tests.functional.flows.truth import Truth
from tests.unit.flows.bench import Bench, until


def test_what_was_agreed_to_is_lost_and_nothing_else(
    bench: Bench, site: SimulatedSite, truth: Truth
) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    bench.succeeded(*(bench.add(blue, name) for name in ("host1", "host2", "host3")))
    site.change("add-disk", "host1", name="precious")
    (look,) = bench.succeeded(bench.preflight(blue, Action.REMOVE_HOST, "host1"))
    assert "precious" in str(look.findings)
    held = bench.managers.hosts.show("host1").holdings
    assert held is not None
    assert "precious" in str(held.disks)
    assert len(held.storage) == 1
    bench.succeeded(bench.preflight(blue, Action.REMOVE_HOST, "host1"))
    assert bench.managers.hosts.show("host1").holdings == held, "the digest is stable"
    site.change("add-disk", "host1", name="newer")
    (operation,) = bench.ended(bench.remove(blue, "host1", confirm=held.digest))
    assert operation.state is OperationState.FAILED
    assert "newer" in str(operation.findings)
    held = bench.managers.hosts.show("host1").holdings
    assert held is not None
    bench.succeeded(bench.remove(blue, "host1", confirm=held.digest))
    assert truth.pool("host2").ready == {"host2", "host3"}


def test_only_a_dead_host_is_forgotten(bench: Bench, site: SimulatedSite, truth: Truth) -> None:
    bench.start(TIMING)
    blue = bench.aggregate()
    bench.succeeded(*(bench.add(blue, name) for name in ("host1", "host2", "host3")))
    (operation,) = bench.ended(bench.remove(blue, "host2", forget=True))
    assert operation.failure is not None
    assert operation.failure.code == "HOST_IS_LIVE"
    site.fault("power-off", "host2")
    until(lambda: "host2" not in truth.pool("host1").ready)
    bench.succeeded(bench.remove(blue, "host2", forget=True))
    assert truth.pool("host1").hosts == {"host1", "host3"}
    assert set(bench.show(blue).hosts) == {"host1", "host3"}
