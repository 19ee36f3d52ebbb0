"""What the flows ask of XenServer: the one interface between them and the driver.

``nova_aggregates.flows.driver`` implements it on the real driver; the unit tests implement it in
memory. Every method may raise a :class:`nova_aggregates.xenapi.errors.XenError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from nova_aggregates.flows.upkeep import Upkeep
from nova_aggregates.objects import Finding, Holdings
from nova_aggregates.xenapi.types import Endpoint, PoolView


class Session(Protocol):
    """A login at the master of a pool (a standalone host is one). Ends with the ``with`` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @property
    def where(self) -> str:
        """Whom the login is at, as address:port."""

    @property
    def upkeep(self) -> Upkeep:
        """What maintenance and rolling updates ask for."""

    def observe(self) -> PoolView:
        """The pool and its hosts as this master sees them now."""

    def set_name(self, name: str) -> None: ...

    def join(self, master_address: str, username: str, password: str) -> None:
        """This standalone host joins the pool of the master at ``master_address``.

        :raises OutcomeUnknown: it may have joined; look at the pool.
        :raises ApiFailure: it did not join.
        """

    def eject(self, host_uuid: str) -> None: ...

    def designate_new_master(self, host_uuid: str) -> None: ...

    def sync_database(self) -> None: ...

    def enable_tls_verification(self) -> None: ...

    def disable(self, host_uuid: str) -> None:
        """Take the host out of service, so that it stays so across restarts."""

    def enable(self, host_uuid: str) -> None: ...

    def declare_dead(self, host_uuid: str) -> None:
        """The guests on the host do not run any more.

        :raises ApiFailure: the host is alive.
        """

    def destroy_host(self, host_uuid: str) -> None:
        """Forget the record of a host that is not alive in this pool."""


class Hypervisor(Protocol):
    """All of XenServer."""

    def host(self, endpoint: Endpoint) -> Session:
        """Log in at exactly this host.

        :raises IsSlave: it is a member of somebody's pool.
        """

    def pool(self, candidates: Sequence[Endpoint], pool_uuid: str) -> Session:
        """Log in at the master of the pool ``pool_uuid``, found through its known members."""

    def join_findings(self, joiner: Session, pool: Session) -> tuple[Finding, ...]:
        """Every reason why the host cannot join the pool, evaluated at once."""

    def leave_findings(self, pool: Session, host_uuid: str) -> tuple[Finding, ...]:
        """Every reason why the host cannot be ejected, evaluated at once."""

    def holdings(self, pool: Session) -> Mapping[str, Holdings]:
        """What each host of the pool (by uuid) would lose by an eject. A pool of one has no member
        to eject, so nothing can be lost there."""
