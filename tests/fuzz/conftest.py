from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = "--fuzz-examples"
BOUNDED = 100  # what CI has time for


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        EXAMPLES,
        type=int,
        default=BOUNDED,
        help="tests/fuzz: examples of each property, and of each operation of the API. Give "
        "tests/fuzz as an argument.",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile(
        "fuzz",
        max_examples=config.getoption(EXAMPLES, default=BOUNDED),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


@pytest.fixture(scope="session")
def examples(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption(EXAMPLES, default=BOUNDED))
