"""Faults that a test or an operator injects, and what the hosts ask about them."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field

from nova_aggregates.simulator.errors import ApiError


@dataclass
class WireFault:
    """What happens to the next calls of a method at a host.

    ``action``: ``drop-before`` closes the connection instead of executing, ``drop-after`` executes
    and then closes, ``delay`` holds the answer back for ``seconds`` (virtual), ``hang`` never
    answers, ``error`` fails with ``error``, ``truncate`` and ``http-500`` spoil the answer.
    """

    host: str
    method: str
    action: str
    times: int = 1
    seconds: float = 0.0
    error: tuple[str, ...] = ()


@dataclass
class Faults:
    wire: list[WireFault] = field(default_factory=list)
    emergencies: dict[str, ApiError] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    unplugged_storage: set[str] = field(default_factory=set)
    no_record: set[str] = field(default_factory=set)  # a join that loses the host's record
    busy_updates: set[str] = field(default_factory=set)  # being applied: update/host
    failing_moves: dict[str, ApiError] = field(default_factory=dict)  # by guest, for one move

    def take(self, host: str, method: str) -> WireFault | None:
        """The fault for this call, counted down. Methods match as shell patterns."""
        for fault in self.wire:
            if fault.host in (host, "*") and fnmatch.fnmatchcase(method, fault.method):
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
        self.failing_moves.clear()
        self.wire.clear()
        self.emergencies.clear()
        self.disabled.clear()
        self.unplugged_storage.clear()
        self.no_record.clear()
