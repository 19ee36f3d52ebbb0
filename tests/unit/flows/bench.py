"""A runner over a real SQLite database, and short words for what most tests of flows do."""

from __future__ import annotations

import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.flows.engine import Runner, RunnerSettings
from nova_aggregates.flows.hypervisor import Hypervisor
from nova_aggregates.flows.locks import Locks
from nova_aggregates.flows.persistence import Logbooks
from nova_aggregates.flows.work import Managers, Timing
from nova_aggregates.manager import (
    AggregateManager,
    HostManager,
    OperationManager,
    PoolManager,
    SteeringManager,
    UpkeepManager,
)
from nova_aggregates.objects import (
    Action,
    Aggregate,
    Credentials,
    Host,
    HostRegistration,
    Operation,
    OperationState,
    Requester,
    Trust,
)

WHO = Requester(user_id="admin", project_id="demo", request_id="req-1")
FAST = Timing(poll=0.002, join=2.0, eject=2.0, handover=2.0, outage=0.3, fuse=0.4, settle=0.05)
SETTINGS = RunnerSettings(max_operations=16, poll_interval=0.02, retry_interval=0.05)


def make_template(directory: Path) -> Path:
    """An empty database with the newest schema, to be copied."""
    path = directory / "template.sqlite"
    migration.sync(f"sqlite:///{path}")
    SecretBox.create(directory / "template.key")
    return path


class Bench:
    """:param database: one with the newest schema; by default a new SQLite file."""

    def __init__(
        self,
        directory: Path,
        template: Path,
        hypervisor: Hypervisor,
        database: Database | None = None,
    ) -> None:
        self.path = directory / "service.sqlite"
        self.key = directory / "key"
        self.locks_url = f"file://{directory}/locks"
        self.namespace = f"test-{uuid.uuid4().hex[:12]}"
        shutil.copy(template, self.path)
        shutil.copy(template.with_suffix(".key"), self.key)
        self.database = database or Database(f"sqlite:///{self.path}")
        if database is None:
            sa.event.listen(self.database.engine, "connect", _without_fsync)
        box = SecretBox(self.key)
        self.managers = Managers(
            AggregateManager(self.database, box),
            HostManager(self.database, box),
            OperationManager(self.database, box),
            PoolManager(self.database, box),
            UpkeepManager(self.database, box),
            SteeringManager(self.database, box),
        )
        self.hypervisor = hypervisor
        self.logbooks = Logbooks(self.database)
        self.runners: list[Runner] = []
        self.locks: list[Locks] = []

    def runner(self, timing: Timing = FAST, settings: RunnerSettings = SETTINGS) -> Runner:
        """Another runner, not yet started."""
        locks = Locks(self.locks_url, namespace=self.namespace)
        self.locks.append(locks)
        runner = Runner(settings, self.managers, self.hypervisor, timing, self.logbooks, locks)
        self.runners.append(runner)
        return runner

    def start(self, timing: Timing = FAST) -> Runner:
        runner = self.runner(timing)
        runner.start()
        return runner

    def close(self) -> None:
        for runner in self.runners:
            runner.stop()
        for runner in self.runners:
            assert runner.wait(20), "an operation does not stop"
        for locks in self.locks:
            locks.close()
        self.database.dispose()

    # Requests

    def register(
        self,
        name: str,
        address: str,
        password: str,
        *,
        port: int = 443,
        trust: Trust | None = None,
        zone: str = "east",
    ) -> Host:
        return self.managers.hosts.register(
            WHO,
            HostRegistration(
                name=name,
                address=address,
                port=port,
                credentials=Credentials("root", password),
                trust=trust or Trust(insecure=True),
                zone=zone,
            ),
        )

    def aggregate(self, name: str = "blue", zone: str = "east") -> int:
        return self.managers.aggregates.create(WHO, name=name, availability_zone=zone).id

    def add(self, aggregate_id: int, host: str) -> str:
        """The operation's uuid."""
        accepted = self.managers.aggregates.add_host(WHO, aggregate_id, host)
        assert accepted.operation is not None
        return self._queued(accepted.operation)

    def remove(
        self, aggregate_id: int, host: str, *, forget: bool = False, confirm: str | None = None
    ) -> str:
        accepted = self.managers.aggregates.remove_host(
            WHO, aggregate_id, host, forget=forget, confirm=confirm
        )
        assert accepted.operation is not None
        return self._queued(accepted.operation)

    def change_master(self, aggregate_id: int, host: str) -> str:
        hosts = self.show(aggregate_id).hosts
        planned = self.managers.aggregates.set_hosts(WHO, aggregate_id, hosts, host)
        found = [step.operation for step in planned.steps if step.operation is not None]
        assert len(found) == 1
        return self._queued(found[0])

    def preflight(self, aggregate_id: int, action: Action, host: str) -> str:
        return self._queued(self.managers.aggregates.preflight(WHO, aggregate_id, action, host))

    def rename(self, aggregate_id: int, name: str) -> str:
        accepted = self.managers.aggregates.update(WHO, aggregate_id, name=name)
        assert accepted.operation is not None
        return self._queued(accepted.operation)

    def _queued(self, operation: Operation) -> str:
        for runner in self.runners:
            runner.wake()
        return operation.uuid

    # Looking

    def show(self, aggregate_id: int) -> Aggregate:
        return self.managers.aggregates.show(aggregate_id)

    def operation(self, uuid: str) -> Operation:
        return self.managers.operations.show(uuid)

    def ended(self, *uuids: str, seconds: float = 30) -> list[Operation]:
        until(
            lambda: all(self.operation(uuid).state.ended for uuid in reversed(uuids)),
            seconds,
            lambda: [self.operation(uuid) for uuid in uuids],
        )
        return [self.operation(uuid) for uuid in uuids]

    def succeeded(self, *uuids: str, seconds: float = 30) -> list[Operation]:
        operations = self.ended(*uuids, seconds=seconds)
        for operation in operations:
            assert operation.state is OperationState.SUCCEEDED, operation.failure
        return operations

    def steps(self, uuid: str) -> list[str]:
        events = self.managers.operations.events(uuid)
        return [event.data["step"] for event in events if event.kind == "step"]


def _without_fsync(connection: sqlite3.Connection, _record: object) -> None:
    # Only a power failure would tell the difference.
    connection.execute("PRAGMA synchronous=OFF").close()


def until(
    condition: Callable[[], bool], seconds: float = 30, tell: Callable[[], object] = lambda: ""
) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {tell()}"
        time.sleep(0.02)
