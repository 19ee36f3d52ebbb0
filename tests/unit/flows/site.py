"""XenServer in memory: implements ``nova_aggregates.flows.hypervisor`` without a network or a
clock. What takes time on a real host takes a number of observations here.

``site.fail[VERB]`` is a list of things to raise: ``("before", error)`` leaves the call undone,
``("after", error)`` loses its answer. ``site.kills`` makes a call of any kind raise Interrupted now
and then, which is to a flow what the death of its manager is.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from nova_aggregates.flows.inventory import NOTHING
from nova_aggregates.flows.outcome import Interrupted
from nova_aggregates.objects import Finding, Holdings
from nova_aggregates.xenapi import errors
from nova_aggregates.xenapi.types import Capacity, Endpoint, HostView, PoolView

GIB = 2**30
KILL_CHANCE = 0.08


class FakePool:
    def __init__(self, master: FakeHost, password: str) -> None:
        self.uuid = str(uuid.uuid4())
        self.name = ""
        self.master = master
        self.hosts = [master]
        self.password = password
        self.tls = False
        self.synced_with = 1  # hosts that were there at the last sync_database
        self.stale: list[FakeHost] = []  # records without a host
        self.successor: FakeHost | None = None  # agreed to, while the old master still serves
        self.serves_for = 0  # contacts

    def tick(self) -> None:
        """A change of master takes place some time after it was agreed to."""
        if self.successor is None:
            return
        self.serves_for -= 1
        if self.serves_for < 0:
            self.master, self.successor = self.successor, None
            for host in self.hosts:
                host.sticky_disabled = False
                host.restart()
                host.away_for = host.delay


class FakeHost:
    def __init__(self, number: int, delay: int) -> None:
        self.name = f"h{number}"
        self.address = f"127.0.9.{number}"
        self.uuid = str(uuid.uuid4())
        self.fingerprint = f"{number:064x}"
        self.delay = delay
        self.enabled = True
        self.live = True
        self.arrives_in = 0  # observations until it is live and enabled again
        self.away_for = 0  # contacts until it answers again
        self.dead = False
        self.sticky_disabled = False  # disabled so that it stays so across restarts
        self.storage_missing: tuple[str, ...] = ()
        self.offered: set[str] = set()  # every password that a login came with
        self.pool = FakePool(self, f"secret-of-{self.name}")

    def restart(self) -> None:
        self.enabled = self.live = False
        self.arrives_in = self.delay

    def tick(self) -> None:
        if self.arrives_in:
            self.arrives_in -= 1
            if not self.arrives_in and not self.dead:
                self.live = True
                self.enabled = not self.sticky_disabled

    def view(self, pool: FakePool) -> HostView:
        stale = self not in pool.hosts
        return HostView(
            ref=f"OpaqueRef:{self.uuid}",
            uuid=self.uuid,
            name=self.name,
            hostname=self.name,
            address=self.address,
            enabled=self.enabled and not stale,
            live=self.live and not stale,
            is_master=pool.master is self,
            guests=(),
            storage_missing=self.storage_missing,
            boot_time=1.0,
            agent_start_time=1.0,
            current_operations=(),
            tls_verification_enabled=pool.tls,
            pending_guidances=(),
            other_config={},
            product="Fake 1",
            edition="",
            capacity=Capacity(8, 1, 64 * GIB, 60 * GIB, 100 * GIB, 10 * GIB),
        )


class FakeSite:
    def __init__(self, count: int, delay: int = 2) -> None:
        self.hosts = [FakeHost(number, delay) for number in range(1, count + 1)]
        self.calls: list[tuple[str, str]] = []  # changing calls: (verb, host or pool name)
        self.fail: dict[str, list[tuple[str, BaseException]]] = defaultdict(list)
        self.join_problems: dict[str, tuple[Finding, ...]] = {}  # by host name
        self.holdings_of: dict[str, Holdings] = {}
        self.leave_problems: dict[str, tuple[Finding, ...]] = {}
        self.kills: random.Random | None = None
        self.gate: Callable[[str, str], None] = lambda verb, about: None
        self.looked: Callable[[], None] = lambda: None  # called by every observation

    def __getitem__(self, name: str) -> FakeHost:
        return next(host for host in self.hosts if host.name == name)

    def host(self, endpoint: Endpoint) -> FakeSession:
        self._interfere("host", lambda: None)
        host = next((h for h in self.hosts if h.address == endpoint.address), None)
        where = endpoint.where
        if host is not None:
            host.pool.tick()
        if host is None or host.dead:
            raise errors.Unreachable("UNREACHABLE", (where, "no route"))
        if host.away_for:
            host.away_for -= 1
            raise errors.Unreachable("UNREACHABLE", (where, "connection refused"))
        if endpoint.trust.fingerprint not in (None, host.fingerprint):
            raise errors.CertificateRefused("CERTIFICATE_REFUSED", (where, "fingerprint"))
        host.offered.add(endpoint.password)
        if host.pool.master is not host:
            raise errors.IsSlave("HOST_IS_SLAVE", (host.pool.master.address,), where=where)
        if endpoint.password != host.pool.password:
            raise errors.AuthenticationFailed(
                "SESSION_AUTHENTICATION_FAILED", (endpoint.username, "no"), where=where
            )
        return FakeSession(self, host)

    def pool(self, candidates: Sequence[Endpoint], pool_uuid: str) -> FakeSession:
        problems: list[errors.XenError] = []
        for endpoint in candidates:
            try:
                session = self.host(endpoint)
            except errors.XenError as problem:
                problems.append(problem)
                continue
            if session.master.pool.uuid == pool_uuid:
                return session
            problems.append(
                errors.IdentityMismatch("IDENTITY_MISMATCH", ("the pool", pool_uuid, "other"))
            )
        lost = errors.NoMasterFound("NO_MASTER_FOUND", ("; ".join(map(str, problems)),))
        lost.problems = tuple(problems)
        raise lost

    def join_findings(self, joiner: FakeSession, pool: FakeSession) -> tuple[Finding, ...]:
        return self.join_problems.get(joiner.master.name, ())

    def leave_findings(self, pool: FakeSession, host_uuid: str) -> tuple[Finding, ...]:
        host = next(host for host in self.hosts if host.uuid == host_uuid)
        return self.leave_problems.get(host.name, ())

    def holdings(self, pool: FakeSession) -> dict[str, Holdings]:
        hosts = pool.master.pool.hosts
        if len(hosts) == 1:
            return {hosts[0].uuid: NOTHING}
        return {host.uuid: self.holdings_of.get(host.name, NOTHING) for host in hosts}

    def _interfere(self, verb: str, effect: Callable[[], None]) -> None:
        when: str
        error: BaseException
        if self.kills is not None and self.kills.random() < KILL_CHANCE:
            when, error = self.kills.choice(("before", "after")), Interrupted("killed")
        elif self.fail[verb]:
            when, error = self.fail[verb].pop(0)
        else:
            effect()
            return
        if when == "after":
            effect()
        raise error


class FakeSession:
    def __init__(self, site: FakeSite, master: FakeHost) -> None:
        self.site = site
        self.master = master

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_exc: object) -> None:
        return

    @property
    def where(self) -> str:
        return f"{self.master.address}:443"

    @property
    def upkeep(self) -> Any:
        raise AssertionError("maintenance is tested against the simulator")

    def _change(self, verb: str, about: str, effect: Callable[[], None]) -> None:
        self.site.calls.append((verb, about))
        self.site.gate(verb, about)
        self.site._interfere(verb, effect)

    def _host(self, host_uuid: str) -> FakeHost:
        pool = self.master.pool
        for host in (*pool.hosts, *pool.stale):
            if host.uuid == host_uuid:
                return host
        raise errors.ObjectGone("UUID_INVALID", ("host", host_uuid))

    def observe(self) -> PoolView:
        self.site._interfere("observe", lambda: None)
        self.site.looked()
        pool = self.master.pool
        for host in pool.hosts:
            host.tick()
        return PoolView(
            ref="OpaqueRef:pool",
            uuid=pool.uuid,
            name=pool.name,
            master_ref=f"OpaqueRef:{pool.master.uuid}",
            master_uuid=pool.master.uuid,
            hosts=tuple(host.view(pool) for host in (*pool.hosts, *pool.stale)),
            ha_enabled=False,
            tls_verification_enabled=pool.tls,
            current_operations=(),
            other_config={},
        )

    def set_name(self, name: str) -> None:
        def effect() -> None:
            self.master.pool.name = name

        self._change("set_name", name, effect)

    def join(self, master_address: str, username: str, password: str) -> None:
        def effect() -> None:
            host = self.master
            target = next(h for h in self.site.hosts if h.address == master_address).pool
            assert password == target.password
            assert all(each.live for each in target.hosts), "a join beside a restarting member"
            assert target.tls == host.pool.tls
            target.stale = [each for each in target.stale if each is not host]
            target.hosts.append(host)
            host.pool = target
            host.restart()

        self._change("join", self.master.name, effect)

    def eject(self, host_uuid: str) -> None:
        host = self._host(host_uuid)

        def effect() -> None:
            assert host is not self.master, "the master cannot be ejected"
            assert self.master.pool.successor is None, "what the old master does is lost"
            password = self.master.pool.password
            self.master.pool.hosts.remove(host)
            host.pool = FakePool(host, password)
            host.away_for = host.delay
            host.restart()

        self._change("eject", host.name, effect)

    def designate_new_master(self, host_uuid: str) -> None:
        host = self._host(host_uuid)

        def effect() -> None:
            pool = self.master.pool
            pool.successor = host
            pool.serves_for = 4

        self._change("designate_new_master", host.name, effect)

    def sync_database(self) -> None:
        def effect() -> None:
            self.master.pool.synced_with = len(self.master.pool.hosts)

        self._change("sync_database", self.master.pool.name, effect)

    def enable_tls_verification(self) -> None:
        def effect() -> None:
            self.master.pool.tls = True

        self._change("enable_tls_verification", self.master.name, effect)

    def disable(self, host_uuid: str) -> None:
        host = self._host(host_uuid)

        def effect() -> None:
            host.enabled = False
            host.sticky_disabled = True

        self._change("disable", host.name, effect)

    def enable(self, host_uuid: str) -> None:
        host = self._host(host_uuid)

        def effect() -> None:
            host.enabled = True
            host.sticky_disabled = False

        self._change("enable", host.name, effect)

    def declare_dead(self, host_uuid: str) -> None:
        host = self._host(host_uuid)

        def effect() -> None:
            assert host.dead

        self._change("declare_dead", host.name, effect)

    def destroy_host(self, host_uuid: str) -> None:
        host = self._host(host_uuid)

        def effect() -> None:
            pool = self.master.pool
            assert host in pool.stale or host.dead, "the record of a living host"
            (pool.stale if host in pool.stale else pool.hosts).remove(host)

        self._change("destroy_host", host.name, effect)
