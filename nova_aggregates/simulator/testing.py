"""A simulated site for tests.

::

    from nova_aggregates.simulator.testing import SimulatedSite

    with SimulatedSite(hosts=3, time_scale=100) as site:
        first = site.hosts[0]                      # name, address, port, username, password, …
        session = XenAPI.Session(first.url, ignore_ssl=True)
        site.fault("power-off", "host2")           # and power-on, freeze, thaw, unplug, replug,
                                                   # kill-toolstack
        site.spoil("host1", "pool.join", "drop-after")      # execute, then lose the reply
        site.spoil("host1", "*", "delay", seconds=30)       # virtual seconds
        site.spoil("host1", "host.disable", "error", error=["HOST_OFFLINE", "OpaqueRef:x"])
        site.change("add-guest", "host2", name="web1")      # running, disk on local storage
        site.change("add-disk", "host2", name="data")       # data on the local storage
        site.change("set-hardware", "host3", cpu_vendor="AuthenticAMD")
        site.change("set-hardware", "host3", software={"platform_version": "9.9"})
        site.change("set-password", "host2", password="other")
        site.change("change-certificate", "host2", days=-1)  # expired; gives the fingerprint
        site.change("add-user", "host1", name="ann", password="x", role="read-only")
        site.change("flag", "host2", flag="disabled")        # comes back disabled
        site.change("emergency", "host2", error=["HOST_UNKNOWN_TO_MASTER", "uuid"])
        site.change("set-fields", "host1", cls="pool", values={"ha_enabled": True})
        site.event("wire: hang, host: host1, method: host.evacuate, at: 30")   # see scenario.py
        site.guest("migrate", "web1", "host3")      # and start, shutdown, stop, reboot, suspend, …
        site.call("host1", "pool.set_name_label", "$pool", "renamed by somebody else")
        site.history.summary().moves                # and stops, down, most_moves_from, …
        site.pools                                  # hosts and guests of every pool as they are
        site.reset()                                # all fresh and standalone again

``SimulatedSite(site="hosts: [{name: a}, {name: b}]")`` takes a site file, its path or its text;
addresses in it do not count.

It runs in a thread of this process; port and addresses are free ones, so many may run at once.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nova_aggregates.simulator import changes, exporter, outsider, scenario, site_file
from nova_aggregates.simulator.builder import Plan, plan_of_spec
from nova_aggregates.simulator.history import History
from nova_aggregates.simulator.levels import NEWEST
from nova_aggregates.simulator.profile import PROFILES
from nova_aggregates.simulator.server import PortInUse, Simulation
from nova_aggregates.simulator.spec import SiteSpec

START_SECONDS = 60.0
ATTEMPTS = 20


@dataclass(frozen=True)
class SimulatedHost:
    """A line of the inventory. ``fingerprint`` is SHA-256, hex, lower case, without colons."""

    name: str
    address: str
    port: int
    username: str
    password: str = field(repr=False)
    fingerprint: str
    zone: str
    uuid: str

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"


class SimulatedSite:
    """Context manager: hosts that run while the block does."""

    def __init__(
        self,
        hosts: int = 3,
        *,
        time_scale: float = 100.0,
        zones: tuple[str, ...] = ("nova",),
        profile: str = "standard",
        password: str | None = None,
        guests: bool = False,
        shared_storage: bool = True,
        other_vendor: tuple[int, ...] = (),
        site: SiteSpec | Path | str | None = None,
        xapi: str = NEWEST,
    ) -> None:
        self._options: dict[str, Any] = {
            "hosts": hosts,
            "zones": zones,
            "profile": PROFILES[profile],
            "password": password,
            "guests": guests,
            "shared_storage": shared_storage,
            "other_vendor": other_vendor,
            "xapi": xapi,
        }
        if isinstance(site, Path):
            site = site_file.load(site)
        self._spec = site_file.loads(site) if isinstance(site, str) else site
        self.time_scale = time_scale
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="simulator", daemon=True
        )
        self.simulation: Simulation | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        for attempt in range(ATTEMPTS):
            try:
                self.run(self._start())
            except PortInUse:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return self
        raise AssertionError("unreachable")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.simulation is not None:
            self.run(self.simulation.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()

    async def _start(self) -> None:
        base, (port, plain_port) = free_place()
        if self._spec is None:
            plan = Plan(base_address=base, **self._options)
        else:
            hosts = tuple(replace(h, address="") for h in self._spec.hosts)
            spec, kept = replace(self._spec, hosts=hosts), ("profile", "password")
            options = {k: self._options[k] for k in kept}
            plan = plan_of_spec(spec, base_address=base, **options)
        simulation = Simulation(plan, port=port, time_scale=self.time_scale, plain_port=plain_port)
        await simulation.start()
        self.simulation = simulation

    def run(self, work: Coroutine[Any, Any, Any], timeout: float = START_SECONDS) -> Any:
        """Do something inside the simulator's loop and wait for it (real seconds)."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(timeout)

    @property
    def _running(self) -> Simulation:
        if self.simulation is None:
            raise RuntimeError("the site runs only inside the with block")
        return self.simulation

    @property
    def plain_port(self) -> int:
        """Where the hosts answer without TLS."""
        return self._running.plain_port or 0

    @property
    def hosts(self) -> tuple[SimulatedHost, ...]:
        """The hosts as they are now: a joined one has its pool's password."""
        return tuple(SimulatedHost(**h) for h in self._running.inventory()["hosts"])

    def host(self, name: str) -> SimulatedHost:
        return next(h for h in self.hosts if h.name == name)

    @property
    def inventory(self) -> dict[str, Any]:
        return self._running.inventory()

    def fault(self, verb: str, host: str) -> None:
        """A machine's fault, see ``changes.VERBS``."""
        self.run(changes.fault(self._running.site, verb, host))

    def spoil(self, host: str, method: str, action: str, **more: Any) -> None:
        """Spoil the next call of a method (a shell pattern) at a host, see ``WireFault``."""

        async def add() -> None:
            given = {"host": host, "method": method, "action": action, **more}
            changes.wire(self._running.site, given)

        self.run(add())

    def change(self, change: str, host: str, **arguments: Any) -> Any:
        """Alter the set-up, see ``changes.CHANGES``."""
        given = {"change": change, "host": host, **arguments}
        return self.run(changes.change(self._running.site, given))

    def event(self, event: str | dict[str, Any]) -> None:
        """Any event as site files have it, see ``scenario``; with ``at`` from now on."""
        found = scenario.parse_text(event) if isinstance(event, str) else scenario.parse(event)
        site = self._running.site

        async def happen() -> None:
            if found.at:
                scenario.schedule(site, [found])
            else:
                await scenario.perform(site, found)

        self.run(happen())

    def guest(self, verb: str, guest: str, host: str = "", *, wait: bool = True) -> None:
        """What an outside administrator does, see ``outsider.GUEST_VERBS``."""
        given = {"verb": verb, "guest": guest, "host": host, "wait": wait}
        self.run(changes.guest(self._running.site, given))

    def call(self, host: str, method: str, *args: Any) -> Any:
        """Any call by an outside administrator, see ``outsider.call``."""
        site = self._running.site
        return self.run(outsider.call(changes.machine_of(site, host), method, *args))

    @property
    def history(self) -> History:
        """What happened since the start or the last reset."""
        return self._running.site.history

    @property
    def pools(self) -> list[dict[str, Any]]:
        async def look() -> list[dict[str, Any]]:
            return outsider.overview(self._running.site)

        found: list[dict[str, Any]] = self.run(look())
        return found

    def export(self) -> str:
        """The site file of what there is now."""

        async def write() -> str:
            running = self._running
            return site_file.dumps(exporter.of_simulation(running.site, running.plan))

        text: str = self.run(write())
        return text

    def reset(self) -> None:
        """All hosts fresh and standalone again, without faults."""
        self.run(self._running.reset())


def free_place() -> tuple[str, tuple[int, int]]:
    """A /24 of the loopback network and two ports that nobody else is likely to use."""
    chance = random.Random(os.urandom(8))  # noqa: S311 no secret
    base = f"127.{chance.randrange(20, 250)}.{chance.randrange(1, 250)}.1"
    with socket.socket() as first, socket.socket() as second:
        first.bind((base, 0))
        second.bind((base, 0))
        return base, (first.getsockname()[1], second.getsockname()[1])
