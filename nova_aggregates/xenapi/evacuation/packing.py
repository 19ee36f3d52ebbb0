"""Who fits where: bin packing in which not every thing may go into every bin.

Balanced when there is plenty of room, tight when there is not, and exact as far as a bounded search
goes; what is then left over fits nowhere together with the rest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

STEPS = 5000  # of one search; some tens of milliseconds
MOST_SEARCHED = 200  # things; more of them are packed by rule only


@dataclasses.dataclass(frozen=True, slots=True)
class Thing:
    key: str
    size: int
    bins: tuple[str, ...]  # where it may go
    prefers: str = ""  # one of them
    apart: frozenset[str] = frozenset()  # of others with one of these marks, where possible


@dataclasses.dataclass(frozen=True, slots=True)
class Packing:
    places: Mapping[str, str]  # thing -> bin
    left: tuple[str, ...]  # things without a place, the first one to fail first


def pack(
    things: Sequence[Thing],
    room: Mapping[str, int],
    present: Mapping[str, frozenset[str]] | None = None,
) -> Packing:
    """:param room: by bin.
    :param present: marks of what is in each bin already, see ``Thing.apart``.
    """
    # The pickiest and the largest first: whoever can go anywhere fills the gaps.
    order = sorted(things, key=lambda thing: (len(thing.bins), -thing.size, thing.key))
    balanced = _Attempt(order, room, present or {})
    if balanced.greedily(_roomiest):
        return balanced.result()
    tight = _Attempt(order, room, present or {})
    if tight.greedily(_tightest):
        return tight.result()
    searched = _Attempt(order, room, present or {})
    if searched.exactly():
        return searched.result()
    return min((balanced, tight, searched), key=lambda each: len(each.left)).result()


def _roomiest(free: int) -> int:
    return -free


def _tightest(free: int) -> int:
    return free


class _Attempt:
    def __init__(
        self,
        order: Sequence[Thing],
        room: Mapping[str, int],
        present: Mapping[str, frozenset[str]],
    ) -> None:
        self._order = order
        self._free = dict(room)
        self._marks = {key: list(present.get(key, ())) for key in room}
        self._places: dict[str, str] = {}
        self.left: list[str] = []
        self._steps = 0
        self._deepest = 0

    def result(self) -> Packing:
        return Packing(self._places, tuple(self.left))

    def greedily(self, taste: Callable[[int], int]) -> bool:
        for thing in self._order:
            if not self._place(thing, taste):
                self.left.append(thing.key)
        return not self.left

    def _place(self, thing: Thing, taste: Callable[[int], int]) -> bool:
        able = self._able(thing, taste)
        if able:
            self._put(thing, able[0])
        return bool(able)

    def _able(self, thing: Thing, taste: Callable[[int], int]) -> list[str]:
        fitting = [key for key in thing.bins if self._free.get(key, -1) >= thing.size]

        def badness(key: str) -> tuple[int, bool, int, str]:
            clashes = sum(mark in thing.apart for mark in self._marks[key])
            return clashes, key != thing.prefers, taste(self._free[key] - thing.size), key

        return sorted(fitting, key=badness)

    def _put(self, thing: Thing, key: str) -> None:
        self._free[key] -= thing.size
        self._marks[key] += thing.apart
        self._places[thing.key] = key

    def _take(self, thing: Thing) -> None:
        key = self._places.pop(thing.key)
        self._free[key] += thing.size
        for mark in thing.apart:
            self._marks[key].remove(mark)

    def exactly(self) -> bool:
        """Depth first, within STEPS. Where that ends without a place for everything, whatever the
        deepest try stopped at is left out, and the rest is tried again."""
        wanted = [thing for thing in self._order if self._able(thing, _tightest)]
        self.left = [thing.key for thing in self._order if thing not in wanted]
        while wanted and len(wanted) <= MOST_SEARCHED:
            self._steps, self._deepest = STEPS, 0
            if self._search(wanted, 0):
                return not self.left
            self.left.append(wanted.pop(self._deepest).key)
        self.left += [thing.key for thing in wanted]
        return not self.left

    def _search(self, wanted: Sequence[Thing], depth: int) -> bool:
        if depth == len(wanted):
            return True
        self._deepest = max(self._deepest, depth)
        thing = wanted[depth]
        tried: set[int] = set()
        for key in self._able(thing, _tightest):
            self._steps -= 1
            if self._steps < 0:
                return False
            # Where everything may go everywhere, a bin with the same room tells nothing new.
            if self._free[key] in tried and self._alike(wanted[depth:]):
                continue
            tried.add(self._free[key])
            self._put(thing, key)
            if self._search(wanted, depth + 1):
                return True
            self._take(thing)
        return False

    def _alike(self, rest: Sequence[Thing]) -> bool:
        return all(len(thing.bins) == len(self._free) for thing in rest)
