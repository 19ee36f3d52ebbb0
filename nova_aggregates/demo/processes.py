"""Child processes that never outlive their parent, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nova_aggregates.demo.errors import DemoError

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 15.0


def _tied_to_parent() -> None:
    # Only Linux can do this; elsewhere a SIGKILL of the parent leaves the child behind.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One process in a session of its own, its output in a log file.

    The session of its own keeps the terminal's Ctrl-C away from it: the parent stops its children
    in order, and nobody else does.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 (our own console scripts)
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_tied_to_parent,  # noqa: PLW1509 (this process has one thread)
            )

    def check(self) -> None:
        """Raise DemoError when the process has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(f"{self.name} has ended with exit code {code}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in text[-lines:]) or f"    (nothing in {self.log})"

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for the whole session when that does not help."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"{self.name} did not stop within {STOP_SECONDS:.0f} s", file=sys.stderr)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Family:
    """All children; stopped in the reverse order of their start."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], log: Path) -> Child:
        child = Child(name, command, log)
        self._children.append(child)
        return child

    def check(self) -> None:
        for child in self._children:
            child.check()

    def stop(self) -> None:
        while self._children:
            self._children.pop().stop()

    def wait_for(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        """Poll ``condition`` until it holds.

        :raises DemoError: a child ended meanwhile, or ``seconds`` have passed.
        """
        end = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > end:
                tails = "\n".join(f"  {child.name}:\n{child.tail()}" for child in self._children)
                raise DemoError(f"After {seconds:.0f} s still no {what}.\n{tails}")
            time.sleep(0.05)


def run(command: Sequence[str], what: str) -> None:
    """Run one short command to its end.

    :raises DemoError: it failed; with what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise DemoError(f"{what} failed:\n{(done.stderr or done.stdout).strip()}")
