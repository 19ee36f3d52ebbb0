"""What the driver calls, the simulator does: nothing of it is only known by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nova_aggregates.simulator import datamodel, fields, server
from nova_aggregates.simulator.calls import HANDLERS
from nova_aggregates.simulator.dispatch import EMERGENCY_CALLS

assert server.METHOD_MODULES  # importing it registers the methods
ROOT = Path(__file__).resolve().parents[3] / "nova_aggregates"
NAME = re.compile(r'"(?:Async\.)?([A-Za-z_]+\.[a-z_A-Z]+)"|xenapi\.([A-Za-z_]+\.[a-z]\w+)')
METHODS = datamodel.load().methods


def called() -> list[str]:
    """The names of methods in the driver, the flows and the demonstration."""
    found: set[str] = set()
    for part in ("xenapi", "flows", "demo"):
        for path in (ROOT / part).rglob("*.py"):
            found |= {a or b for a, b in NAME.findall(path.read_text())}
    return sorted(found & METHODS.keys())


def simulated(name: str) -> bool:
    method = METHODS[name]
    return (HANDLERS.get(name) or fields.handler_for(method)) is not fields.not_simulated


@pytest.mark.parametrize("name", called())
def test_the_drivers_calls_are_simulated(name: str) -> None:
    assert simulated(name)


def test_the_driver_was_read() -> None:
    assert {"pool.join", "pool.eject", "host.disable", "event.from"} <= set(called())


def test_the_page_on_fidelity_counts_right() -> None:
    page = (ROOT.parent / "doc" / "source" / "simulator-fidelity.rst").read_text()
    known = [m for m in METHODS.values() if not m.refused]
    missing = [m.name for m in known if not simulated(m.name)]
    stated = re.search(r"of (\d+) methods, (\d+) are known by name only", " ".join(page.split()))
    assert stated is not None
    assert (int(stated.group(1)), int(stated.group(2))) == (len(METHODS), len(missing))
    unsaid = [name for name in EMERGENCY_CALLS if name in missing and name not in page]
    assert unsaid == []
