"""Keeps the inventory and last_seen of every registered host fresh: members through the master of
their pool, all others directly. It only reads, and stays away from whatever an operation works on.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import queue
import random
import threading
import time
from collections.abc import Iterator

from nova_aggregates.exceptions import DatabaseUnavailable, NovaAggregatesError
from nova_aggregates.flows.hypervisor import Hypervisor
from nova_aggregates.flows.inventory import NOTHING, guests_of, inventory_of
from nova_aggregates.flows.set_status import differs
from nova_aggregates.flows.work import MANY, Managers, endpoint_of
from nova_aggregates.objects import Holdings, Host, OperationState, Pool, Requester
from nova_aggregates.xenapi.errors import XenError
from nova_aggregates.xenapi.types import HostView

LOG = logging.getLogger(__name__)
READERS = 8
OURSELVES = Requester(user_id="nova-aggregates", project_id="", request_id="")
FRESH = 0.8  # of the interval: somebody else read the host that lately


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What one reading covers: the hosts of an aggregate, or one host in none (aggregate 0)."""

    aggregate_id: int
    hosts: tuple[Host, ...]

    @property
    def key(self) -> str:
        return f"a{self.aggregate_id}" if self.aggregate_id else f"h{self.hosts[0].id}"


class HostWatch:
    """:param interval: seconds between two readings of a host."""

    def __init__(self, managers: Managers, hypervisor: Hypervisor, interval: float) -> None:
        self._managers = managers
        self._hypervisor = hypervisor
        self._interval = interval
        self._tick = max(0.05, min(5.0, interval / 10))
        self._stop = threading.Event()
        self._due: dict[str, float] = {}
        self._waiting: queue.Queue[Target] = queue.Queue()
        self._pending: set[str] = set()
        self._trouble: dict[str, str] = {}  # by host name: what its last reading failed with

    def start(self) -> None:
        """Begin to read, in the background. Nobody needs to wait for its end."""
        loops = [self._plan] + [self._read] * READERS
        for number, loop in enumerate(loops):
            threading.Thread(target=loop, name=f"watch-{number}", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _plan(self) -> None:
        while not self._stop.is_set():
            try:
                self._enqueue()
            except DatabaseUnavailable as reason:
                LOG.debug("watch.database_unavailable reason=%s", reason)
            except Exception:
                LOG.exception("watch.defect")
            self._stop.wait(self._tick)

    def _enqueue(self) -> None:
        now = time.monotonic()
        targets = {target.key: target for target in self._targets()}
        self._due = {key: moment for key, moment in self._due.items() if key in targets}
        for key, target in targets.items():
            if self._due.get(key, now) > now or key in self._pending:
                continue
            # A new host is read at once; the spread comes with the following readings.
            self._due[key] = now + self._interval * random.uniform(0.9, 1.1)  # noqa: S311
            self._pending.add(key)
            self._waiting.put(target)

    def _targets(self) -> Iterator[Target]:
        """All hosts, without those that an operation works on."""
        hosts = {host.name: host for host in self._managers.hosts.index()}
        running = self._managers.operations.index(state=OperationState.RUNNING, limit=MANY)
        busy = {operation.aggregate_id for operation in running}
        taken = {operation.host for operation in running}
        for aggregate in self._managers.aggregates.index():
            members = tuple(hosts.pop(name) for name in aggregate.hosts if name in hosts)
            if members and aggregate.id not in busy:
                yield Target(aggregate.id, members)
        for host in hosts.values():
            if host.name not in taken:
                yield Target(0, (host,))

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                target = self._waiting.get(timeout=1.0)
            except queue.Empty:
                continue
            try:
                self._observe(target)
            except NovaAggregatesError as reason:
                LOG.debug("watch.skipped target=%s reason=%s", target.key, reason)
            except Exception:
                LOG.exception("watch.defect target=%s", target.key)
            finally:
                self._pending.discard(target.key)

    def _observe(self, target: Target) -> None:
        oldest = _now() - datetime.timedelta(seconds=self._interval * FRESH)
        if all(host.last_seen and host.last_seen > oldest for host in target.hosts):
            return
        pool = self._managers.pools.show(target.aggregate_id) if target.aggregate_id else None
        if pool is not None:
            self._observe_pool(target, pool)
            return
        for host in target.hosts:
            self._observe_host(host)

    def _observe_pool(self, target: Target, pool: Pool) -> None:
        order = sorted(
            target.hosts, key=lambda host: (host.id != pool.master_host_id, not host.xen_uuid)
        )
        candidates = [endpoint_of(host, pool.credentials) for host in order]
        try:
            with self._hypervisor.pool(candidates, pool.xen_uuid) as session:
                view = session.observe()
                held = self._hypervisor.holdings(session)
        except XenError as error:
            for host in target.hosts:
                self._note(host, error.code, str(error))
            return
        for host in target.hosts:
            own = view.host(host.xen_uuid) if host.xen_uuid else None
            if own is None:
                # Not there yet, or gone: what that means is not for a reader to judge.
                continue
            if differs(own, host.maintenance_mode):
                self._managers.upkeep.follow(OURSELVES, host.id, target.aggregate_id)
            if own.live:
                self._store(host, own, held.get(own.uuid, NOTHING))
            else:
                self._note(host, "HOST_NOT_LIVE", "the pool's master has no contact with it")

    def _observe_host(self, host: Host) -> None:
        credentials = self._managers.hosts.credentials(host.id)
        try:
            with self._hypervisor.host(endpoint_of(host, credentials)) as session:
                view = session.observe()
        except XenError as error:
            self._note(host, error.code, str(error))
            return
        own = view.master or (view.hosts[0] if view.hosts else None)
        if own is None:
            self._note(host, "HOST_UNKNOWN", "it does not know itself")
        elif host.xen_uuid not in (None, own.uuid):
            self._note(host, "HOST_IDENTITY_CHANGED", f"its uuid is {own.uuid} now")
        else:
            # In no pool of ours there is no eject, and nothing to lose.
            self._store(host, own, NOTHING)

    def _store(self, host: Host, view: HostView, held: Holdings) -> None:
        self._managers.hosts.observed(
            host.id,
            xen_uuid=view.uuid,
            inventory=inventory_of(view),
            seen_at=_now(),
            holdings=held,
            guests=guests_of(view),
        )
        if self._trouble.pop(host.name, None):
            LOG.info("host.seen_again host=%s", host.name)

    def _note(self, host: Host, code: str, reason: str) -> None:
        self._managers.hosts.not_seen(host.id, _now(), f"{code}: {reason}")
        if self._trouble.get(host.name) != code:
            self._trouble[host.name] = code
            LOG.warning("host.not_seen host=%s code=%s reason=%s", host.name, code, reason)


def _now() -> datetime.datetime:
    """Naive UTC, as everywhere in the database."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
