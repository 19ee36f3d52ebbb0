"""A pool with guests, watched past all of our own code by the XenAPI SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import XenAPI

from nova_aggregates.manager import MaintenanceManager
from nova_aggregates.objects import MaintenanceMode, MaintenanceWish, Operation
from nova_aggregates.simulator.testing import SimulatedSite
from tests.unit.flows.bench import WHO, Bench, until

MIB = 2**20


class Fleet:
    def __init__(self, bench: Bench, site: SimulatedSite, aggregate: int) -> None:
        self.bench = bench
        self.site = site
        self.aggregate = aggregate
        self.maintenance = MaintenanceManager(bench.database, bench.managers.hosts._secrets)
        self.uuids = {host.name: host.uuid for host in site.hosts}

    @classmethod
    def build(cls, bench: Bench, site: SimulatedSite) -> Fleet:
        aggregate = bench.aggregate("blue")
        added = [bench.add(aggregate, host.name) for host in site.hosts]
        bench.succeeded(*added, seconds=120)
        return cls(bench, site, aggregate)

    @contextlib.contextmanager
    def session(self) -> Iterator[Any]:
        """At whichever host is the master now."""
        host = self.site.hosts[0]
        for _attempt in range(3):
            session = XenAPI.Session(host.url, ignore_ssl=True)
            try:
                session.login_with_password(host.username, host.password, "1.0", "fleet")
            except XenAPI.Failure as failure:
                if failure.details[0] != "HOST_IS_SLAVE":
                    raise
                host = next(h for h in self.site.hosts if h.address == failure.details[1])
                continue
            try:
                yield session.xenapi
            finally:
                session.logout()
            return
        raise AssertionError("no master")

    # Guests

    def guest(self, name: str, host: str, *, memory: int = 512 * MIB) -> str:
        """A running one without local disks; its uuid."""
        master = self.master()
        ref = self.site.change("add-guest", master, name=name, memory=memory, running=False, disk=0)
        with self.session() as xenapi:
            xenapi.VM.start_on(ref, self.host_ref(xenapi, host), False, False)
            return str(xenapi.VM.get_uuid(ref))

    def host_ref(self, xenapi: Any, host: str) -> str:
        return str(xenapi.host.get_by_uuid(self.uuids[host]))

    def master(self) -> str:
        with self.session() as xenapi:
            (pool,) = xenapi.pool.get_all_records().values()
            uuid = xenapi.host.get_uuid(pool["master"])
        return next(name for name, known in self.uuids.items() if known == uuid)

    def where(self) -> Mapping[str, str]:
        """Guest name -> host name, of all guests that run."""
        with self.session() as xenapi:
            hosts = {r: xenapi.host.get_uuid(r) for r in xenapi.host.get_all()}
            guests = xenapi.VM.get_all_records().values()
        names = {uuid: name for name, uuid in self.uuids.items()}
        return {
            guest["name_label"]: names[hosts[guest["resident_on"]]]
            for guest in guests
            if guest["power_state"] == "Running" and not guest["is_control_domain"]
        }

    def host(self, name: str) -> dict[str, Any]:
        with self.session() as xenapi:
            return dict(xenapi.host.get_record(self.host_ref(xenapi, name)))

    def tidy(self) -> None:
        """Nobody in maintenance, no guest left."""
        for host in self.bench.managers.hosts.index():
            if host.maintenance_mode is MaintenanceMode.ON:
                self.back(host.name)
        with self.session() as xenapi:
            for ref, guest in xenapi.VM.get_all_records().items():
                if guest["is_control_domain"] or guest["is_a_template"]:
                    continue
                xenapi.VM.set_blocked_operations(ref, {})
                if guest["power_state"] != "Halted":
                    xenapi.VM.hard_shutdown(ref)
                xenapi.VM.destroy(ref)

    def live(self, name: str) -> bool:
        with self.session() as xenapi:
            metrics = xenapi.host.get_metrics(self.host_ref(xenapi, name))
            return bool(xenapi.host_metrics.get_live(metrics))

    # Requests

    def begin(self, host: str, **wish: Any) -> str:
        goal = self.maintenance.set(
            WHO, host, maintenance=True, enabled=None, wish=MaintenanceWish(**wish)
        )
        return self._queued(goal.operation)

    def end(self, host: str, **wish: Any) -> str:
        goal = self.maintenance.set(
            WHO, host, maintenance=False, enabled=None, wish=MaintenanceWish(**wish)
        )
        return self._queued(goal.operation)

    def into(self, host: str, **wish: Any) -> Operation:
        (operation,) = self.bench.succeeded(self.begin(host, **wish), seconds=60)
        return operation

    def back(self, host: str) -> Operation:
        (operation,) = self.bench.succeeded(self.end(host), seconds=60)
        return operation

    def power(self, host: str, action: Any) -> str:
        return self._queued(self.maintenance.power(WHO, host, action))

    def _queued(self, operation: Operation | None) -> str:
        assert operation is not None
        for runner in self.bench.runners:
            runner.wake()
        return operation.uuid

    def events(self, uuid: str, kind: str) -> list[Mapping[str, Any]]:
        events = self.bench.managers.operations.events(uuid)
        return [event.data for event in events if event.kind == kind]

    def wait_event(self, uuid: str, state: str) -> Mapping[str, Any]:
        """The first event of a guest in this state, once it is there."""
        until(lambda: any(e["state"] == state for e in self.events(uuid, "guest")))
        return next(e for e in self.events(uuid, "guest") if e["state"] == state)
