"""Managers that come and go at random share the work: everything ends, and no two ever have the
same aggregate at the same time."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from nova_aggregates.objects import OperationState
from tests.databases import temporary_database
from tests.resilience.ledger import Ledger
from tests.resilience.processes import Launcher, Manager
from tests.resilience.stage import WHO, Stage
from tests.resilience.witness import ONCE, WitnessedSite

TIME_SCALE = 500.0
SEED = 20
SLOTS = 2  # managers at a time
CALLS = (20, 120)  # seen by the hosts between two deaths or births
SILENCE_SECONDS = 1.0  # the same, when the hosts see no calls
SECONDS_EACH = 8.0  # an operation, on a machine that is busy with other things


@pytest.fixture(scope="module")
def size(everything: bool) -> tuple[int, int]:
    """Aggregates, and hosts of each."""
    return (40, 4) if everything else (5, 2)


@pytest.fixture(scope="module")
def many_hosts(size: tuple[int, int]) -> Iterator[WitnessedSite]:
    with WitnessedSite(hosts=size[0] * size[1], time_scale=TIME_SCALE) as site:
        yield site


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_stage(
    request: pytest.FixtureRequest, many_hosts: WitnessedSite, launcher: Launcher, tmp_path: Path
) -> Iterator[Stage]:
    """SQLite with locks in files, PostgreSQL with locks in PostgreSQL."""
    many_hosts.witness.rest()
    many_hosts.reset()
    with temporary_database(request.param, tmp_path) as url:
        locks = url.replace("+psycopg2", "") if request.param == "postgresql" else None
        stage = Stage(tmp_path, many_hosts, launcher, url, locks)
        stage.register()
        yield stage
        stage.close()


@pytest.mark.timeout(3600)
def test_aggregates_built_while_managers_come_and_go(
    shared_stage: Stage, size: tuple[int, int], ledger: Ledger
) -> None:
    stage = shared_stage
    aggregates, members = size
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
    deaths = come_and_go(stage, [uuid for uuids in operations.values() for uuid in uuids])
    for uuids in operations.values():
        for uuid in uuids:
            ended = stage.operations.show(uuid)
            assert ended.state is OperationState.SUCCEEDED, stage.told(ended)
    calls = Counter((call.host, call.method) for call in stage.site.witness.rest())
    assert not {call: n for call, n in calls.items() if call[1] in ONCE and n > 1}
    stage.judge_pools(wanted, "after all managers")
    never_two_at_once(stage, operations)
    assert deaths >= aggregates // 2
    ledger.of(f"managers killed at random on {stage.database.engine.dialect.name}").ended(
        time.monotonic() - since, times=deaths
    )


def come_and_go(stage: Stage, uuids: Sequence[str]) -> int:
    """Kill and start managers until all operations have ended; how many were killed."""
    chance = random.Random(SEED)
    slots: list[Manager | None] = [None] * SLOTS
    deaths = 0
    end = time.monotonic() + SECONDS_EACH * len(uuids)
    while not all(stage.operations.show(uuid).state.ended for uuid in uuids):
        assert time.monotonic() < end, "\n".join(
            stage.told(operation)
            for operation in map(stage.operations.show, uuids)
            if not operation.state.ended
        )
        slot = chance.randrange(SLOTS)
        manager = slots[slot]
        if manager is None:
            slots[slot] = stage.start()
        else:
            manager.kill()
            slots[slot] = None
            deaths += 1
        if any(slots):
            pass_by(stage, chance.randrange(*CALLS))
    # Whoever ended the last one may not have closed its books.
    stage.start()
    stage.wait_for(lambda: not stage.books(), 10, "open logbooks")
    stage.launcher.kill_all()
    return deaths


def pass_by(stage: Stage, calls: int) -> None:
    """Let so many calls pass, if there are any."""
    history = stage.site.witness.history
    wanted = len(history) + calls
    end = time.monotonic() + SILENCE_SECONDS
    while len(history) < wanted and time.monotonic() < end:
        time.sleep(0.005)


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
