"""Simulated hosts that keep a history of all calls and interfere with a chosen one."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from nova_aggregates.simulator import changes
from nova_aggregates.simulator.faults import Faults, WireFault
from nova_aggregates.simulator.testing import SimulatedSite

# What must not be carried out a second time for one request: each would be another change.
HAND_OVER = "Async.pool.designate_new_master"
ONCE = ("Async.pool.join", "Async.pool.eject", HAND_OVER)
READING = ("get_", "assert_", "retrieve_")
RESTART_SECONDS = 75.0  # virtual; of a toolstack that was killed
NO_CHANGE = ("session.", "task.", "event.", "system.")


def is_changing(method: str) -> bool:
    return not method.startswith(NO_CHANGE) and not method.rpartition(".")[2].startswith(READING)


class Deed(enum.Enum):
    """What happens when the chosen call arrives."""

    KILL_UNSENT = "the manager dies, and the call is not carried out"
    KILL_UNANSWERED = "the call is carried out, and the manager dies without its answer"
    DROP_BEFORE = "the connection is cut instead of the call"
    DROP_AFTER = "the call is carried out, and its answer is lost"
    PASS = "the call is carried out while something else is cut"
    RESTART_MASTER = "the toolstack of the pool's master is killed, and the call with it"
    RESTART_JOINER = "the toolstack of the host that comes or goes is killed, and the call with it"


@dataclasses.dataclass(frozen=True)
class Seen:
    at: float  # monotonic
    host: str
    method: str
    carried_out: bool


@dataclasses.dataclass(frozen=True)
class Trap:
    """``number`` counts the calls of that method from 1 since the witness was armed."""

    method: str
    number: int
    deed: Deed
    pid: int | None = None  # whom to kill
    host: str = ""  # whose toolstack to kill
    cut: Callable[[], None] | None = None  # done before the call is carried out


class Witness(Faults):
    """Every call of the site passes :meth:`take` before it is carried out."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Seen] = []
        self.sprung = threading.Event()
        self._trap: Trap | None = None
        self._watching = False
        self._numbers: Counter[str] = Counter()
        self.restart: Callable[[str], None] = lambda _host: None

    def arm(self, trap: Trap | None = None) -> None:
        self.history = []
        self.sprung.clear()
        self._numbers.clear()
        self._trap = trap
        self._watching = True

    def rest(self) -> list[Seen]:
        """Stop watching; the history since :meth:`arm`."""
        self._watching = False
        self._trap = None
        return self.history

    def take(self, host: str, method: str) -> WireFault | None:
        if not self._watching:
            return super().take(host, method)
        trap = self._trap
        self._numbers[method] += 1
        if trap is None or (method, self._numbers[method]) != (trap.method, trap.number):
            self.history.append(Seen(time.monotonic(), host, method, carried_out=True))
            return super().take(host, method)
        return self._spring(trap, host, method)

    def _spring(self, trap: Trap, host: str, method: str) -> WireFault | None:
        if trap.pid is not None:
            os.kill(trap.pid, signal.SIGKILL)
        if trap.cut is not None:
            trap.cut()
        if trap.deed in (Deed.RESTART_MASTER, Deed.RESTART_JOINER):
            self.restart(trap.host)
        lost = trap.deed in (Deed.KILL_UNSENT, Deed.DROP_BEFORE)
        lost = lost or (trap.host == host)
        self.history.append(Seen(time.monotonic(), host, method, carried_out=not lost))
        self.sprung.set()
        if lost:
            return WireFault(host, method, "drop-before")
        if trap.deed is Deed.DROP_AFTER:
            return WireFault(host, method, "drop-after")
        return None


class WitnessedSite(SimulatedSite):
    """A simulated site under a witness's eyes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.witness = Witness()
        self._under_way: set[asyncio.Task[None]] = set()

    async def _start(self) -> None:
        await super()._start()
        assert self.simulation is not None
        site = self.simulation.site
        site.faults = self.witness
        # Long enough that several looks of a manager fall into it.
        site.profile = site.profile.with_timings(kill_restart=RESTART_SECONDS)

        def restart(host: str) -> None:
            task = asyncio.get_running_loop().create_task(
                changes.fault(site, "kill-toolstack", host)
            )
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

        self.witness.restart = restart
