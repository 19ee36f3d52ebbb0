"""The real XenServer behind :mod:`nova_aggregates.flows.hypervisor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from oslo_config import cfg

from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.inventory import NOTHING, holdings_of
from nova_aggregates.flows.upkeep import XenUpkeep
from nova_aggregates.networks import Networks
from nova_aggregates.objects import Finding, Holdings, Severity
from nova_aggregates.xenapi import connection, holdings, host, pool, preflight, transport
from nova_aggregates.xenapi import types as xen
from nova_aggregates.xenapi.tasks import Watch
from nova_aggregates.xenapi.types import Endpoint, PoolView, Timeouts


class XenSession:
    def __init__(self, opened: connection.Connection, watch: Watch) -> None:
        self.connection = opened
        self._watch = watch
        self.upkeep = XenUpkeep(opened, watch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection.close()

    @property
    def where(self) -> str:
        return self.connection.endpoint.where

    def observe(self) -> PoolView:
        return pool.observe(self.connection)

    def set_name(self, name: str) -> None:
        pool.set_name(self.connection, name)

    def join(self, master_address: str, username: str, password: str) -> None:
        pool.join(self.connection, master_address, username, password, watch=self._watch)

    def eject(self, host_uuid: str) -> None:
        pool.eject(self.connection, host_uuid, watch=self._watch)

    def designate_new_master(self, host_uuid: str) -> None:
        pool.designate_new_master(self.connection, host_uuid, watch=self._watch)

    def sync_database(self) -> None:
        pool.sync_database(self.connection, watch=self._watch)

    def enable_tls_verification(self) -> None:
        pool.enable_tls_verification(self.connection)

    def disable(self, host_uuid: str) -> None:
        host.disable(self.connection, host_uuid, survive_restart=True, watch=self._watch)

    def enable(self, host_uuid: str) -> None:
        host.enable(self.connection, host_uuid, watch=self._watch)

    def declare_dead(self, host_uuid: str) -> None:
        host.declare_dead(self.connection, host_uuid, watch=self._watch)

    def destroy_host(self, host_uuid: str) -> None:
        host.forget(self.connection, host_uuid, watch=self._watch)


class XenServer:
    """All of XenServer, with the time limits of the group [xenapi]."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        group = conf.xenapi
        self._timeouts = Timeouts(connect=group.connect_timeout, call=group.call_timeout)
        self._originator = group.originator
        transport.permitted = Networks(group.networks, "[xenapi] networks").allows
        self._watch = Watch(interval=min(1.0, group.poll_interval))

    def host(self, endpoint: Endpoint) -> XenSession:
        opened = connection.connect(endpoint, timeouts=self._timeouts, originator=self._originator)
        return XenSession(opened, self._watch)

    def pool(self, candidates: Sequence[Endpoint], pool_uuid: str) -> XenSession:
        opened = connection.connect_pool(
            candidates,
            pool_uuid=pool_uuid,
            timeouts=self._timeouts,
            originator=self._originator,
        )
        return XenSession(opened, self._watch)

    def join_findings(self, joiner: Session, pool: Session) -> tuple[Finding, ...]:
        return _translated(preflight.join_findings(_opened(joiner), _opened(pool)))

    def leave_findings(self, pool: Session, host_uuid: str) -> tuple[Finding, ...]:
        return _translated(preflight.leave_findings(_opened(pool), host_uuid))

    def holdings(self, pool: Session) -> Mapping[str, Holdings]:
        found = holdings.read(_opened(pool))
        if len(found) == 1:
            return dict.fromkeys(found, NOTHING)
        return {
            uuid: holdings_of(each.guests, each.disks, each.storage) for uuid, each in found.items()
        }


def _opened(session: Session) -> connection.Connection:
    if not isinstance(session, XenSession):
        raise TypeError("a session of another hypervisor")
    return session.connection


def _translated(findings: Sequence[xen.Finding]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            check=each.check,
            code=each.code,
            severity=Severity(each.severity.value),
            message=each.message,
            cure=each.cure,
            ours=each.ours,
            theirs=each.theirs,
        )
        for each in findings
    )
