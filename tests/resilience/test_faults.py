"""Lost answers, toolstacks that restart, a database that is away: the operation ends, done or
undone, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.databases import temporary_database
from tests.resilience.faults import (
    in_turn,
    locked_sqlite,
    terminated_postgresql,
    try_fault,
)
from tests.resilience.kills import AtCall, Rehearsal, Tried, in_order
from tests.resilience.ledger import Ledger
from tests.resilience.processes import Launcher
from tests.resilience.stage import PROMISE, Stage
from tests.resilience.witness import Deed, WitnessedSite

FEWEST = 7  # the changing calls of the flows with several hosts
LOCKED_SECONDS = 1.5


@pytest.fixture(scope="module")
def on_postgresql(
    site: WitnessedSite, launcher: Launcher, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("postgresql")
    with temporary_database("postgresql", directory) as url:
        stage = Stage(directory, site, launcher, url)
        yield stage
        stage.close()


def play_all(
    stage: Stage,
    points: Iterable[AtCall],
    ledger: Ledger,
    subject: str,
    attempt: Callable[[AtCall], Tried],
) -> None:
    stage.scene = None
    count = ledger.of(subject)
    for point in in_order(points):
        try:
            tried = attempt(point)
        except AssertionError as error:
            stage.scene = None
            count.lose(f"{point.flow.name}, {point.what}: {error}")
        else:
            count.ended(tried.seconds, reached=tried.reached)
    assert not count.lost, "\n\n".join(count.lost)
    assert count.slowest < PROMISE
    assert count.tried >= FEWEST


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("deed", [Deed.DROP_BEFORE, Deed.DROP_AFTER])
def test_lost_answers(
    stage: Stage, rehearsals: list[Rehearsal], everything: bool, ledger: Ledger, deed: Deed
) -> None:
    points = in_turn(rehearsals, deed, None if everything else 1)
    play_all(stage, points, ledger, deed.value, lambda point: try_fault(stage, point))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("deed", [Deed.RESTART_MASTER, Deed.RESTART_JOINER])
def test_toolstacks_that_restart(
    stage: Stage, rehearsals: list[Rehearsal], everything: bool, ledger: Ledger, deed: Deed
) -> None:
    points = in_turn(rehearsals, deed, None if everything else 1)
    play_all(stage, points, ledger, deed.value, lambda point: try_fault(stage, point))


@pytest.mark.timeout(3600)
def test_sqlite_locked_by_another_program(
    stage: Stage, rehearsals: list[Rehearsal], everything: bool, ledger: Ledger
) -> None:
    points = in_turn(rehearsals, Deed.PASS, None if everything else 0)
    with locked_sqlite(stage, LOCKED_SECONDS) as cutter:
        play_all(
            stage,
            points,
            ledger,
            f"SQLite locked for {LOCKED_SECONDS:g} seconds",
            lambda point: try_fault(stage, point, cutter),
        )


@pytest.mark.timeout(3600)
def test_postgresql_ends_all_connections(
    on_postgresql: Stage, rehearsals: list[Rehearsal], everything: bool, ledger: Ledger
) -> None:
    points = in_turn(rehearsals, Deed.PASS, None if everything else 0)
    with terminated_postgresql(on_postgresql) as cutter:
        play_all(
            on_postgresql,
            points,
            ledger,
            "PostgreSQL ends all connections",
            lambda point: try_fault(on_postgresql, point, cutter),
        )
