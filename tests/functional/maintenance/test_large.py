"""16 hosts, 320 guests: one host into maintenance and back, as fast as the network lets it be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from oslo_config import cfg

from nova_aggregates.flows.driver import XenServer
from nova_aggregates.simulator.history import Event
from nova_aggregates.simulator.profile import Profile
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.maintenance.conftest import TIMING
from tests.functional.maintenance.fleet import Fleet
from tests.functional.maintenance.large import GUESTS, HOMES, MEMORY, spec, take_in, where
from tests.unit.flows.bench import Bench

N = 3
BANDWIDTH = 0.25 * 2**30  # bytes a second
SCALE = 3.5
SLACK = 1.15


@pytest.fixture
def large(tmp_path: Path, template: Path, conf: cfg.ConfigOpts) -> Iterator[Fleet]:
    with SimulatedSite(site=spec(), time_scale=SCALE) as site:
        assert site.simulation is not None
        network = site.simulation.site
        guests = dataclasses.replace(network.profile.guests, bandwidth=BANDWIDTH)
        network.profile = dataclasses.replace(network.profile, guests=guests)
        bench = Bench(tmp_path, template, XenServer(conf))
        aggregate = take_in(bench.managers.aggregates, site)
        bench.start(TIMING)
        yield Fleet(bench, site, aggregate)
        bench.close()


def ideal(profile: Profile, memory: int) -> float:
    """Seconds for GUESTS moves of the same size, N at a time, without any gap."""
    left, seconds = GUESTS, 0.0
    while left:
        together = min(N, left)
        seconds += profile.guests.migrate_setup * 1.5 + together * memory / BANDWIDTH
        left -= together
    return seconds


def span(events: Sequence[Event]) -> float:
    moves = [event for event in events if event.kind in ("move-began", "moved")]
    return moves[-1].time - moves[0].time


@pytest.mark.timeout(600)
def test_one_host_into_maintenance_and_back(large: Fleet) -> None:
    site = large.site
    assert site.simulation is not None
    profile = site.simulation.site.profile
    memory = MEMORY + (MEMORY // 128) + (4 << 20)  # with what the simulated hypervisor adds
    best = ideal(profile, memory)

    large.bench.succeeded(large.begin("host2", concurrency=N), seconds=300)
    away = where(site)
    assert away.keys() == HOMES.keys(), "nobody was stopped"
    assert "host2" not in away.values()
    out = site.history.since()
    assert span(out) <= SLACK * best
    site.simulation.clock.set_scale(100)
    large.bench.succeeded(large.end("host2"), seconds=300)
    assert where(site) == HOMES, "every guest is on its own host again"

    told = site.history.summary()
    assert told.stops == {}
    assert told.most_moves <= N
    assert sum(told.moves.values()) == 2 * GUESTS, "nobody was moved twice"
