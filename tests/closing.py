"""What suites tell at the end of a run, from whichever process they ran in.

A suite appends a function to ``REPORTS`` when it is loaded; the lines that it gives when the tests
are over are printed above the closing line of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

REPORTS: list[Callable[[], Iterable[str]]] = []


def lines() -> list[str]:
    return [line for report in REPORTS for line in report()]
