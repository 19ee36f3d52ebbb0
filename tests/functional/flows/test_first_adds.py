from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from oslo_config import cfg

from nova_aggregates.flows.driver import XenServer
from nova_aggregates.objects import Trust
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.flows.conftest import TIMING
from tests.functional.flows.truth import Truth
from tests.unit.flows.bench import Bench

TIMES = 50
PAIRS = (("host1", "host2"), ("host3", "host4"))


@pytest.mark.timeout(600)
def test_two_quick_first_adds_make_one_pool_fifty_times(
    tmp_path: Path, template: Path, site: SimulatedSite, conf: cfg.ConfigOpts
) -> None:
    """In the service of 2012 each of two such hosts could become a master of its own."""
    for turn in range(TIMES // len(PAIRS)):
        site.reset()
        directory = tmp_path / str(turn)
        directory.mkdir()
        bench = Bench(directory, template, XenServer(conf))
        for host in site.hosts:
            bench.register(
                host.name,
                host.address,
                host.password,
                port=host.port,
                trust=Trust(fingerprint=host.fingerprint),
            )
        bench.start(TIMING)
        aggregates = [bench.aggregate(f"pool{number}") for number, _ in enumerate(PAIRS)]
        adds = [
            bench.add(aggregate, host)
            for aggregate, pair in zip(aggregates, PAIRS, strict=True)
            for host in pair
        ]
        bench.succeeded(*adds, seconds=60)
        truth = Truth(site)
        for aggregate, (master, slave) in zip(aggregates, PAIRS, strict=True):
            assert truth.pool(master).ready == {master, slave}
            assert truth.pool(master).master == master
            assert truth.master_seen_by(slave) == site.host(master).address
            assert bench.show(aggregate).hosts == (master, slave)
        bench.close()
        shutil.rmtree(directory)
