"""Faults that a test or an operator injects, and what the hosts ask about them."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field, fields
from typing import Any

from nova_aggregates.simulator.errors import ApiError

ACTIONS = {
    "drop-before": "closes the connection instead of executing",
    "drop-after": "executes, then closes the connection without an answer",
    "delay": "holds the answer back for ``seconds`` (virtual)",
    "hang": "executes and never answers",
    "error": "fails with ``error``: the code and its parameters",
    "session-invalid": "forgets the call's session and says so",
    "omit": "leaves ``fields`` out of the records that it answers with",
    "truncate": "cuts the answer in the middle",
    "garbage": "answers with what is no XML and no JSON",
    "content-type": "answers as if it were a page of HTML",
    "http-500": "answers with an internal server error",
    "trigger": "makes the events in ``then`` happen first (after ``seconds``: meanwhile)",
    "trigger-after": "executes, then makes the events in ``then`` happen",
}


@dataclass
class WireFault:
    """What happens to the next calls of a method at a host, see ``ACTIONS``.

    ``host`` may be ``*``, ``method`` is a shell pattern. ``skip`` calls pass unharmed before.
    """

    host: str
    method: str
    action: str
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    error: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    then: tuple[dict[str, Any], ...] = ()


FLAGS = {
    "disabled": "it starts and stays disabled",
    "unplugged_storage": "its storage is not plugged when it starts",
    "no_record": "its join succeeds, but the pool's master has no record of it",
    "join_fails": "its join fails after the record was made",
    "stuck_disks": "its eject fails with a disk in use after other storage was forgotten",
    "never_returns": "after an eject it stays down",
    "new_certificate": "after an eject it shows another certificate",
    "same_boot_time": "its boot_time does not change with a reboot",
}


@dataclass
class Faults:
    """``FLAGS`` are sets of host names; see there."""

    wire: list[WireFault] = field(default_factory=list)
    emergencies: dict[str, ApiError] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    unplugged_storage: set[str] = field(default_factory=set)
    no_record: set[str] = field(default_factory=set)
    join_fails: set[str] = field(default_factory=set)
    stuck_disks: set[str] = field(default_factory=set)
    never_returns: set[str] = field(default_factory=set)
    new_certificate: set[str] = field(default_factory=set)
    same_boot_time: set[str] = field(default_factory=set)
    busy_updates: set[str] = field(default_factory=set)  # being applied: update/host
    failing_moves: dict[str, ApiError] = field(default_factory=dict)  # by guest, for one move

    def take(self, host: str, method: str) -> WireFault | None:
        """The fault for this call, counted down. Methods match as shell patterns."""
        for fault in self.wire:
            if fault.host not in (host, "*") or not fnmatch.fnmatchcase(method, fault.method):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self.wire.remove(fault)
            return fault
        return None

    def emergency_of(self, host: str) -> ApiError | None:
        return self.emergencies.get(host)

    def stays_disabled(self, host: str) -> bool:
        return host in self.disabled

    def unpluggable(self, host: str) -> bool:
        return host in self.unplugged_storage

    def fail_move(self, guest: str) -> None:
        """Raises what was injected for the next move of this guest."""
        error = self.failing_moves.pop(guest, None)
        if error is not None:
            raise error

    def clear(self) -> None:
        for each in fields(self):
            getattr(self, each.name).clear()

    def as_json(self) -> dict[str, Any]:
        """What is injected and has not happened yet."""
        found: dict[str, Any] = {flag: sorted(getattr(self, flag)) for flag in FLAGS}
        found["emergencies"] = {h: e.description for h, e in self.emergencies.items()}
        found["failing_moves"] = {g: e.description for g, e in self.failing_moves.items()}
        found["wire"] = [dict(vars(w)) for w in self.wire]
        return {k: v for k, v in found.items() if v}
