"""Every recorded scenario, replayed against the simulator, without a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conformance import recorded

WHERE = recorded.directory()
SCALED = recorded.Scaled(1.0)
TOOLS = recorded.Tools(WHERE, SCALED) if WHERE else None

# The tools look at the hosts every 200 ms of the hosts' time. Where states are short, the faster
# the clock, the more of them fall between two looks; long silences have none.
USUAL_SCALE = 12.0
LONG_SCALE = 60.0
LONG_SECONDS = 150.0
SCALES = {"wire-emergency": (4.0, 1.5)}  # asks every 10 ms
SLOW_SCALES = (4.0, 2.0)  # more chances, where a busy machine may have blurred the first

if TOOLS is None:
    pytest.skip(
        f"the recordings of a real xapi are not here; {recorded.VARIABLE} names their directory",
        allow_module_level=True,
    )


@pytest.fixture(scope="module")
def replayer() -> Iterator[recorded.Replayer]:
    assert TOOLS is not None
    with recorded.running_simulator() as simulator:
        yield recorded.Replayer(TOOLS, simulator, SCALED)


@pytest.mark.parametrize("name", TOOLS.names)
def test_as_recorded(
    name: str, replayer: recorded.Replayer, record_property: Callable[[str, object], None]
) -> None:
    assert TOOLS is not None
    usual = LONG_SCALE if TOOLS.seconds(name) > LONG_SECONDS else USUAL_SCALE
    differences: list[tuple[object, ...]] = []
    for scale in SCALES.get(name, (usual, *SLOW_SCALES)):
        new = replayer.run(name, scale)
        assert "aborted" not in new, new["aborted"]
        differences = TOOLS.differences(name, new)
        if not differences:
            break
        replayer.start_afresh()
    record_property("differences", len(differences))
    if differences:
        pytest.fail(recorded.describe(differences))
