"""A running simulation: the site, its front ends and its periodic work."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

from nova_aggregates.simulator import (
    agility,
    builder,
    evacuation,
    events,
    guests,
    ha_operations,
    host_settings,
    hosts,
    join,
    legacy_events,
    mastership,
    messages,
    migration,
    networks,
    plugins,
    pool_settings,
    pool_updates,
    proposals,
    repositories,
    roles,
    security,
    sessions,
    storage_motion,
    tasks,
    web,
)
from nova_aggregates.simulator import eject as eject_calls
from nova_aggregates.simulator.builder import Plan
from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.http_server import FrontEnd
from nova_aggregates.simulator.lifecycle import power_off
from nova_aggregates.simulator.site import Site

# Importing these modules fills the table of methods.
METHOD_MODULES = (
    agility,
    eject_calls,
    evacuation,
    events,
    guests,
    ha_operations,
    host_settings,
    hosts,
    join,
    legacy_events,
    mastership,
    messages,
    migration,
    networks,
    plugins,
    pool_settings,
    pool_updates,
    proposals,
    repositories,
    roles,
    security,
    sessions,
    storage_motion,
    tasks,
)


class PortInUse(Exception):
    """Something else listens at an address of the site."""


class Simulation:
    """Start, stop and describe one site."""

    def __init__(
        self, plan: Plan, *, port: int, time_scale: float, plain_port: int | None = None
    ) -> None:
        self.plan = plan
        self.port = port
        self.plain_port = plain_port
        self.clock = Clock(time_scale)
        self.site: Site = builder.build(plan, self.clock)
        self._work: asyncio.Task[None] | None = None

    @property
    def ports(self) -> str:
        return f"{self.port} or {self.plain_port}" if self.plain_port else str(self.port)

    async def start(self) -> None:
        """Raises PortInUse."""
        for machine in self.site.machines:
            machine.listener = FrontEnd(machine, self.port, web.handle, plain_port=self.plain_port)
        try:
            await builder.start_site(self.site, self.plan)
        except OSError as error:
            await self.stop()
            if error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
                raise PortInUse(
                    f"port {self.ports} cannot be used at the simulated hosts' addresses "
                    f"({os.strerror(error.errno)}); stop what listens there, or give another --port"
                ) from None
            raise
        self._work = asyncio.get_running_loop().create_task(self._collect())

    async def stop(self) -> None:
        self.site.end_background()
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        for machine in self.site.machines:
            power_off(machine)
            await machine.listener.refuse()

    async def reset(self) -> None:
        """All hosts fresh and standalone again, faults forgotten; uuids and certificates stay."""
        self.site.end_background()
        self.site.faults.clear()
        self.site.directory.clear()
        self.site.updates.clear()
        for position, machine in enumerate(self.site.machines):
            power_off(machine)
            await machine.listener.refuse()
            builder.reset_machine(machine, self.plan, position)
            machine.plugins.clear()
            machine.power = type(machine.power).ON
        await builder.start_site(self.site, self.plan)

    async def _collect(self) -> None:
        """What xapi forgets by itself: sessions and tasks."""
        timings = self.site.profile.timings
        collector = tasks.Collector(timings.task_gc, timings.pending_task_gc)
        while True:
            await self.clock.sleep(timings.gc_pass)
            for machine in self.site.machines:
                process = machine.process
                if process is not None and process.db is not None:
                    sessions.enforce_limits(process, timings.session_idle)
                    collector.collect(process.db, self.clock)

    def inventory(self) -> dict[str, Any]:
        """How to reach the hosts as they are now."""
        return {
            "hosts": [
                {
                    "name": m.name,
                    "address": m.address,
                    "port": self.port,
                    "username": sessions.SUPERUSER,
                    "password": m.disk.password,
                    "fingerprint": m.certificate.sha256,
                    "zone": m.zone,
                    "uuid": m.disk.uuid,
                }
                for m in self.site.machines
            ]
        }


def write_inventory(path: Path, inventory: dict[str, Any]) -> None:
    """Whole or not at all, and readable by its owner only: it holds passwords."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump(inventory, out, indent=1)
    draft.replace(path)
