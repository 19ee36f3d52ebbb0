"""Managers that come and go at random share the work: everything ends, and no two ever have the
same aggregate at the same time."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from nova_aggregates.objects import OperationState
from tests.databases import temporary_database
from tests.lock_services import lock_service
from tests.resilience.ledger import Ledger
from tests.resilience.processes import Launcher, Manager
from tests.resilience.stage import WHO, Stage
from tests.resilience.witness import ONCE, WitnessedSite

TIME_SCALE = 500.0
SEED = 20
SLOTS = 2  # managers at a time
LEASE_SECONDS = 5  # of a lock of a manager that was killed
FEWEST_DEATHS = 2
SILENCE_SECONDS = LEASE_SECONDS + 3.0  # the same, when the hosts see no calls
# Seen by the hosts between two deaths or births, for each aggregate: whoever takes all of them up
# again must get further than the last one.
CALLS = (6, 36)
SECONDS_EACH = 8.0  # an operation, on a machine that is busy with other things


# Aggregates, and hosts of each; the first one with --resilience-all.
FULL, MEDIUM, SMALL = (40, 4), (12, 4), (5, 2)


@pytest.fixture(scope="module")
def many_hosts(everything: bool) -> Iterator[WitnessedSite]:
    aggregates, members = FULL if everything else MEDIUM
    with WitnessedSite(hosts=aggregates * members, time_scale=TIME_SCALE) as site:
        yield site


@dataclasses.dataclass(frozen=True)
class Case:
    database: str
    locks: str
    large: bool

    def __str__(self) -> str:
        return f"{self.database} with locks in {self.locks}"

    def size(self, everything: bool) -> tuple[int, int]:
        if not self.large:
            return SMALL
        return FULL if everything else MEDIUM


CASES = (
    Case("postgresql", "redis", large=True),
    Case("postgresql", "etcd", large=True),
    Case("sqlite", "file", large=False),
    Case("postgresql", "postgresql", large=False),
    Case("mysql", "mysql", large=False),
)


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def shared_stage(
    case: Case, many_hosts: WitnessedSite, launcher: Launcher, tmp_path: Path
) -> Iterator[Stage]:
    site = many_hosts
    site.witness.rest()
    site.reset()
    with (
        temporary_database(case.database, tmp_path) as url,
        lock_service(case.locks, tmp_path, LEASE_SECONDS) as locks,
    ):
        stage = Stage(tmp_path, site, launcher, url, locks)
        stage.register()
        yield stage
        stage.close()


@pytest.mark.timeout(3600)
def test_aggregates_built_while_managers_come_and_go(
    shared_stage: Stage, case: Case, everything: bool, ledger: Ledger
) -> None:
    stage = shared_stage
    aggregates, members = case.size(everything)
    names = [host.name for host in stage.site.hosts]
    wanted: dict[str, tuple[str, ...]] = {}
    operations: dict[int, list[str]] = {}
    for number in range(aggregates):
        hosts = tuple(names[number * members : (number + 1) * members])
        wanted[f"pool{number}"] = hosts
        aggregate = stage.create(f"pool{number}")
        accepted = [stage.aggregates.add_host(WHO, aggregate, host).operation for host in hosts]
        operations[aggregate] = [each.uuid for each in accepted if each is not None]
    stage.site.witness.arm()
    since = time.monotonic()
    deaths = come_and_go(stage, operations)
    for uuids in operations.values():
        for uuid in uuids:
            ended = stage.operations.show(uuid)
            assert ended.state is OperationState.SUCCEEDED, stage.told(ended)
    calls = Counter((call.host, call.method) for call in stage.site.witness.rest())
    assert not {call: n for call, n in calls.items() if call[1] in ONCE and n > 1}
    stage.judge_pools(wanted, "after all managers")
    never_two_at_once(stage, operations)
    assert deaths >= FEWEST_DEATHS
    built = f"{aggregates} aggregates of {members} hosts, managers killed at random, {case}"
    ledger.of(built).ended(time.monotonic() - since, times=deaths)


def come_and_go(stage: Stage, operations: Mapping[int, Sequence[str]]) -> int:
    """Kill and start managers until all operations have ended; how many were killed."""
    chance = random.Random(SEED)
    slots: list[Manager | None] = [None] * SLOTS
    deaths = 0
    waiting = sum(map(len, operations.values()))
    end = time.monotonic() + SECONDS_EACH * waiting
    while unfinished := stage.unfinished():
        assert time.monotonic() < end, "\n".join(map(stage.told, unfinished[:3]))
        slot = chance.randrange(SLOTS)
        manager = slots[slot]
        if manager is None:
            slots[slot] = stage.start()
        else:
            manager.kill()
            slots[slot] = None
            deaths += 1
        if any(slots):
            busy = len({each.aggregate_id for each in unfinished})
            pass_by(stage, chance.randrange(*CALLS) * busy)
    # Whoever ended the last one may not have closed its books.
    stage.start()
    stage.wait_for(lambda: not stage.books(), 30, "open logbooks")
    stage.launcher.kill_all()
    return deaths


def pass_by(stage: Stage, calls: int) -> None:
    """Let so many calls pass, if there are any."""
    history = stage.site.witness.history
    wanted = len(history) + calls
    end = time.monotonic() + SILENCE_SECONDS
    seen = len(history)
    while len(history) < wanted and time.monotonic() < end:
        time.sleep(0.005)
        if len(history) > seen:
            seen, end = len(history), time.monotonic() + SILENCE_SECONDS


def never_two_at_once(stage: Stage, operations: Mapping[int, Sequence[str]]) -> None:
    """The record of each aggregate is a chain of holders: whoever is followed by another one never
    writes again, and every holder has a fencing number of its own."""
    for uuids in operations.values():
        events = sorted(
            (event.id, uuid, event.fence, event.kind, event.data.get("owner"))
            for uuid in uuids
            for event in stage.operations.events(uuid)
            if event.fence
        )
        holders = [(uuid, fence) for _id, uuid, fence, _kind, _owner in events]
        changes = [new for old, new in pairwise([None, *holders]) if old != new]
        assert len(changes) == len(set(changes)), f"two at once: {changes}"
        taken = [(uuid, fence) for _id, uuid, fence, kind, _owner in events if kind == "taken"]
        assert taken == changes, f"somebody wrote without having taken it: {taken} {changes}"
        for uuid in uuids:
            fences = [fence for each, fence in taken if each == uuid]
            assert fences == list(range(1, len(fences) + 1))
