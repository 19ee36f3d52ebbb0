"""A simulated site without sockets, in a loop whose clock jumps: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Coroutine
from typing import Any

from nova_aggregates.simulator import builder, server
from nova_aggregates.simulator.builder import Plan
from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.dispatch import dispatch
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Machine, Process
from nova_aggregates.simulator.profile import STANDARD, Profile

assert server.METHOD_MODULES  # importing it registers the methods
PASSWORD = "secret"
SEEN: list[list[str]] = []  # every failure that a call was answered with


class JumpingLoop(asyncio.SelectorEventLoop):
    """When nothing is left to do, it is already the time of the next thing."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0

    def time(self) -> float:
        return self._virtual

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._virtual = max(self._virtual, self._scheduled[0]._when)
        super()._run_once()


class World:
    """The site and a client of it."""

    def __init__(self, plan: Plan) -> None:
        self.clock = Clock()
        self.site = builder.build(plan, self.clock)
        self._plan = plan
        self._sessions: dict[Process, str] = {}

    async def start(self) -> World:
        await builder.start_site(self.site, self._plan)
        return self

    def __getitem__(self, position: int) -> Machine:
        return self.site.machines[position]

    def db(self, position: int) -> Database:
        return builder.own_database(self[position])

    def host(self, position: int, at: int = 0) -> str:
        """The reference of a host's record in the database of another."""
        return self.db(at).by_uuid("host", self[position].disk.uuid)

    async def raw(self, position: int, method: str, *params: Any) -> Any:
        process = self[position].process
        assert process is not None
        try:
            return await dispatch(process, method, list(params))
        except ApiError as error:
            SEEN.append(error.description)
            raise

    async def call(self, position: int, method: str, *params: Any) -> Any:
        """With a session at that host, made when needed."""
        process = self[position].process
        assert process is not None
        ref = self._sessions.get(process)
        if ref is None:
            password = self[position].disk.password
            ref = await self.raw(position, "session.login_with_password", "root", password)
            self._sessions[process] = ref
        return await self.raw(position, method, ref, *params)

    async def local(self, position: int, method: str, *params: Any) -> Any:
        password = self[position].disk.password
        ref = await self.raw(position, "session.slave_local_login_with_password", "root", password)
        return await self.raw(position, method, ref, *params)

    async def failure(self, position: int, method: str, *params: Any) -> list[str]:
        """The ErrorDescription of a call that must fail."""
        try:
            result = await self.call(position, method, *params)
        except ApiError as error:
            return error.description
        raise AssertionError(f"{method} succeeded with {result!r}")

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def join(self, joiner: int, pool: int = 0, method: str = "pool.join") -> Any:
        target = self[pool]
        address, password = target.address, target.disk.password
        return await self.call(joiner, method, address, "root", password)

    async def pool(self, *members: int) -> None:
        """Make a pool of the first host and these, each enabled before the next one joins."""
        for member in members:
            await self.join(member)
            while not self.db(0).get("host", self.host(member))["enabled"]:
                await self.sleep(1)


def run(
    scenario: Any,
    *,
    hosts: int = 2,
    profile: Profile = STANDARD,
    shared_storage: bool = False,
    **changes: Any,
) -> Any:
    """Run ``scenario(world)`` to its end in a loop of its own."""

    async def play() -> Any:
        plan = Plan(
            hosts=hosts,
            profile=profile,
            password=PASSWORD,
            guests=False,
            shared_storage=shared_storage,
        )
        plan = dataclasses.replace(plan, **changes)
        world = await World(plan).start()
        return await scenario(world)

    return _run(play())


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    loop = JumpingLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
