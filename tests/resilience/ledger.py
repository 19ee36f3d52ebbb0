"""What was tried, for the summary at the end of the run."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Count:
    tried: int = 0
    not_reached: int = 0
    slowest: float = 0.0  # seconds until the operation was over
    lost: list[str] = dataclasses.field(default_factory=list)

    def ended(self, seconds: float, *, reached: bool = True, times: int = 1) -> None:
        if reached:
            self.tried += times
            self.slowest = max(self.slowest, seconds)
        else:
            self.not_reached += 1

    def lose(self, what: str) -> None:
        self.tried += 1
        self.lost.append(what)


class Ledger:
    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}

    def of(self, subject: str) -> Count:
        return self.counts.setdefault(subject, Count())

    def lines(self) -> list[str]:
        return [
            f"{subject}: {count.tried} points tried, {len(count.lost)} lost, "
            f"{count.not_reached} not reached; slowest end after {count.slowest:.1f} s"
            for subject, count in self.counts.items()
        ]
