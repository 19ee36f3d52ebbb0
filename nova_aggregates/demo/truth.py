"""What the hosts themselves say, read with the official XenAPI SDK and nothing of the service."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import XenAPI

from nova_aggregates.demo.errors import Mismatch


@dataclasses.dataclass(frozen=True)
class SimulatedHost:
    """One line of the simulator's inventory."""

    name: str
    address: str
    port: int
    username: str
    password: str = dataclasses.field(repr=False)
    fingerprint: str
    zone: str
    uuid: str


@dataclasses.dataclass(frozen=True)
class RealPool:
    """A pool as its master tells it. ``members`` and ``ready`` hold host uuids."""

    uuid: str
    name: str
    master: str
    members: frozenset[str]
    ready: frozenset[str]  # enabled, live and with every shared storage attached
    user_guests: int


def read_inventory(document: Mapping[str, Any]) -> list[SimulatedHost]:
    known = {field.name for field in dataclasses.fields(SimulatedHost)}
    return [
        SimulatedHost(**{key: value for key, value in entry.items() if key in known})
        for entry in document["hosts"]
    ]


class Truth:
    """Reads pools at the hosts. Remembers which password each host must now have: after a join it
    is the pool's, and an ejected host keeps it (xapi: dbsync.ml, config_file_sync.ml)."""

    def __init__(self, hosts: Sequence[SimulatedHost]) -> None:
        self._passwords = {host.uuid: host.password for host in hosts}
        self._by_address = {host.address: host for host in hosts}

    @contextlib.contextmanager
    def _session(self, host: SimulatedHost) -> Iterator[Any]:
        session = XenAPI.Session(f"https://{host.address}:{host.port}", ignore_ssl=True)
        session.login_with_password(
            host.username, self._passwords[host.uuid], "1.0", "nova-aggregates-truth"
        )
        try:
            yield session.xenapi
        finally:
            session.logout()

    def master_of(self, host: SimulatedHost) -> SimulatedHost:
        """The host itself when it is a master, else the one that it names."""
        try:
            with self._session(host):
                return host
        except XenAPI.Failure as failure:
            if failure.details[0] != "HOST_IS_SLAVE":
                raise Mismatch(f"{host.name} answers {failure.details} to a login") from None
            return self._by_address[failure.details[1]]

    def pool_of(self, host: SimulatedHost) -> RealPool:
        """The pool that ``host`` is the master of.

        :raises Mismatch: it is not a master, or does not take its password.
        """
        try:
            with self._session(host) as xenapi:
                return _read_pool(xenapi)
        except XenAPI.Failure as failure:
            raise Mismatch(f"{host.name} answers {failure.details}") from None

    def joined(self, host: SimulatedHost, master: SimulatedHost) -> None:
        self._passwords[host.uuid] = self._passwords[master.uuid]

    def expect_pool(
        self, master: SimulatedHost, members: Sequence[SimulatedHost], name: str
    ) -> RealPool:
        """Check the whole pool from both sides.

        :raises Mismatch: saying what differs.
        """
        for member in members:
            if member is not master:
                self.joined(member, master)
        pool = self.pool_of(master)
        wanted = frozenset(member.uuid for member in members)
        _same("pool name", pool.name, name)
        _same("master", pool.master, master.uuid)
        _same("members", pool.members, wanted)
        _same("members enabled, live and with storage", pool.ready, wanted)
        for member in members:
            _same(f"master named by {member.name}", self.master_of(member).name, master.name)
        return pool

    def expect_alone(self, host: SimulatedHost, *, not_in: RealPool | None = None) -> None:
        """``host`` is a pool of one without a name (and not the pool that it has left)."""
        pool = self.pool_of(host)
        _same(f"pool name at {host.name}", pool.name, "")
        _same(f"members at {host.name}", pool.members, frozenset({host.uuid}))
        if not_in is not None and pool.uuid == not_in.uuid:
            raise Mismatch(f"{host.name} still answers as the pool {pool.uuid} that it has left")


def _read_pool(xenapi: Any) -> RealPool:
    (pool,) = xenapi.pool.get_all_records().values()
    hosts = xenapi.host.get_all_records()
    metrics = xenapi.host_metrics.get_all_records()
    storage = xenapi.SR.get_all_records()
    lacking = {
        pbd["host"]
        for pbd in xenapi.PBD.get_all_records().values()
        if not pbd["currently_attached"] and storage[pbd["SR"]]["shared"]
    }
    guests = [
        vm
        for vm in xenapi.VM.get_all_records().values()
        if vm["power_state"] == "Running" and not vm["is_control_domain"]
    ]
    return RealPool(
        uuid=pool["uuid"],
        name=pool["name_label"],
        master=hosts[pool["master"]]["uuid"],
        members=frozenset(host["uuid"] for host in hosts.values()),
        ready=frozenset(
            host["uuid"]
            for ref, host in hosts.items()
            if host["enabled"] and metrics[host["metrics"]]["live"] and ref not in lacking
        ),
        user_guests=len(guests),
    )


def _same(what: str, actual: object, wanted: object) -> None:
    if actual != wanted:
        raise Mismatch(f"{what}: the hosts say {actual!r}, expected {wanted!r}")
