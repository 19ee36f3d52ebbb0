"""Where a manager can die, and dying there."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tests.resilience.stage import FLOWS, Flow, Stage
from tests.resilience.witness import Deed, Seen, Trap, is_changing

STEP = "step:"
STRIDE = 4  # of the points of a flow that comes to no step, in the small choice
READS_TRIED = 2  # calls that only read, and transactions of TaskFlow's, in the small choice


@dataclasses.dataclass(frozen=True)
class Point:
    flow: Flow
    what: str  # for people

    def of_step(self) -> str | None:
        return None


@dataclasses.dataclass(frozen=True)
class AtCommit(Point):
    label: str
    number: int
    before: bool

    def of_step(self) -> str | None:
        names = [name for name in self.label.split("+") if name.startswith(STEP)]
        return names[0] if names else None


@dataclasses.dataclass(frozen=True)
class AtCall(Point):
    method: str
    number: int  # among the calls of that method
    deed: Deed


@dataclasses.dataclass(frozen=True)
class Tried:
    point: Point
    reached: bool  # a wait may take fewer looks than in the dry run; then nobody was killed
    seconds: float  # from the death to the end of the operation


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """What a flow does when nobody interferes."""

    flow: Flow
    calls: Sequence[Seen]
    commits: Sequence[tuple[str, int]]  # label and number

    @property
    def steps(self) -> frozenset[str]:
        return frozenset(
            name for label, _ in self.commits for name in label.split("+") if name.startswith(STEP)
        )

    def points(self) -> Iterator[Point]:
        """Every one, in no order of time."""
        for label, number in self.commits:
            for before in (True, False):
                when = "before" if before else "after"
                yield AtCommit(
                    self.flow, f"{when} the commit of {label} ({number})", label, number, before
                )
        for method, number in self.numbered_calls():
            for deed in (Deed.KILL_UNSENT, Deed.KILL_UNANSWERED):
                what = f"{deed.name.lower()} {method} ({number})"
                yield AtCall(self.flow, what, method, number, deed)

    def numbered_calls(self) -> Iterator[tuple[str, int]]:
        numbers: Counter[str] = Counter()
        for call in self.calls:
            numbers[call.method] += 1
            yield call.method, numbers[call.method]

    def few(self) -> list[Point]:
        """Each step, each changing call before and after it was carried out, each transaction that
        changes our own facts, and some of the many others."""
        points = list(self.points())
        if not self.flow.elementary:
            return [point for point in points if _is_landmark(point)] or points[::STRIDE]
        chosen: list[Point] = []
        others: list[Point] = []
        for position, point in enumerate(points):
            if isinstance(point, AtCall):
                (chosen if is_changing(point.method) else others).append(point)
            elif isinstance(point, AtCommit):
                facts = point.label.replace("atomdetails", "").replace("flowdetails", "")
                turn = (position // 2) % 2 == int(point.before)
                (chosen if facts.strip("+") and turn else others).append(point)
        stride = max(1, len(others) // READS_TRIED)
        return chosen + others[stride // 2 :: stride]


def _is_landmark(point: Point) -> bool:
    """Before each step, and a changing call that was carried out without an answer."""
    if isinstance(point, AtCall):
        return is_changing(point.method) and point.deed is Deed.KILL_UNANSWERED
    return isinstance(point, AtCommit) and point.before and point.of_step() is not None


def rehearse(stage: Stage, flow: Flow) -> Rehearsal:
    play = flow.play(stage.arrange(flow.members))
    operation = stage.request(play)
    stage.site.witness.arm()
    stage.start(trace=True)
    stage.ended(operation.uuid)
    stage.wait_for(lambda: not stage.books(), 5, "open logbooks")
    calls = list(stage.site.witness.rest())
    lines = [json.loads(line) for line in stage.trace.read_text(encoding="utf-8").splitlines()]
    stage.judge(play, calls)
    return Rehearsal(flow, calls, [(line["label"], line["number"]) for line in lines])


def try_point(stage: Stage, point: Point) -> Tried:
    """Kill the first manager there; a second one has to finish.

    :raises AssertionError: the operation or something else was lost.
    """
    play = point.flow.play(stage.arrange(point.flow.members))
    operation = stage.request(play)
    witness = stage.site.witness
    if isinstance(point, AtCommit):
        witness.arm()
        first = stage.start(die_at=point.label, die_number=point.number, die_before=point.before)
    else:
        assert isinstance(point, AtCall)
        first = stage.launch_into(Trap(point.method, point.number, point.deed))
    reached = stage.dies(first, operation.uuid)
    since = time.monotonic()
    first.kill()
    stage.start()
    stage.ended(operation.uuid)
    seconds = time.monotonic() - since
    stage.wait_for(lambda: not stage.books(), 5, "open logbooks")
    stage.judge(play, witness.rest())
    return Tried(point, reached, seconds)


def in_order(points: Iterable[Point]) -> Iterator[Point]:
    """So that each begins where the one before ended, as far as that is possible."""
    waiting: dict[str, list[Point]] = {flow.name: [] for flow in FLOWS}
    for point in points:
        waiting[point.flow.name].append(point)
    members = 0
    while any(waiting.values()):
        able = [flow for flow in FLOWS if flow.members == members and waiting[flow.name]]
        if not able:
            able = [flow for flow in FLOWS if waiting[flow.name]]
        # The longest queue first keeps coming and going in balance.
        flow = max(able, key=lambda each: len(waiting[each.name]))
        yield waiting[flow.name].pop(0)
        members = flow.after
