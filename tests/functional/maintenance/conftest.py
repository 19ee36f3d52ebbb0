from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from oslo_config import cfg

from nova_aggregates import conf as options
from nova_aggregates.flows.driver import XenServer
from nova_aggregates.flows.work import Timing
from nova_aggregates.objects import Trust
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.maintenance.fleet import Fleet
from tests.unit.flows.bench import Bench, make_template

TIME_SCALE = 200.0
TIMING = Timing(poll=0.03, join=60, eject=60, handover=60, outage=15, fuse=0.6, settle=1.0, boot=60)
HOSTS = 4


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="module")
def running_site() -> Iterator[SimulatedSite]:
    with SimulatedSite(hosts=HOSTS, time_scale=TIME_SCALE) as site:
        yield site


@pytest.fixture(scope="module")
def conf() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([])
    conf.set_override("call_timeout", 30.0, group="xenapi")
    conf.set_override("connect_timeout", 5.0, group="xenapi")
    conf.set_override("poll_interval", TIMING.poll, group="xenapi")
    return conf


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
    template: Path,
    running_site: SimulatedSite,
    conf: cfg.ConfigOpts,
) -> Iterator[Fleet]:
    """An aggregate of all hosts and a runner at work."""
    bench = Bench(tmp_path_factory.mktemp("fleet"), template, XenServer(conf))
    for host in running_site.hosts:
        bench.register(
            host.name,
            host.address,
            host.password,
            port=host.port,
            trust=Trust(fingerprint=host.fingerprint),
        )
    bench.start(TIMING)
    yield Fleet.build(bench, running_site)
    bench.close()


@pytest.fixture
def fleet(running: Fleet) -> Iterator[Fleet]:
    """All hosts in service, no guest anywhere."""
    yield running
    running.tidy()
