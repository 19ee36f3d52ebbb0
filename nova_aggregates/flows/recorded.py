"""XenServer as an operation sees it: every changing call is put on the operation's record, and none
is sent once the operation is no longer ours."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

from nova_aggregates.flows.hypervisor import Hypervisor, Session
from nova_aggregates.flows.upkeep import Upkeep
from nova_aggregates.objects import Finding, Holdings
from nova_aggregates.xenapi.errors import XenError
from nova_aggregates.xenapi.types import Endpoint, PoolView

EVENT = "xenapi"
DONE = "SUCCESS"

T = TypeVar("T")
Record = Callable[[Mapping[str, str | float]], None]


class RecordedSession:
    def __init__(self, session: Session, record: Record, allow: Callable[[], object]) -> None:
        self.session = session
        self._record = record
        self._allow = allow

    @functools.cached_property
    def upkeep(self) -> Upkeep:
        return self.session.upkeep.recorded(self._change)

    def __enter__(self) -> Self:
        self.session.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.session.__exit__(kind, error, trace)

    @property
    def where(self) -> str:
        return self.session.where

    def observe(self) -> PoolView:
        return self.session.observe()

    def set_name(self, name: str) -> None:
        self._change("pool.set_name_label", lambda: self.session.set_name(name))

    def join(self, master_address: str, username: str, password: str) -> None:
        self._change("pool.join", lambda: self.session.join(master_address, username, password))

    def eject(self, host_uuid: str) -> None:
        self._change("pool.eject", lambda: self.session.eject(host_uuid))

    def designate_new_master(self, host_uuid: str) -> None:
        self._change(
            "pool.designate_new_master", lambda: self.session.designate_new_master(host_uuid)
        )

    def sync_database(self) -> None:
        self._change("pool.sync_database", self.session.sync_database)

    def enable_tls_verification(self) -> None:
        self._change("pool.enable_tls_verification", self.session.enable_tls_verification)

    def disable(self, host_uuid: str) -> None:
        self._change("host.disable", lambda: self.session.disable(host_uuid))

    def enable(self, host_uuid: str) -> None:
        self._change("host.enable", lambda: self.session.enable(host_uuid))

    def declare_dead(self, host_uuid: str) -> None:
        self._change("host.declare_dead", lambda: self.session.declare_dead(host_uuid))

    def destroy_host(self, host_uuid: str) -> None:
        self._change("host.destroy", lambda: self.session.destroy_host(host_uuid))

    def _change(self, method: str, call: Callable[[], T]) -> T:
        self._allow()
        began = time.monotonic()
        try:
            answer = call()
        except XenError as error:
            self._note(method, began, error.code)
            raise
        self._note(method, began, DONE)
        return answer

    def _note(self, method: str, began: float, outcome: str) -> None:
        seconds = round(time.monotonic() - began, 3)
        self._record({"method": method, "host": self.where, "seconds": seconds, "outcome": outcome})


class RecordedHypervisor:
    """
    :param record: takes a line for the record; never an argument of a call, which may be a secret.
    :param allow: called before every changing call; raises when there must be none any more.
    """

    def __init__(self, hypervisor: Hypervisor, record: Record, allow: Callable[[], object]) -> None:
        self._hypervisor = hypervisor
        self._record = record
        self._allow = allow

    def host(self, endpoint: Endpoint) -> RecordedSession:
        return self._wrapped(self._hypervisor.host(endpoint))

    def pool(self, candidates: Sequence[Endpoint], pool_uuid: str) -> RecordedSession:
        return self._wrapped(self._hypervisor.pool(candidates, pool_uuid))

    def join_findings(self, joiner: Session, pool: Session) -> tuple[Finding, ...]:
        return self._hypervisor.join_findings(_bare(joiner), _bare(pool))

    def leave_findings(self, pool: Session, host_uuid: str) -> tuple[Finding, ...]:
        return self._hypervisor.leave_findings(_bare(pool), host_uuid)

    def holdings(self, pool: Session) -> Mapping[str, Holdings]:
        return self._hypervisor.holdings(_bare(pool))

    def _wrapped(self, session: Session) -> RecordedSession:
        return RecordedSession(session, self._record, self._allow)


def _bare(session: Session) -> Session:
    return session.session if isinstance(session, RecordedSession) else session
