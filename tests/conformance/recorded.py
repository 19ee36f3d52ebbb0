"""Replays what a real xapi was recorded to do, against the simulator, in the simulator's time.

The recordings come with their own replay and compare tools. Those wait in real seconds; here their
clock, sleeps and timeouts are those of the simulated hosts, so that half an hour takes a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import types
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nova_aggregates.simulator.testing import free_place

VARIABLE = "NOVA_AGGREGATES_XAPI_OBSERVED"
ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "observed"
LETTERS = "ABCD"
# Timelines whose recording stopped long before what the scenario, as it stands, waits for.
CUT_SHORT = {("eject-timeline", "rejoin")}
SHORTEST_TIMEOUT = 1.0  # real seconds: a busy machine is no silent host


def directory() -> Path | None:
    """Where the recordings are, or None."""
    given = os.environ.get(VARIABLE)
    places = [Path(given)] if given else [p / "shared" / "xapi-observed" for p in ROOT.parents]
    return next((p for p in places if (p / "tools" / "replay.py").is_file()), None)


class Simulator:
    """``nova-aggregates-simulator`` in a process of its own, moved through its control port."""

    def __init__(self, port: int, plain_port: int, control_port: int, base: str) -> None:
        self.plain_port = plain_port
        self.urls = [f"https://{base[:-1]}{n + 1}:{port}" for n in range(len(LETTERS))]
        self._control = f"http://127.0.0.1:{control_port}"

    def post(self, path: str, **given: Any) -> Any:
        body = json.dumps(given).encode()
        request = urllib.request.Request(self._control + path, body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextlib.contextmanager
def running_simulator() -> Iterator[Simulator]:
    """Four fresh hosts like the recorded ones; the fourth has a CPU of another vendor."""
    base, (port, plain_port) = free_place()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        control_port = probe.getsockname()[1]
    arguments = {
        "--hosts": len(LETTERS),
        "--base-address": base,
        "--port": port,
        "--plain-port": plain_port,
        "--control-port": control_port,
        "--profile": "bare",
        "--password": PASSWORD,
        "--other-vendor": len(LETTERS),
    }
    command = [sys.executable, "-m", "nova_aggregates.simulator"]
    command += [str(word) for pair in arguments.items() for word in pair]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield Simulator(port, plain_port, control_port, base)
    finally:
        process.terminate()
        process.wait(30)


class Scaled:
    """The scale at which time passes for the tools."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._then = (time.monotonic(), 0.0)

    @property
    def scale(self) -> float:
        return self._scale

    @scale.setter
    def scale(self, value: float) -> None:
        self._then = (time.monotonic(), self.now())
        self._scale = value

    def now(self) -> float:
        real, scaled = self._then
        return scaled + (time.monotonic() - real) * self._scale

    def clock(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(
            monotonic=self.now,
            sleep=lambda seconds: time.sleep(seconds / self.scale),
            time=time.time,
        )

    def threads(self) -> types.SimpleNamespace:
        scaled = self

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                return super().wait(None if timeout is None else timeout / scaled.scale)

        return types.SimpleNamespace(
            Thread=threading.Thread, Event=Event, RLock=threading.RLock, Lock=threading.Lock
        )

    def timeout(self, seconds: float) -> float:
        return max(seconds / self.scale, SHORTEST_TIMEOUT)


class Tools:
    """The recordings' replay.py and compare.py, loaded once."""

    def __init__(self, where: Path, scaled: Scaled) -> None:
        self.where = where
        sys.dont_write_bytecode = True
        self.replay: Any = _load("replay", where / "tools" / "replay.py")
        self.compare: Any = _load("compare", where / "tools" / "compare.py")
        self.replay.time = scaled.clock()
        self.replay.threading = scaled.threads()
        for path in sorted((where / "scenarios").glob("*.py")):
            module = _load(path.stem, path)
            module.time = scaled.clock()
        self.recorded: dict[str, list[dict[str, Any]]] = self.compare.load(str(where / "recorded"))

    @property
    def names(self) -> list[str]:
        """In an order that shares pools, as the tool itself has it."""
        known = self.replay.SCENARIOS
        return sorted(
            self.recorded, key=lambda n: (known[n]["leaves"] == "dirty", known[n]["needs"], n)
        )

    def seconds(self, name: str) -> float:
        """How long the recording took."""
        steps = self.recorded[name][0]["steps"]
        return max(s.get("at", 0) + s.get("took", 0) for s in steps) / 1000

    def differences(self, name: str, new: dict[str, Any]) -> list[tuple[Any, ...]]:
        options = argparse.Namespace(values="shape", timing=False, blink=1500)
        for step in new["steps"]:
            if (name, step.get("label")) in CUT_SHORT:
                _cut(step, self.recorded[name][0])
        found = [self.compare.diff(name, old, new, options) for old in self.recorded[name]]
        nearest: list[tuple[Any, ...]] = min(found, key=len)
        return nearest


def _cut(step: dict[str, Any], old: dict[str, Any]) -> None:
    """Leave of a timeline what lies within the recorded one's duration."""
    same = next(s for s in old["steps"] if s.get("label") == step["label"])
    end = step["at"] + same["took"]
    step["took"] = min(step["took"], same["took"])
    step["probes"] = {n: [p for p in s if p[0] <= end] for n, s in step["probes"].items()}


def _load(name: str, path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Replayer:
    """Runs scenarios one after the other against one simulated site."""

    def __init__(self, tools: Tools, simulator: Simulator, scaled: Scaled) -> None:
        self.tools = tools
        self._simulator = simulator
        self._scaled = scaled
        replay = tools.replay
        replay.subprocess = types.SimpleNamespace(run=self._command, DEVNULL=None)
        replay.socket = types.SimpleNamespace(
            create_connection=self._connect, timeout=socket.timeout
        )
        pairs = zip(LETTERS, simulator.urls, strict=True)
        hosts = [replay.Host(letter, url) for letter, url in pairs]
        for host in hosts:
            host.connection = self._connection(host)
        self._world = replay.Site(hosts, "root", PASSWORD, fault="fault")
        self._runner = replay.Runner(self._world, reset="reset")

    def run(self, name: str, scale: float) -> dict[str, Any]:
        self._scaled.scale = scale
        self._simulator.post("/time-scale", scale=scale)
        scenario = self.tools.replay.SCENARIOS[name]
        recorded: dict[str, Any] = self._runner.run(scenario)
        return recorded

    def start_afresh(self) -> None:
        """The next scenario begins with a reset."""
        self._runner.state = "dirty"

    def _command(self, arguments: list[str], **_: Any) -> types.SimpleNamespace:
        if arguments[0] == "reset":
            self._simulator.post("/reset")
        else:
            self._simulator.post("/fault", verb=arguments[1], host=arguments[2])
        return types.SimpleNamespace(returncode=0)

    def _connection(self, host: Any) -> Callable[[float], Any]:
        original = type(host).connection

        def connection(timeout: float) -> Any:
            return original(host, self._scaled.timeout(timeout))

        return connection

    def _connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        """Port 80 is not to be had by everybody: the simulator's plain port stands for it."""
        host, port = address
        if port == 80:
            port = self._simulator.plain_port
        return socket.create_connection((host, port), self._scaled.timeout(timeout))


def describe(differences: list[tuple[Any, ...]]) -> str:
    lines = []
    for kind, where, old, new in differences:
        lines += [f"{kind} {where}", f"  recorded: {old}", f"  new:      {new}"]
    return "\n".join(lines)
