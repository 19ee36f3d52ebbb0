from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_of(marker: str) -> dict[int, str]:
    """Processes whose environment carries NOVA_AGGREGATES_TEST=marker, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if f"NOVA_AGGREGATES_TEST={marker}\0".encode() in (entry / "environ").read_bytes():
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command:
                    found[int(entry.name)] = command
        except OSError:
            continue
    return found


class Run:
    """One ``./run.sh`` in a process of its own."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.marker = f"{directory.name}-{time.monotonic_ns()}"
        self.stdout = directory / f"{self.marker}.out"
        self.stderr = directory / f"{self.marker}.err"
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [str(ROOT / "run.sh"), *arguments],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "NOVA_AGGREGATES_TEST": self.marker,
                    "TMPDIR": str(directory),
                    "no_proxy": "*",
                },
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        return self.stdout.read_text()

    @property
    def err(self) -> str:
        return self.stderr.read_text()

    def wait(self, seconds: float = 120) -> int:
        return self.process.wait(seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"ended early:\n{self.out}\n{self.err}"
            assert time.monotonic() < end, f"too slow:\n{self.out}\n{self.err}"
            time.sleep(0.05)

    def left_behind(self) -> dict[int, str]:
        return processes_of(self.marker)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid in self.left_behind():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def run_sh(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(*arguments: str) -> Run:
        runs.append(Run(tmp_path, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        run.close()


@pytest.fixture
def port() -> int:
    return free_port()
