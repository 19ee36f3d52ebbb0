"""SIGKILL at any point: the next manager finishes, and nothing is done twice."""

from __future__ import annotations

import pytest

from tests.resilience.kills import AtCommit, Rehearsal, in_order, try_point
from tests.resilience.ledger import Ledger
from tests.resilience.stage import FLOWS, PROMISE, Stage
from tests.resilience.witness import is_changing

FEWEST = 90
FEWEST_OF_ALL = 900
WITH_ONE_CHANGE = {"add_host first", "rename_pool", "remove_host slave", "remove_host last"}


def test_the_rehearsals_show_what_there_is_to_kill(rehearsals: list[Rehearsal]) -> None:
    """So that a flow that is told differently does not empty the other tests silently."""
    assert [each.flow for each in rehearsals] == list(FLOWS)
    for rehearsal in rehearsals:
        if rehearsal.flow.name == "cancel":
            assert len(rehearsal.few()) >= 1
            continue
        changes = [call.method for call in rehearsal.calls if is_changing(call.method)]
        assert len(changes) >= (1 if rehearsal.flow.name in WITH_ONE_CHANGE else 2), changes
        tried = {p.of_step() for p in rehearsal.few() if isinstance(p, AtCommit)}
        assert rehearsal.steps
        assert rehearsal.steps <= tried
        assert len(rehearsal.calls) > 10
        labels = [label for label, _ in rehearsal.commits]
        assert labels[0].startswith("operations"), labels  # taken
        assert labels[-1] == "logbooks", labels  # closed


@pytest.mark.timeout(7200)
def test_killed_anywhere_the_next_one_finishes(
    stage: Stage, rehearsals: list[Rehearsal], everything: bool, ledger: Ledger
) -> None:
    points = [
        point for each in rehearsals for point in (each.points() if everything else each.few())
    ]
    count = ledger.of("managers killed")
    for point in in_order(points):
        try:
            tried = try_point(stage, point)
        except AssertionError as error:
            stage.scene = None
            count.lose(f"{point.flow.name}, {point.what}: {error}")
        else:
            count.ended(tried.seconds, reached=tried.reached)
    assert not count.lost, "\n\n".join(count.lost)
    assert count.slowest < PROMISE
    assert count.tried >= (FEWEST_OF_ALL if everything else FEWEST)
    assert count.not_reached < len(points) / 10
