from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_aggregates.objects import Trust
from tests.unit.flows.bench import Bench, make_template
from tests.unit.flows.site import FakeSite


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def site() -> FakeSite:
    return FakeSite(4)


@pytest.fixture
def bench(tmp_path: Path, template: Path, site: FakeSite) -> Iterator[Bench]:
    """The four hosts h1 to h4 registered, no runner started."""
    bench = Bench(tmp_path, template, site)
    for host in site.hosts:
        bench.register(
            host.name,
            host.address,
            host.pool.password,
            trust=Trust(fingerprint=host.fingerprint),
        )
    yield bench
    bench.close()
