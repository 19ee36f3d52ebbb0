"""Compares every pool with its aggregate. Differences are recorded as drift; the policy of their
kind says what else is done about them."""

from __future__ import annotations

import dataclasses
import functools
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator

from oslo_config import cfg

from nova_aggregates.exceptions import (
    AggregateNotFound,
    DatabaseUnavailable,
    NovaAggregatesError,
)
from nova_aggregates.flows import pool_import
from nova_aggregates.flows.differences import differences, unreachable
from nova_aggregates.flows.hypervisor import Hypervisor
from nova_aggregates.flows.pool_import import Source
from nova_aggregates.flows.work import Managers, endpoint_of
from nova_aggregates.manager.drift import DriftManager
from nova_aggregates.manager.drift_kinds import DriftKind, Policies, policies_of
from nova_aggregates.manager.repair import AUDIT
from nova_aggregates.objects import (
    Aggregate,
    AggregateState,
    DriftFinding,
    DriftPolicy,
    ImportedPool,
    Pool,
)
from nova_aggregates.xenapi.errors import XenError

LOG = logging.getLogger(__name__)


class Audit:
    """:param interval: seconds between two comparisons of a pool.
    :param concurrency: pools that are compared at the same time.
    :param read: looks at a whole pool, so that strangers in it can be adopted.
    """

    def __init__(
        self,
        managers: Managers,
        drift: DriftManager,
        hypervisor: Hypervisor,
        *,
        interval: float,
        concurrency: int,
        policies: Policies,
        read: Callable[[Source], ImportedPool],
    ) -> None:
        self._managers = managers
        self._drift = drift
        self._hypervisor = hypervisor
        self._interval = interval
        self._concurrency = concurrency
        self._policies = policies
        self._read = read
        self._stop = threading.Event()
        self._due: dict[int, float] = {}
        self._pending: set[int] = set()
        self._waiting: queue.Queue[int] = queue.Queue()

    @classmethod
    def from_conf(
        cls, conf: cfg.ConfigOpts, managers: Managers, drift: DriftManager, hypervisor: Hypervisor
    ) -> Audit:
        """By the group [audit].

        :raises ConfigurationInvalid: a policy is none, or not for its kind.
        """
        group = conf.audit
        return cls(
            managers,
            drift,
            hypervisor,
            interval=group.interval,
            concurrency=group.concurrency,
            policies=policies_of(group.policies),
            read=functools.partial(pool_import.read, conf),
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
        if any(finding.policy is not DriftPolicy.REPORT for finding in findings):
            self._act(before)

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
            yield self._under_policy(unreachable(error))
            return
        yield from map(self._under_policy, differences(aggregate, pool, members, view))

    def _under_policy(self, finding: DriftFinding) -> DriftFinding:
        return dataclasses.replace(finding, policy=self._policies[DriftKind(finding.kind)])

    def _act(self, aggregate: Aggregate) -> None:
        for found in self._drift.seen_before(aggregate.id):
            policy = self._policies[DriftKind(found.finding.kind)]
            if policy is DriftPolicy.ENFORCE:
                self._drift.enforce(found)
            elif policy is DriftPolicy.ADOPT:
                if found.finding.kind == DriftKind.MEMBER_UNKNOWN:
                    self._import(aggregate)
                else:
                    self._drift.adopt(found)

    def _import(self, aggregate: Aggregate) -> None:
        """Strangers are what an import of the pool would find."""
        pool = self._managers.pools.show(aggregate.id)
        members = self._managers.pools.members(aggregate.id)
        master = next((host for host in members if pool and host.id == pool.master_host_id), None)
        if pool is None or master is None:
            return
        source = Source(
            address=master.address,
            port=master.port,
            credentials=pool.credentials,
            trust=master.trust,
            zone=aggregate.availability_zone or master.zone,
            name=aggregate.name,
        )
        try:
            done = self._managers.aggregates.import_pool(AUDIT, self._read(source))
        except NovaAggregatesError as reason:
            LOG.warning("drift.not_adopted aggregate=%s reason=%s", aggregate.id, reason)
        else:
            LOG.warning("drift.adopted aggregate=%s hosts=%s", aggregate.id, ",".join(done.joined))
