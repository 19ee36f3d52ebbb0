"""Starting, killing and stopping managers."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.resilience.launcher import Order

DEATH_SECONDS = 20.0


@dataclasses.dataclass(frozen=True)
class Manager:
    pid: int
    log: Path

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def go_on(self) -> None:
        """After a start that was ``paused``."""
        os.kill(self.pid, signal.SIGUSR1)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone. One that is dead already stays dead."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.gone()

    def gone(self, seconds: float = DEATH_SECONDS) -> None:
        end = time.monotonic() + seconds
        while self.alive:
            assert time.monotonic() < end, f"manager {self.pid} lives on"
            time.sleep(0.002)


class Launcher:
    """A process that has imported everything, and forks managers."""

    def __enter__(self) -> Self:
        self.managers: list[Manager] = []
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.resilience.launcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill_all()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(DEATH_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, order: Order) -> Manager:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(dataclasses.asdict(order)), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the launcher died"
        manager = Manager(int(line), Path(order.log))
        self.managers.append(manager)
        return manager

    def kill_all(self) -> None:
        for manager in self.managers:
            manager.kill()
        self.managers.clear()
