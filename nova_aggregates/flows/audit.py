"""Compares every pool with its aggregate. It only looks: differences are recorded as drift."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Iterator

from oslo_config import cfg

from nova_aggregates.exceptions import (
    AggregateNotFound,
    DatabaseUnavailable,
    NovaAggregatesError,
)
from nova_aggregates.flows.hypervisor import Hypervisor
from nova_aggregates.flows.work import Managers, endpoint_of
from nova_aggregates.manager.drift import DriftManager
from nova_aggregates.objects import (
    Aggregate,
    AggregateState,
    DriftFinding,
    DriftPolicy,
    Host,
    Pool,
)
from nova_aggregates.xenapi.errors import XenError
from nova_aggregates.xenapi.types import PoolView

LOG = logging.getLogger(__name__)


class Audit:
    """:param interval: seconds between two comparisons of a pool.
    :param concurrency: pools that are compared at the same time.
    """

    def __init__(
        self,
        managers: Managers,
        drift: DriftManager,
        hypervisor: Hypervisor,
        *,
        interval: float,
        concurrency: int,
    ) -> None:
        self._managers = managers
        self._drift = drift
        self._hypervisor = hypervisor
        self._interval = interval
        self._concurrency = concurrency
        self._stop = threading.Event()
        self._due: dict[int, float] = {}
        self._pending: set[int] = set()
        self._waiting: queue.Queue[int] = queue.Queue()

    @classmethod
    def from_conf(
        cls, conf: cfg.ConfigOpts, managers: Managers, drift: DriftManager, hypervisor: Hypervisor
    ) -> Audit:
        """By the group [audit]."""
        group = conf.audit
        return cls(
            managers, drift, hypervisor, interval=group.interval, concurrency=group.concurrency
        )

    def start(self) -> None:
        """Begin, in the background. Nobody needs to wait for its end."""
        for number, loop in enumerate([self._plan] + [self._work] * self._concurrency):
            threading.Thread(target=loop, name=f"audit-{number}", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _plan(self) -> None:
        tick = max(0.05, min(5.0, self._interval / 10))
        while not self._stop.is_set():
            try:
                self._enqueue()
            except DatabaseUnavailable as reason:
                LOG.debug("audit.waits reason=%s", reason)
            except Exception:
                LOG.exception("audit.defect")
            self._stop.wait(tick)

    def _enqueue(self) -> None:
        now = time.monotonic()
        numbers = {aggregate.id for aggregate in self._managers.aggregates.index()}
        self._due = {number: due for number, due in self._due.items() if number in numbers}
        for number in numbers:
            # Spread, so that a restart does not ask every pool at once.
            due = self._due.setdefault(number, now + self._interval * random.random())  # noqa: S311
            if due <= now and number not in self._pending:
                self._due[number] = now + self._interval
                self._pending.add(number)
                self._waiting.put(number)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                number = self._waiting.get(timeout=1.0)
            except queue.Empty:
                continue
            try:
                self.compare(number)
            except NovaAggregatesError as reason:
                LOG.debug("audit.skipped aggregate=%s reason=%s", number, reason)
            except Exception:
                LOG.exception("audit.defect aggregate=%s", number)
            finally:
                self._pending.discard(number)

    def compare(self, aggregate_id: int) -> None:
        """Look at one pool now, unless an operation works on it.

        :raises NovaAggregatesError: there is no such aggregate, or the database does not answer.
        """
        before = self._managers.aggregates.show(aggregate_id)
        pool = self._managers.pools.show(aggregate_id)
        if before.state is AggregateState.CHANGING:
            return
        findings = list(self._look(before, pool)) if pool is not None else []
        try:
            # What an operation changed meanwhile is no drift.
            if self._managers.aggregates.show(aggregate_id) != before:
                return
        except AggregateNotFound:
            findings = []
        self._drift.record(aggregate_id, findings)

    def _look(self, aggregate: Aggregate, pool: Pool) -> Iterator[DriftFinding]:
        members = self._managers.pools.members(aggregate.id)
        order = sorted(members, key=lambda host: host.id != pool.master_host_id)
        if not order:
            return
        try:
            candidates = [endpoint_of(host, pool.credentials) for host in order]
            with self._hypervisor.pool(candidates, pool.xen_uuid) as session:
                view = session.observe()
        except XenError as error:
            yield _finding(
                "pool_unreachable", None, "reachable", error.code, error.message, error.cure
            )
            return
        yield from differences(aggregate, pool, members, view)


def differences(
    aggregate: Aggregate, pool: Pool, members: list[Host], view: PoolView
) -> Iterator[DriftFinding]:
    """Where the record and the pool do not say the same."""
    if view.name != aggregate.name:
        yield _finding(
            "pool_name",
            None,
            aggregate.name,
            view.name,
            "The pool has another name than its aggregate.",
            "Rename the aggregate or the pool.",
        )
    names = {host.xen_uuid: host.name for host in members if host.xen_uuid is not None}
    recorded = next((host for host in members if host.id == pool.master_host_id), None)
    found = view.master
    if found is not None and (recorded is None or recorded.xen_uuid != found.uuid):
        yield _finding(
            "master",
            None,
            recorded.name if recorded else "",
            names.get(found.uuid, found.name),
            "Another host is the master of the pool.",
            "None is needed: the next operation on the pool follows the new master.",
        )
    yield from _of_members(members, view)
    for stranger in view.hosts:
        if stranger.uuid not in names:
            yield _finding(
                "member_unknown",
                stranger.name,
                "no member",
                f"a member, at {stranger.address}",
                f"Host {stranger.name} is in the pool, but not in the aggregate.",
                "Import the pool again, or eject the host.",
            )


def _of_members(members: list[Host], view: PoolView) -> Iterator[DriftFinding]:
    for host in members:
        own = view.host(host.xen_uuid) if host.xen_uuid else None
        if own is None:
            yield _finding(
                "member_missing",
                host.name,
                "a member",
                "no member",
                f"Host {host.name} is in the aggregate, but not in its pool.",
                "Remove it from the aggregate, and add it again if it shall come back.",
            )
        elif not own.live:
            yield _finding(
                "host_not_live",
                host.name,
                "live",
                "not live",
                f"The pool has no contact with host {host.name}.",
                "Look at its power, its network and its toolstack.",
            )


def _finding(
    kind: str, host: str | None, expected: str, found: str, message: str, cure: str
) -> DriftFinding:
    return DriftFinding(host, kind, expected, found, message, cure, DriftPolicy.REPORT)
