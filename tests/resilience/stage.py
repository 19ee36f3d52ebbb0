"""A site, a database and managers: one request after the other is played and judged here."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid as uuids
import xmlrpc.client
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import XenAPI

from nova_aggregates.db import migration, tables
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import (
    AggregateManager,
    HostManager,
    OperationManager,
    PoolManager,
)
from nova_aggregates.objects import (
    Action,
    AggregateState,
    Credentials,
    HostRegistration,
    HostStatus,
    Operation,
    OperationFailure,
    OperationState,
    Requester,
    Trust,
)
from tests.databases import empty_tables
from tests.functional.flows.truth import PoolTruth, Truth
from tests.resilience.launcher import Order
from tests.resilience.processes import Launcher, Manager
from tests.resilience.witness import HAND_OVER, ONCE, Seen, Trap, WitnessedSite

PROMISE = 30.0  # seconds from a free lock to the end of the operation
LAST_BREATH = 0.3
QUIET_SECONDS = 10.0  # for the pool to settle after that
WHO = Requester(user_id="admin", project_id="demo", request_id="req-resilience")
BOOKS = ("atomdetails", "flowdetails", "logbooks")
CONFIG = """
[auth]
strategy = noauth
[database]
connection = {url}
[coordination]
backend_url = {locks}
namespace = {namespace}
[credentials]
key_file = {key}
[manager]
poll_interval = 0.05
observe_interval = 86400
retry_delay = 0.2
[xenapi]
poll_interval = 0.02
role_change_window = {fuse}
disabled_grace = 0.5
outage_deadline = 20
join_deadline = 20
eject_deadline = 20
handover_deadline = 20
call_timeout = 10
connect_timeout = 5
"""
# A simulated host restarts 10 virtual seconds after it agreed: 20 ms at a time scale of 500.
FUSE = 0.4


@dataclasses.dataclass(frozen=True)
class Scene:
    """An aggregate as it is when nothing is under way; the first member is the master."""

    members: tuple[str, ...]
    name: str = "blue"


@dataclasses.dataclass(frozen=True)
class Play:
    """One request, with the scenes before it and after its success."""

    before: Scene
    after: Scene
    subject: str  # the host that comes or goes, or the master
    request: Callable[[Stage], Sequence[Operation | None]]  # its operations, in their order
    ends: OperationState = OperationState.SUCCEEDED  # what success is


@dataclasses.dataclass(frozen=True)
class Flow:
    """A kind of request; what exactly is asked for depends on the scene."""

    name: str
    members: int  # before
    after: int  # its success
    play: Callable[[Scene], Play]
    # Whether its every step is tried in the small choice; the others are made of the same steps.
    elementary: bool = True


def _add(scene: Scene) -> Play:
    new = next(host for host in HOSTS if host not in scene.members)
    after = dataclasses.replace(scene, members=(*scene.members, new))

    def request(stage: Stage) -> list[Operation | None]:
        return [stage.aggregates.add_host(WHO, stage.aggregate, new).operation]

    return Play(scene, after, new, request)


def _remove(scene: Scene, position: int) -> Play:
    old = scene.members[position]
    after = dataclasses.replace(scene, members=tuple(h for h in scene.members if h != old))

    def request(stage: Stage) -> list[Operation | None]:
        return [stage.aggregates.remove_host(WHO, stage.aggregate, old).operation]

    return Play(scene, after, old, request)


def _rename(scene: Scene) -> Play:
    name = "azure" if scene.name == "blue" else "blue"
    after = dataclasses.replace(scene, name=name)

    def request(stage: Stage) -> list[Operation | None]:
        return [stage.aggregates.update(WHO, stage.aggregate, name=name).operation]

    return Play(scene, after, scene.members[0], request)


def _wish(scene: Scene) -> Play:
    """A new member, the role for the old one that stays, and the old master leaves."""
    _, stays = scene.members
    new = next(host for host in HOSTS if host not in scene.members)
    after = dataclasses.replace(scene, members=(stays, new))

    def request(stage: Stage) -> list[Operation | None]:
        wanted = stage.aggregates.set_hosts(WHO, stage.aggregate, [stays, new], stays)
        return [step.operation for step in wanted.steps if step.operation is not None]

    return Play(scene, after, new, request)


def _cancel(scene: Scene) -> Play:
    """Of what a manager that died had begun."""
    play = _add(scene)

    def request(stage: Stage) -> list[Operation | None]:
        operation = _begun(stage, play)
        return [stage.operations.cancel(WHO, operation.uuid)]

    return dataclasses.replace(play, after=scene, request=request, ends=OperationState.CANCELLED)


def _retry(scene: Scene) -> Play:
    """Of what had failed."""
    play = _add(scene)

    def request(stage: Stage) -> list[Operation | None]:
        operation = _begun(stage, play)
        stage.operations.fail(operation, OperationFailure("X", "It failed.", "Retry it."))
        return [stage.operations.retry(WHO, operation.uuid)]

    return dataclasses.replace(play, request=request)


def _begun(stage: Stage, play: Play) -> Operation:
    (operation,) = play.request(stage)
    assert operation is not None
    return stage.operations.take(operation.uuid, "a manager that died")


HOSTS = ("host1", "host2", "host3")
FLOWS = (
    Flow("add_host first", 0, 1, _add),
    Flow("rename_pool", 1, 1, _rename),
    Flow("add_host further", 1, 2, _add),
    Flow("remove_host slave", 2, 1, lambda scene: _remove(scene, -1)),
    Flow("remove_host master", 2, 1, lambda scene: _remove(scene, 0)),
    Flow("remove_host last", 1, 0, lambda scene: _remove(scene, 0)),
    Flow("PUT hosts", 2, 2, _wish, elementary=False),
    Flow("cancel", 1, 1, _cancel, elementary=False),
    Flow("retry", 1, 2, _retry, elementary=False),
)


def start_anew(database: Database) -> None:
    """Remove every row; but a generation never comes again, because API servers keep answers."""
    with database.read() as connection:
        last = connection.execute(sa.select(tables.generation.c.value)).scalar_one()
    empty_tables(database)
    with database.transaction() as connection:
        connection.execute(sa.update(tables.generation).values(value=last + 1))
        for table in BOOKS:
            connection.execute(sa.text(f"DELETE FROM {table}"))


class Stage:
    """:param url: of an empty database; it is migrated here. A SQLite file by default.
    :param locks: tooz URL of the lock service; files by default.
    :param key: file of the Fernet keys; beside the database by default.
    """

    def __init__(
        self,
        directory: Path,
        site: WitnessedSite,
        launcher: Launcher,
        url: str | None = None,
        locks: str | None = None,
        key: Path | None = None,
    ) -> None:
        self.directory = directory
        self.site = site
        self.launcher = launcher
        self.truth = Truth(site)
        self.url = url or f"sqlite:///{directory}/service.sqlite"
        migration.sync(self.url)
        self.database = Database(self.url)
        key = key or directory / "key"
        if not key.exists():
            SecretBox.create(key)
        box = SecretBox(key)
        self.aggregates = AggregateManager(self.database, box)
        self.hosts = HostManager(self.database, box)
        self.operations = OperationManager(self.database, box)
        self.pools = PoolManager(self.database, box)
        locks = locks or f"file://{directory}/locks"
        self.config = directory / "manager.conf"
        self.config.write_text(
            CONFIG.format(
                url=self.url,
                locks=locks,
                namespace=f"test-{uuids.uuid4().hex[:12]}",
                key=key,
                fuse=FUSE,
            ),
            encoding="utf-8",
        )
        self.log = directory / "log"
        self.trace = directory / "trace"
        self.aggregate = 0
        self.scene: Scene | None = None
        self.asked: list[str] = []  # operations of the last request

    def close(self) -> None:
        self.launcher.kill_all()
        self.database.dispose()

    # Managers

    def start(self, **more: Any) -> Manager:
        """:param more: see :class:`Order`."""
        return self.launcher.start(self.order(**more))

    def order(self, *, trace: bool = False, **more: Any) -> Order:
        return Order(
            config=str(self.config),
            log=str(self.log),
            trace=str(self.trace) if trace else None,
            **more,
        )

    def launch_into(self, trap: Trap, **more: Any) -> Manager:
        """A manager that is killed when its call with the trap's number arrives."""
        # The trap must be set before the first call, and needs the number of the process.
        manager = self.launcher.start(self.order(paused=True, **more))
        self.site.witness.arm(dataclasses.replace(trap, pid=manager.pid))
        manager.go_on()
        return manager

    def dies(self, manager: Manager, uuid: str) -> bool:
        """Wait until the manager is dead, or has done all there is to do."""

        def over() -> bool:
            if not manager.alive:
                return True
            return self.operations.show(uuid).state.ended and not self.books()

        self.wait_for(over, PROMISE, lambda: self.told(self.operations.show(uuid)))
        # The last point is right after what was looked for here.
        end = time.monotonic() + LAST_BREATH
        while manager.alive and time.monotonic() < end:
            time.sleep(0.005)
        return not manager.alive

    # Requests

    def arrange(self, members: int) -> Scene:
        """The scene of the last play when it ended well and fits, else a new one.

        A pool's last host keeps the shared storage, with which it could not join another pool: so
        what begins without a pool begins with a new site.
        """
        if self.scene is None or not members or len(self.scene.members) != members:
            self.scene = None
            self._renew(HOSTS[:members])
            self.scene = Scene(HOSTS[:members])
        self.log.unlink(missing_ok=True)
        self.trace.unlink(missing_ok=True)
        return self.scene

    def renew(self) -> None:
        """Fresh hosts, all registered, and nothing else."""
        self.launcher.kill_all()
        self.site.witness.rest()
        self.site.reset()
        start_anew(self.database)
        self.register()

    def _renew(self, members: Sequence[str]) -> None:
        self.renew()
        self.aggregate = self.create("blue")
        if not members:
            return
        manager = self.start()
        for host in members:
            accepted = self.aggregates.add_host(WHO, self.aggregate, host)
        assert accepted.operation is not None
        done = self.ended(accepted.operation.uuid)
        assert done.state is OperationState.SUCCEEDED, self.told(done)
        self.wait_for(lambda: not self.books(), 5, "open logbooks")
        manager.kill()

    def register(self) -> None:
        """All hosts of the site."""
        for host in self.site.hosts:
            self.hosts.register(
                WHO,
                HostRegistration(
                    name=host.name,
                    address=host.address,
                    port=host.port,
                    credentials=Credentials(host.username, host.password),
                    trust=Trust(fingerprint=host.fingerprint),
                    zone="east",
                ),
            )

    def create(self, name: str) -> int:
        """An empty aggregate; its id."""
        return self.aggregates.create(WHO, name=name, availability_zone="east").id

    def unfinished(self) -> list[Operation]:
        """Oldest first."""
        found = [
            operation
            for state in (OperationState.RUNNING, OperationState.QUEUED)
            for operation in self.operations.index(state=state, limit=1000)
        ]
        return found[::-1]

    def request(self, play: Play) -> Operation:
        """The last operation of the request: it ends when all have ended."""
        accepted = [each for each in play.request(self) if each is not None]
        self.asked = [each.uuid for each in accepted]
        return accepted[-1]

    # Judgement

    def ended(self, uuid: str, seconds: float = PROMISE) -> Operation:
        self.wait_for(
            lambda: self.operations.show(uuid).state.ended,
            seconds,
            lambda: self.told(self.operations.show(uuid)),
        )
        return self.operations.show(uuid)

    def judge(
        self,
        play: Play,
        history: Sequence[Seen],
        *,
        may_fail: bool = False,
        broken_off: bool = False,
    ) -> None:
        """Database and pools agree with each other and with the operation's end; the next play
        may begin where this one ended.

        :param may_fail: whether undone is as good as done.
        :param broken_off: whether a host died, and with it a change of master may have.
        """
        self.scene = None
        ended = [self.operations.show(uuid) for uuid in self.asked]
        done = all(each.state is play.ends for each in ended)
        scene = play.after if done else self._undone(play.before, ended)
        told = "\n".join(map(self.told, ended))
        fit = {play.ends, OperationState.SUCCEEDED}
        if may_fail:
            fit.add(OperationState.FAILED)
        assert done or (may_fail and {each.state for each in ended} <= fit), told
        again = self._hand_overs_lost() if broken_off else 0
        self._judge_calls(history, told, hand_overs=max(1 + again, 1 if done else 2))
        self.judge_pools({scene.name: scene.members}, told)
        self.wait_for(lambda: not self.books(), 5, f"open logbooks {told}")
        for uuid in self.asked:
            fences = [event.fence for event in self.operations.events(uuid)]
            assert fences == sorted(fences), told
        self.launcher.kill_all()
        self.scene = scene

    def _undone(self, before: Scene, ended: Sequence[Operation]) -> Scene:
        """What the operations that did succeed have made of it."""
        members = list(before.members)
        for each in ended:
            if each.state is OperationState.SUCCEEDED and each.action is Action.ADD_HOST:
                members.append(each.host or "")
            if each.state is OperationState.SUCCEEDED and each.action is Action.REMOVE_HOST:
                members.remove(each.host or "")
        return dataclasses.replace(before, members=self.master_first(members))

    def master_first(self, members: Sequence[str]) -> tuple[str, ...]:
        """A role that could not be given back may be anybody's."""

        def masters() -> list[str]:
            return [host for host in members if self._is_master(host)]

        if len(members) > 1:
            self.wait_for(lambda: len(masters()) == 1, QUIET_SECONDS, self.pools_seen)
            (master,) = masters()
            return (master, *(host for host in members if host != master))
        return tuple(members)

    def _is_master(self, host: str) -> bool:
        try:
            return self.truth.pool(host).master == host
        except (OSError, XenAPI.Failure, xmlrpc.client.Error):
            return False

    def judge_pools(self, pools: dict[str, tuple[str, ...]], told: str) -> None:
        """Exactly these pools (by name, members with the master first) exist, all other hosts
        stand alone, every host is in service, and the database says so, too."""
        try:
            self.wait_for(lambda: self._settled(pools), QUIET_SECONDS, lambda: self.pools_seen())
        except AssertionError as error:
            raise AssertionError(f"{error}\n{told}") from None
        stored = {each.name: each for each in self.aggregates.index()}
        members = {host: name for name, hosts in pools.items() for host in hosts}
        for name, hosts in pools.items():
            aggregate = stored[name]
            assert set(aggregate.hosts) == set(hosts), told
            pool = self.pools.show(aggregate.id)
            if not hosts:
                assert pool is None, told
                assert aggregate.state is AggregateState.CREATED, told
                continue
            assert aggregate.state is AggregateState.ACTIVE, told
            real = self.truth.pool(hosts[0])
            assert pool is not None, told
            assert pool.xen_uuid == real.uuid, told
            assert pool.master_host_id == self.hosts.show(real.master).id, told
            assert pool.credentials.password == self.site.host(hosts[0]).password, told
        for host in self.site.hosts:
            kept = self.hosts.show(host.name)
            assert self.hosts.credentials(kept.id).password == host.password, told
            wanted = HostStatus.ENABLED if host.name in members else HostStatus.DISABLED
            assert kept.status is wanted, told

    def _hand_overs_lost(self) -> int:
        """Changes of master that failed or had no answer, by the operations' own record."""
        events = [event for uuid in self.asked for event in self.operations.events(uuid)]
        return sum(
            event.data.get("method") == "pool.designate_new_master"
            and event.data.get("outcome") != "SUCCESS"
            for event in events
        )

    def _judge_calls(self, history: Sequence[Seen], told: str, *, hand_overs: int) -> None:
        for method in ONCE:
            made = [each for each in history if each.method == method and each.carried_out]
            # The master's role goes back, or is given once more.
            most = hand_overs if method == HAND_OVER else 1
            assert len(made) <= most, f"{method} twice: {made} {told}"

    def _settled(self, pools: dict[str, tuple[str, ...]]) -> bool:
        members = {host for hosts in pools.values() for host in hosts}
        try:
            for name, hosts in pools.items():
                if hosts:
                    real = self.truth.pool(hosts[0])
                    everyone = frozenset(hosts)
                    if (real.name, real.hosts, real.ready) != (name, everyone, everyone):
                        return False
            return all(
                self._alone(self.truth.pool(host.name))
                for host in self.site.hosts
                if host.name not in members
            )
        except (OSError, XenAPI.Failure, xmlrpc.client.Error):
            return False

    @staticmethod
    def _alone(real: PoolTruth) -> bool:
        return real.name == "" and real.ready == real.hosts and len(real.hosts) == 1

    def pools_seen(self) -> str:
        seen = []
        for host in self.site.hosts:
            try:
                seen.append(f"{host.name}: {self.truth.pool(host.name)}")
            except (OSError, XenAPI.Failure, xmlrpc.client.Error) as error:
                seen.append(f"{host.name}: {error}")
        return "\n".join(seen)

    def told(self, operation: Operation) -> str:
        """All that helps to understand a failure."""
        events = [
            f"{event.fence} {event.kind} {json.dumps(event.data)}"
            for event in self.operations.events(operation.uuid)
        ]
        calls = [
            f"{seen.at:.3f} {seen.host} {seen.method} {'' if seen.carried_out else 'LOST'}"
            for seen in self.site.witness.history
            if not seen.method.startswith(("session.", "task."))
        ]
        log = self.log.read_text(encoding="utf-8")[-6000:] if self.log.exists() else ""
        return "\n".join(
            [f"{operation.state} {operation.failure} {operation.fence}", *events, *calls, log]
        )

    def books(self) -> int:
        with self.database.read() as connection:
            found = connection.execute(sa.text("SELECT count(*) FROM logbooks"))
            return int(found.scalar_one())

    @staticmethod
    def wait_for(
        condition: Callable[[], bool], seconds: float, tell: Callable[[], str] | str = ""
    ) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                told = tell if isinstance(tell, str) else tell()
                raise AssertionError(f"not within {seconds:g} s: {told}")
            time.sleep(0.01)
