"""Keeps the figure of how many hosts each pool can lose at this moment. It only looks."""

from __future__ import annotations

import datetime
import logging
import threading

from nova_aggregates.exceptions import NovaAggregatesError
from nova_aggregates.flows.hypervisor import Hypervisor
from nova_aggregates.flows.work import Managers, endpoint_of
from nova_aggregates.objects import HeadroomFigure
from nova_aggregates.xenapi.errors import XenError
from nova_aggregates.xenapi.evacuation.plan import headroom

LOG = logging.getLogger(__name__)
FRESH = 0.8  # of the interval: another manager computed the figure that lately


class HeadroomWatch:
    """:param interval: seconds between two figures of a pool."""

    def __init__(self, managers: Managers, hypervisor: Hypervisor, interval: float) -> None:
        self._managers = managers
        self._hypervisor = hypervisor
        self._interval = interval
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin, in the background. Nobody needs to wait for its end."""
        threading.Thread(target=self._loop, name="headroom", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self._tour()
            except NovaAggregatesError as reason:
                LOG.debug("headroom.waits reason=%s", reason)
            except Exception:
                LOG.exception("headroom.defect")
            self._stop.wait(min(self._interval, 30.0))

    def _tour(self) -> None:
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        fresh = datetime.timedelta(seconds=self._interval * FRESH)
        for aggregate in self._managers.aggregates.index():
            if self._stop.is_set():
                return
            known = self._managers.upkeep.headroom(aggregate.id)
            if known is None or known.computed_at < now - fresh:
                self.compute(aggregate.id)

    def compute(self, aggregate_id: int) -> None:
        """Look at one pool now; one that does not answer keeps its last figure.

        :raises NovaAggregatesError: the database does not answer.
        """
        pool = self._managers.pools.show(aggregate_id)
        members = self._managers.pools.members(aggregate_id)
        if pool is None or not members:
            return
        order = sorted(members, key=lambda host: host.id != pool.master_host_id)
        try:
            candidates = [endpoint_of(host, pool.credentials) for host in order]
            with self._hypervisor.pool(candidates, pool.xen_uuid) as session:
                found = headroom(session.upkeep.facts())
        except XenError as error:
            LOG.debug("headroom.skipped aggregate=%s reason=%s", aggregate_id, error)
            return
        at = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        figure = HeadroomFigure(found.hosts, found.guest, found.reason, found.lost, at)
        self._managers.upkeep.set_headroom(aggregate_id, figure)
