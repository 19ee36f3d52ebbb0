"""Every recorded scenario, replayed against the simulator, without a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conformance import recorded
from tests.conformance.lockstep import Lockstep

WHERE = recorded.directory()
TOOLS = recorded.Tools(WHERE) if WHERE else None

if TOOLS is None:
    pytest.skip(
        f"the recordings of a real xapi are not here; {recorded.VARIABLE} names their directory",
        allow_module_level=True,
    )


@pytest.fixture(scope="module")
def replayer() -> Iterator[recorded.Replayer]:
    assert TOOLS is not None
    lockstep = Lockstep()
    simulator = recorded.Simulator(lockstep)
    yield recorded.Replayer(TOOLS, simulator, lockstep)
    simulator.stop()
    lockstep.close()


@pytest.mark.parametrize("name", TOOLS.names)
def test_as_recorded(
    name: str, replayer: recorded.Replayer, record_property: Callable[[str, object], None]
) -> None:
    assert TOOLS is not None
    new = replayer.run(name)
    assert "aborted" not in new, new["aborted"]
    differences = TOOLS.differences(name, new)
    record_property("differences", len(differences))
    if differences:
        pytest.fail(recorded.describe(differences))
