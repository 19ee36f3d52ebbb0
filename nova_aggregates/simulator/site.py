"""All hosts of one simulation, and who can reach whom."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.datamodel import Datamodel, load
from nova_aggregates.simulator.errors import ApiError, ProcessGone
from nova_aggregates.simulator.faults import Faults
from nova_aggregates.simulator.history import History
from nova_aggregates.simulator.machine import Machine, Phase, Power, Process
from nova_aggregates.simulator.profile import STANDARD, Profile
from nova_aggregates.simulator.updates import Update

LOG = logging.getLogger(__name__)
POLL = 0.25  # virtual seconds between looks at another host

# What a slave answers by itself, without its master's database.
LOCAL_CALLS = frozenset(
    [
        "host.is_in_emergency_mode",
        "host.local_assert_healthy",
        "host.emergency_disable_tls_verification",
        "host.emergency_reenable_tls_verification",
        "pool.emergency_transition_to_master",
        "pool.emergency_reset_master",
        "session.local_logout",
        "session.logout",
        "host.shutdown_agent",
    ]
)


@dataclass(frozen=True)
class Account:
    """A user of the directory service; ``role`` None may log in nowhere."""

    password: str
    role: str | None


class Site:
    """The network: machines by address, one clock, one set of injected faults."""

    def __init__(self, clock: Clock, profile: Profile = STANDARD) -> None:
        self.clock = clock
        self.profile = profile
        self.model: Datamodel = load()
        self.machines: list[Machine] = []
        self.faults = Faults()
        self.storage_of_pools = False
        self.directory: dict[str, Account] = {}
        self.history = History(clock)
        self.updates: list[Update] = []  # what the repositories of the site offer
        self._background: set[asyncio.Task[Any]] = set()
        self._by_uuid: dict[str, Machine] = {}
        self._by_address: dict[str, Machine] = {}

    def add(self, machine: Machine) -> Machine:
        self.machines.append(machine)
        return machine

    def by_address(self, address: str) -> Machine | None:
        found = self._by_address.get(address)
        if found is None or found.address != address:
            self._by_address = {m.address: m for m in reversed(self.machines)}
            found = self._by_address.get(address)
        return found

    def resolve(self, name: str) -> Machine | None:
        """A machine by address or host name, as the name service of the site would."""
        return self.by_address(name) or next((m for m in self.machines if m.name == name), None)

    def by_uuid(self, uuid: str) -> Machine | None:
        found = self._by_uuid.get(uuid)
        if found is None or found.disk.uuid != uuid:
            self._by_uuid = {m.disk.uuid: m for m in self.machines}
            found = self._by_uuid.get(uuid)
        return found

    def host_name(self, db: Database, host: str) -> str:
        """The machine behind a host record, as it is called in the inventory."""
        record = db.peek("host", host)
        machine = self.by_uuid(record["uuid"]) if record is not None else None
        return machine.name if machine is not None else ""

    def by_name(self, name: str) -> Machine:
        """Raises KeyError; names are as in the inventory."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise KeyError(name)

    def master_of(self, process: Process) -> Machine:
        """The machine that this toolstack takes its orders from; itself for a master."""
        if process.is_master:
            return process.machine
        found = self.by_address(process.master_address or "")
        if found is None:
            raise ProcessGone(process.master_address)
        return found

    def database_of(self, process: Process) -> Database:
        """Raises ProcessGone when the database is not within reach at this moment."""
        if process.db is not None:
            return process.db
        master = self.master_of(process).process
        if master is None or master.db is None:
            raise ProcessGone(process.master_address)
        return master.db

    def within_reach(self, process: Process) -> bool:
        """Does the slave's link to its master's database work?"""
        if process.is_master:
            return True
        master = self.by_address(process.master_address or "")
        return (
            master is not None
            and master.answers
            and master.process is not None
            and master.process.is_master
            and master.thawed.is_set()
        )

    async def reach_master(self, process: Process, unless: str = "") -> None:
        """Wait, if need be for ever, until a slave can use its master's database (observed)."""
        if process.is_master or unless in LOCAL_CALLS:
            return
        if process.phase is Phase.STARTING_SLAVE and not unless:
            hang = process.started + self.profile.timings.session_hang - self.clock.now()
            await self.clock.sleep(hang)
        elif process.phase is Phase.STARTING_SLAVE:
            await process.gone.wait()
        while not self.within_reach(process):
            await self.clock.sleep(POLL)

    async def contact(self, db: Database, host: str) -> Process:
        """The toolstack of a pool member, for a call that is executed there.

        Raises HOST_OFFLINE when it is known to be dead (or unknown at all), CANNOT_CONTACT_HOST
        after the long wait of a connection that nobody answers; waits as long as it is frozen.
        """
        record = db.peek("host", host)
        metrics = db.peek("host_metrics", record["metrics"]) if record else None
        if record is None or metrics is None or not metrics["live"]:
            raise ApiError("HOST_OFFLINE", host)
        machine = self.by_uuid(record["uuid"])
        if machine is None:
            raise ApiError("HOST_OFFLINE", host)
        timings = self.profile.timings
        silent = machine.power is Power.OFF or not machine.plugged
        deadline = self.clock.now() + (timings.unreachable if silent else timings.refusing)
        while not machine.answers or machine.process is None:
            if self.clock.now() >= deadline:
                raise ApiError("CANNOT_CONTACT_HOST", host)
            await self.clock.sleep(POLL)
        await machine.thawed.wait()
        if machine.process is None:
            raise ApiError("CANNOT_CONTACT_HOST", host)
        return machine.process

    async def is_alive(self, db: Database, host: str) -> bool:
        """The short look that host.destroy and declare_dead take (xapi_host.ml is_host_alive)."""
        record = db.get("host", host)
        metrics = db.peek("host_metrics", record["metrics"])
        if metrics is None or not metrics["live"]:
            return False
        machine = self.by_uuid(record["uuid"])
        if machine is not None and machine.answers:
            return True
        await self.clock.sleep(self.profile.timings.probe_dead)
        return False

    def up(self, db: Database, machine: Machine) -> bool:
        """Is the machine's toolstack a working part of the pool whose database this is?

        Between a join and its restart it still is the master of the pool that it left.
        """
        process = machine.process
        if not machine.answers or process is None:
            return False
        if process.is_master:
            return process.db is db
        master = self.by_address(process.master_address or "")
        return master is not None and master.process is not None and master.process.db is db

    def members(self, db: Database) -> Iterable[tuple[str, Machine]]:
        """The machines behind the host records that are machines of this site."""
        for ref, record in db.find("host"):
            machine = self.by_uuid(record["uuid"])
            if machine is not None:
                yield ref, machine

    def background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Something that goes on by itself; its failure is only logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(self.note_crash)

    def end_background(self) -> None:
        """Of what was to happen later, nothing will."""
        for task in list(self._background):
            task.cancel()

    def note_crash(self, task: asyncio.Task[Any]) -> None:
        """Nothing that a simulated host does may fail unseen."""
        if not task.cancelled() and task.exception() is not None:
            LOG.error("a simulated host failed", exc_info=task.exception())
