"""What the simulated hosts themselves say, by the XenAPI SDK and past all of our own code."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import XenAPI

from nova_aggregates.simulator.testing import SimulatedSite


@dataclasses.dataclass(frozen=True)
class PoolTruth:
    uuid: str
    name: str
    master: str  # names of hosts
    hosts: frozenset[str]
    ready: frozenset[str]  # enabled and live


class Truth:
    def __init__(self, site: SimulatedSite) -> None:
        self._site = site
        self._names = {host.uuid: host.name for host in site.hosts}

    @contextlib.contextmanager
    def session(self, host: str) -> Iterator[Any]:
        found = self._site.host(host)
        session = XenAPI.Session(found.url, ignore_ssl=True)
        session.login_with_password(found.username, found.password, "1.0", "truth")
        try:
            yield session.xenapi
        finally:
            session.logout()

    def pool(self, master: str) -> PoolTruth:
        """The pool whose master the host is; XenAPI.Failure when it is none."""
        with self.session(master) as xenapi:
            (pool,) = xenapi.pool.get_all_records().values()
            hosts = xenapi.host.get_all_records()
            metrics = xenapi.host_metrics.get_all_records()
        names = {ref: self._names[host["uuid"]] for ref, host in hosts.items()}
        ready = frozenset(
            names[ref]
            for ref, host in hosts.items()
            if host["enabled"] and metrics[host["metrics"]]["live"]
        )
        return PoolTruth(
            pool["uuid"],
            pool["name_label"],
            names[pool["master"]],
            frozenset(names.values()),
            ready,
        )

    def master_seen_by(self, host: str) -> str:
        """The address that a slave gives."""
        try:
            with self.session(host):
                return self._site.host(host).address
        except XenAPI.Failure as failure:
            if failure.details[0] != "HOST_IS_SLAVE":
                raise
            return str(failure.details[1])
