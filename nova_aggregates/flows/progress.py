"""How far the guests are, as the operation's record shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Placement

INTERVAL = 1.0  # seconds between two writes of the record
MIB = 2**20


class Board:
    """The operation's ``details``. Hosts that are emptied at the same time share it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._guard = threading.Lock()
        known = work.managers.operations.show(work.operation.uuid).details
        self._details: dict[str, Any] = dict(known or {})
        self._written = 0.0

    def put(self, key: str, value: Any, *, now: bool = False) -> None:
        """:param now: write at once, not only when ``INTERVAL`` has passed."""
        with self._guard:
            if self._details.get(key) == value:
                return
            self._details[key] = value
            self._write(now)

    def put_host(self, host: str, values: Mapping[str, Any], *, now: bool = False) -> None:
        """Merge into what is told of one host."""
        with self._guard:
            hosts = dict(self._details.get("hosts", {}))
            merged = {**hosts.get(host, {}), **values}
            if merged == hosts.get(host):
                return
            hosts[host] = merged
            self._details["hosts"] = hosts
            self._write(now)

    def _write(self, now: bool) -> None:
        if not now and time.monotonic() - self._written < INTERVAL:
            return
        self._written = time.monotonic()
        self._work.managers.upkeep.details(self._work.operation, self._details)


class Progress:
    """Of the guests of one host.

    :param names: of hosts, by uuid.
    """

    def __init__(self, board: Board, host: str, names: Mapping[str, str]) -> None:
        self._board = board
        self._host = host
        self._names = names
        self._began = time.monotonic()
        self._moved = 0
        self._bytes = 0
        self._left: dict[str, int] = {}  # bytes by guest

    def name_of(self, host: str) -> str:
        return self._names.get(host, host)

    def expect(self, memory: Mapping[str, int]) -> None:
        """:param memory: bytes of each guest (uuid) that has not arrived yet."""
        self._left = dict(memory)

    def moved(self, placement: Placement, _seconds: float) -> None:
        self._moved += 1
        self._bytes += placement.memory
        self._left.pop(placement.guest, None)

    def show(self, moving: Iterable[tuple[Placement, float]]) -> None:
        under_way = list(moving)
        elapsed = max(1e-3, time.monotonic() - self._began)
        partial = sum(placement.memory * share for placement, share in under_way)
        rate = (self._bytes + partial) / elapsed
        rest = max(0.0, sum(self._left.values()) - partial)
        names = {placement.guest for placement, _share in under_way}
        told = {
            "moved": self._moved,
            "moving": [
                {
                    "guest": placement.guest,
                    "name": placement.name,
                    "to": self.name_of(placement.destination),
                    "percent": int(share * 100),
                }
                for placement, share in under_way
            ],
            "left": len(self._left.keys() - names),
            "rate_mb_per_second": round(rate / MIB, 1),
            "seconds_left": round(rest / rate, 1) if rate > 0 and self._bytes else None,
        }
        self._board.put_host(self._host, {"guests": told}, now=not under_way)
