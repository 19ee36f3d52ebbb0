"""Fixtures for pytest: ``pytest_plugins = ["nova_aggregates.simulator.fixtures"]``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nova_aggregates.simulator.testing import SimulatedSite


@pytest.fixture
def simulated_site() -> Iterator[Callable[..., SimulatedSite]]:
    """Makes sites with the arguments of ``SimulatedSite`` and ends them with the test."""
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> SimulatedSite:
            return stack.enter_context(SimulatedSite(**options))

        yield make
