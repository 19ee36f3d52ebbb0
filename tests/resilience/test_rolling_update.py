"""Five times on the way through a rolling update of 16 hosts the manager is killed;
the simulated site's own history tells what was done to whom."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import MaintenanceManager, UpkeepManager
from nova_aggregates.objects import HostProgress, OperationState
from nova_aggregates.simulator.history import Event
from tests.functional.maintenance.large import WHO, homes, spec, take_in, where
from tests.resilience.processes import Launcher
from tests.resilience.stage import Stage
from tests.resilience.witness import WitnessedSite

KILLS = 5
HOSTS, GUESTS = 16, 3
HOMES = homes(HOSTS, GUESTS)
NAMES = tuple(dict.fromkeys(HOMES.values()))
UNAVAILABLE = 2
N = 4
SECONDS = 900.0


class LargeStage(Stage):
    """With time for a loaded machine, and no settling of hosts that are disabled on purpose."""

    def __init__(self, directory: Path, site: WitnessedSite, launcher: Launcher) -> None:
        super().__init__(directory, site, launcher)
        text = self.config.read_text(encoding="utf-8")
        for name in ("join", "eject", "handover"):
            text = text.replace(f"{name}_deadline = 20", f"{name}_deadline = 200")
        text = text.replace("outage_deadline = 10", "outage_deadline = 60")
        text += "\n[maintenance]\nboot_deadline = 200\nheadroom_interval = 86400\n"
        self.config.write_text(text, encoding="utf-8")
        box = SecretBox(directory / "key")
        self.maintenance = MaintenanceManager(self.database, box)
        self.upkeep = UpkeepManager(self.database, box)


@pytest.fixture
def large(tmp_path: Path, launcher: Launcher) -> Iterator[LargeStage]:
    with WitnessedSite(site=spec(HOMES), time_scale=200) as site:
        assert site.simulation is not None
        network = site.simulation.site
        guests = dataclasses.replace(network.profile.guests, bandwidth=40 * 2**30)
        network.profile = dataclasses.replace(network.profile, guests=guests)
        stage = LargeStage(tmp_path, site, launcher)
        stage.aggregate = take_in(stage.aggregates, site)
        yield stage
        stage.close()


def most_down(events: list[Event]) -> int:
    """Hosts that rebooted at the same time."""
    down: set[str] = set()
    most = 0
    for event in events:
        if event.kind == "host-down" and event.why == "reboot":
            down.add(event.host)
        elif event.kind == "host-up":
            down.discard(event.host)
        most = max(most, len(down))
    return most


@pytest.mark.timeout(1200)
def test_five_kills_on_the_way(large: LargeStage) -> None:
    wish = {
        "do": {"reboot": None},
        "max_unavailable": UNAVAILABLE,
        "concurrency": N,
        "order": "master_first",
    }
    operation = large.maintenance.roll(WHO, large.aggregate, wish)

    def reached() -> int:
        """Moves that are over and hosts that are done."""
        return sum(event.kind == "moved" for event in large.site.history.events)

    for number in range(1, KILLS + 1):
        manager = large.start()
        goal = number * 2 * HOSTS * GUESTS // (KILLS + 1)
        large.wait_for(
            lambda goal=goal: (
                reached() >= goal or large.operations.show(operation.uuid).state.ended
            ),
            SECONDS,
            lambda: large.told(large.operations.show(operation.uuid)),
        )
        assert not large.operations.show(operation.uuid).state.ended
        manager.kill()
    large.start()
    ended = large.ended(operation.uuid, SECONDS)
    assert ended.state is OperationState.SUCCEEDED, large.told(ended)

    runs = large.upkeep.runs(ended)
    assert {run.state for run in runs} == {HostProgress.DONE}
    assert ended.attempts == KILLS + 1
    history = large.site.history
    told = history.summary()
    rebooted = Counter(
        e.host for e in history.events if e.kind == "host-down" and e.why == "reboot"
    )
    assert rebooted == dict.fromkeys(NAMES, 1)
    assert told.stops == {}
    assert where(large.site) == HOMES
    assert max(told.most_moves_from.values()) <= N
    assert most_down(history.events) <= UNAVAILABLE
    # Beyond its way out and home a guest moves only when the host that took it is emptied, too.
    assert set(told.moves) == set(HOMES)
    assert min(told.moves.values()) >= 2
