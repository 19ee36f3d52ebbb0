"""Counts the XenAPI calls that a thread makes for its operation. A wait may look a thousand times,
so the record gets sums of them; what is sent to change something has a line of its own, too."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

from nova_aggregates.xenapi import connection

_here = threading.local()
DONE = "SUCCESS"


@dataclasses.dataclass(slots=True)
class _Sum:
    times: int = 0
    seconds: float = 0.0
    slowest: float = 0.0


class Calls:
    """Of one operation in the hands of this process."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], _Sum] = {}

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Calls of this thread belong to the operation."""
        _here.calls = self
        try:
            yield
        finally:
            _here.calls = None

    def add(self, method: str, seconds: float, outcome: str) -> None:
        one = self._sums.setdefault((method, outcome), _Sum())
        one.times += 1
        one.seconds += seconds
        one.slowest = max(one.slowest, seconds)

    def taken(self) -> list[dict[str, Any]]:
        """Those since the last time, in the order of their first one."""
        sums, self._sums = self._sums, {}
        return [
            {
                "method": method,
                "outcome": outcome,
                "times": one.times,
                "seconds": round(one.seconds, 3),
                "slowest": round(one.slowest, 3),
            }
            for (method, outcome), one in sums.items()
        ]


def _observed(method: str, seconds: float, outcome: str) -> None:
    calls = getattr(_here, "calls", None)
    if calls is not None:
        calls.add(method, seconds, DONE if outcome == "ok" else outcome)


connection.observers.append(_observed)
