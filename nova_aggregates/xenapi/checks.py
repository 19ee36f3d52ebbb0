"""How a check is written: a function from what it looks at to the problems that it sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from nova_aggregates.xenapi import catalogue
from nova_aggregates.xenapi.types import Finding, Severity

Subject = TypeVar("Subject")

_SHOWN = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What a check saw, in the words of XenServer (code and parameters) and in ours."""

    code: str
    message: str
    params: tuple[str, ...] = ()
    ours: str = ""
    theirs: str = ""
    cure: str = ""  # empty: the catalogue's
    severity: Severity | None = None  # None: the check's


@dataclasses.dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    name: str
    look: Callable[[Subject], Iterable[Problem]]
    severity: Severity = Severity.BLOCKING


def run(checks: Iterable[Check[Subject]], subject: Subject, method: str) -> tuple[Finding, ...]:
    """All findings, in the order of the checks. ``method`` is the call that they stand before."""
    return tuple(_findings(checks, subject, method))


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    found = sorted(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _findings(checks: Iterable[Check[Subject]], subject: Subject, method: str) -> Iterator[Finding]:
    for check in checks:
        for problem in check.look(subject):
            yield Finding(
                check=check.name,
                code=problem.code,
                severity=problem.severity or check.severity,
                message=problem.message,
                cure=problem.cure
                or catalogue.explain(problem.code, problem.params, method=method).cure,
                ours=problem.ours,
                theirs=problem.theirs,
            )
