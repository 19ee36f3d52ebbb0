"""Replays what a real xapi was recorded to do, against the simulator, in virtual time.

The recordings come with their own replay and compare tools. Those wait in real seconds; here they
and the simulated hosts share a clock that moves on when all of them wait (see ``lockstep``).
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

from nova_aggregates.simulator import changes
from nova_aggregates.simulator.builder import Plan
from nova_aggregates.simulator.profile import BARE
from nova_aggregates.simulator.server import Simulation
from nova_aggregates.simulator.testing import free_place
from tests.conformance.lockstep import Lockstep, Wire

VARIABLE = "NOVA_AGGREGATES_XAPI_OBSERVED"
ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "observed"
LETTERS = "ABCD"
# Timelines whose recording stopped long before what the scenario, as it stands, waits for.
CUT_SHORT = {("eject-timeline", "rejoin")}
# One scenario asks every 10 ms for half a minute; less often it sees the same answers. In seconds.
SHORTEST_PAUSE = 0.15


def directory() -> Path | None:
    """Where the recordings are, or None."""
    given = os.environ.get(VARIABLE)
    places = [Path(given)] if given else [p / "shared" / "xapi-observed" for p in ROOT.parents]
    return next((p for p in places if (p / "tools" / "replay.py").is_file()), None)


class Simulator:
    """Four fresh hosts like the recorded ones; the fourth has a CPU of another vendor."""

    def __init__(self, lockstep: Lockstep) -> None:
        base, (self.port, self.plain_port) = free_place()
        self._lockstep = lockstep
        plan = Plan(
            hosts=len(LETTERS),
            base_address=base,
            password=PASSWORD,
            profile=BARE,
            shared_storage=False,
            storage_of_pools=True,
            other_vendor=(len(LETTERS) - 1,),
        )
        lockstep.run(self._start(plan))
        self.urls = [f"https://{m.address}:{self.port}" for m in self._simulation.site.machines]

    async def _start(self, plan: Plan) -> None:
        self._simulation = Simulation(
            plan, port=self.port, time_scale=1.0, plain_port=self.plain_port
        )
        await self._simulation.start()

    def stop(self) -> None:
        self._lockstep.run(self._simulation.stop())

    def reset(self) -> None:
        self._lockstep.run(self._simulation.reset())

    def fault(self, verb: str, host: str) -> None:
        self._lockstep.run(changes.fault(self._simulation.site, verb, host))


def clock(lockstep: Lockstep) -> types.SimpleNamespace:
    """In place of the module time."""
    return types.SimpleNamespace(
        monotonic=lockstep.monotonic,
        sleep=lambda seconds: lockstep.sleep(max(seconds, SHORTEST_PAUSE)),
        time=time.time,
    )


def threads(lockstep: Lockstep) -> types.ModuleType:
    """In place of the module threading."""
    found = types.ModuleType("threading")
    found.__dict__.update(threading.__dict__)
    found.__dict__.update(Thread=lockstep.thread_class(), Event=lockstep.event)
    return found


class Tools:
    """The recordings' replay.py and compare.py, loaded once."""

    def __init__(self, where: Path) -> None:
        self.where = where
        sys.dont_write_bytecode = True
        self.replay: Any = _load("replay", where / "tools" / "replay.py")
        self.compare: Any = _load("compare", where / "tools" / "compare.py")
        self._scenarios = [
            _load(path.stem, path) for path in sorted((where / "scenarios").glob("*.py"))
        ]
        self.recorded: dict[str, list[dict[str, Any]]] = self.compare.load(str(where / "recorded"))

    def run_in(self, lockstep: Lockstep, taking_part: types.ModuleType) -> None:
        """From now on the tools' time is that of the simulated hosts."""
        self.replay.time, self.replay.threading = clock(lockstep), taking_part
        for module in self._scenarios:
            module.time = clock(lockstep)

    @property
    def names(self) -> list[str]:
        """In an order that shares pools, as the tool itself has it."""
        known = self.replay.SCENARIOS
        return sorted(
            self.recorded, key=lambda n: (known[n]["leaves"] == "dirty", known[n]["needs"], n)
        )

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

    def __init__(self, tools: Tools, simulator: Simulator, lockstep: Lockstep) -> None:
        self.tools = tools
        self._simulator = simulator
        self._wire = Wire(lockstep)
        self._threading = threads(lockstep)
        tools.run_in(lockstep, self._threading)
        replay = tools.replay
        replay.subprocess = types.SimpleNamespace(run=self._command, DEVNULL=None)
        pairs = zip(LETTERS, simulator.urls, strict=True)
        hosts = [replay.Host(letter, url) for letter, url in pairs]
        for host in hosts:
            host.connection = functools.partial(
                self._wire.connection, host.addr, simulator.plain_port
            )
            host.raw = functools.partial(self._raw, host.addr, host.port)
        self._world = replay.Site(hosts, "root", PASSWORD, fault="fault")
        self._runner = replay.Runner(self._world, reset="reset")

    def run(self, name: str) -> dict[str, Any]:
        scenario = self.tools.replay.SCENARIOS[name]
        real = sys.modules["threading"]
        sys.modules["threading"] = self._threading  # for a scenario that imports it by itself
        try:
            recorded: dict[str, Any] = self._runner.run(scenario)
        finally:
            sys.modules["threading"] = real
        return recorded

    def _command(self, arguments: list[str], **_: Any) -> types.SimpleNamespace:
        if arguments[0] == "reset":
            self._simulator.reset()
        else:
            self._simulator.fault(arguments[1], arguments[2])
        return types.SimpleNamespace(returncode=0)

    def _raw(
        self, address: str, port: int, data: bytes, timeout: float = 30, plain: bool = False
    ) -> tuple[bytes, bytes]:
        """Port 80 is not to be had by everybody: the simulator's plain port stands for it."""
        port = self._simulator.plain_port if plain else port
        return self._wire.exchange(address, port, data, timeout, tls=not plain)


def describe(differences: list[tuple[Any, ...]]) -> str:
    lines = []
    for kind, where, old, new in differences:
        lines += [f"{kind} {where}", f"  recorded: {old}", f"  new:      {new}"]
    return "\n".join(lines)
