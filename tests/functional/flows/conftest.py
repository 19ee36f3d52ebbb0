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
from tests.functional.flows.truth import Truth
from tests.unit.flows.bench import Bench, make_template

TIME_SCALE = 400.0
# A simulated restart, put off for 10 virtual seconds, is long over after one of these seconds.
TIMING = Timing(poll=0.03, join=30, eject=30, handover=30, outage=10, fuse=1.0, settle=1.0)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def running_site() -> Iterator[SimulatedSite]:
    with SimulatedSite(hosts=4, time_scale=TIME_SCALE) as site:
        yield site


@pytest.fixture
def site(running_site: SimulatedSite) -> SimulatedSite:
    """Four standalone hosts host1 to host4, fresh."""
    running_site.reset()
    return running_site


@pytest.fixture
def truth(site: SimulatedSite) -> Truth:
    return Truth(site)


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([])
    conf.set_override("call_timeout", 20.0, group="xenapi")
    conf.set_override("connect_timeout", 2.0, group="xenapi")
    conf.set_override("poll_interval", TIMING.poll, group="xenapi")
    return conf


@pytest.fixture
def bench(
    tmp_path: Path, template: Path, site: SimulatedSite, conf: cfg.ConfigOpts
) -> Iterator[Bench]:
    """The hosts registered with their fingerprints, no runner started."""
    bench = Bench(tmp_path, template, XenServer(conf))
    for host in site.hosts:
        bench.register(
            host.name,
            host.address,
            host.password,
            port=host.port,
            trust=Trust(fingerprint=host.fingerprint),
        )
    yield bench
    bench.close()
