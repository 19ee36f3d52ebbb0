from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import closing
from tests.resilience.kills import Rehearsal, rehearse
from tests.resilience.ledger import Ledger
from tests.resilience.processes import Launcher
from tests.resilience.stage import FLOWS, HOSTS, Stage
from tests.resilience.witness import WitnessedSite

TIME_SCALE = 500.0
ALL = "--resilience-all"
ledger = Ledger()
closing.REPORTS.append(lambda: [f"resilience: {line}" for line in ledger.lines()])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        ALL,
        action="store_true",
        default=False,
        help="tests/resilience: try every point of interruption (about an hour), not only each "
        "step, each changing call and some of the others. Give tests/resilience as an argument.",
    )


@pytest.fixture(scope="session")
def everything(pytestconfig: pytest.Config) -> bool:
    """Whether all points shall be tried."""
    return bool(pytestconfig.getoption(ALL, default=False))


@pytest.fixture(scope="session", name="ledger")
def the_ledger() -> Ledger:
    return ledger


@pytest.fixture(scope="session")
def site() -> Iterator[WitnessedSite]:
    with WitnessedSite(hosts=len(HOSTS), time_scale=TIME_SCALE) as site:
        yield site


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with Launcher() as launcher:
        yield launcher


@pytest.fixture(scope="session")
def stage(
    site: WitnessedSite, launcher: Launcher, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """On SQLite."""
    stage = Stage(tmp_path_factory.mktemp("stage"), site, launcher)
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def rehearsals(stage: Stage) -> list[Rehearsal]:
    """Each flow, undisturbed."""
    return [rehearse(stage, flow) for flow in FLOWS]
