"""The first contact with a host that shall be added: who is it, and where does it stand?"""

from __future__ import annotations

import dataclasses

from nova_aggregates.flows.outcome import StepFailed
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Finding, Host, Severity
from nova_aggregates.xenapi.errors import (
    AuthenticationFailed,
    CertificateRefused,
    IsSlave,
    XenError,
)
from nova_aggregates.xenapi.types import HostView, PoolView, canonical_address


@dataclasses.dataclass(frozen=True, slots=True)
class Encounter:
    host_uuid: str
    member: bool  # it is in the aggregate's pool already
    view: PoolView | None  # what the host itself shows; None for one that is not a master


def meet(work: Work) -> Encounter:
    """Log in at the operation's host and compare it with what is known about it.

    :raises StepFailed: it is another machine than before, registered twice, or in a pool of its
        own; with a finding that names the cure.
    :raises XenError: it does not let us in.
    """
    host = work.host()
    try:
        with work.host_session(host) as session:
            view = session.observe()
    except (AuthenticationFailed, CertificateRefused):
        raise
    except XenError as error:
        member = _in_our_pool(work, host)
        if member is not None:
            _check_identity(work, host, member)
            work.seen(host, member)
            return Encounter(member.uuid, member=True, view=None)
        if isinstance(error, IsSlave):
            raise _foreign(host, error) from None
        raise
    pool = work.pool()
    ours = pool is not None and pool.xen_uuid == view.uuid
    if len(view.hosts) > 1 and not ours:
        raise _bigger(host, view)
    own = view.master or view.hosts[0]
    _check_identity(work, host, own)
    work.seen(host, own)
    return Encounter(own.uuid, member=ours, view=view)


def _in_our_pool(work: Work, host: Host) -> HostView | None:
    """The record of a host that is in the aggregate's pool already, or just on its way there."""
    if work.pool() is None:
        return None
    with work.pool_session() as session:
        view = work.observe_pool(session)
    return record_of(host, view)


def record_of(host: Host, view: PoolView) -> HostView | None:
    """The registered host as a member of this pool."""
    if host.xen_uuid:
        return view.host(host.xen_uuid)
    address = canonical_address(host.address)
    return next((each for each in view.hosts if each.address == address), None)


def _check_identity(work: Work, host: Host, own: HostView) -> None:
    if host.xen_uuid and host.xen_uuid != own.uuid:
        raise _refused(
            "host.identity",
            "HOST_IDENTITY_CHANGED",
            f"Another machine answers at {host.address} than the one registered as {host.name}.",
            f"If it was reinstalled or replaced on purpose, delete the host {host.name} and "
            "register it again; else correct its address.",
            ours=own.uuid,
            theirs=host.xen_uuid,
        )
    for other in work.managers.hosts.index():
        if other.xen_uuid == own.uuid and other.id != host.id:
            raise _refused(
                "host.registered_once",
                "HOST_REGISTERED_TWICE",
                f"The machine behind {host.name} is registered as {other.name}, too.",
                "Delete one of the two registrations.",
                ours=host.address,
                theirs=other.address,
            )


def _foreign(host: Host, error: IsSlave) -> StepFailed:
    return _refused(
        "host.standalone",
        "HOST_IN_ANOTHER_POOL",
        f"Host {host.name} is a member of another pool, whose master is at {error.master_address}.",
        "Eject it from that pool (its local storage is wiped then), or import that pool as an "
        "aggregate of its own, with all its hosts.",
        ours=host.address,
        theirs=error.master_address,
    )


def _bigger(host: Host, view: PoolView) -> StepFailed:
    others = ", ".join(each.name for each in view.hosts if not each.is_master)
    return _refused(
        "host.standalone",
        "HOST_IS_MASTER_OF_A_POOL",
        f"Host {host.name} is the master of a pool with other members ({others}).",
        "Import that pool as an aggregate with all its hosts, or eject the others from it first.",
        ours=host.address,
        theirs=view.name,
    )


def _refused(
    check: str, code: str, message: str, cure: str, *, ours: str = "", theirs: str = ""
) -> StepFailed:
    finding = Finding(check, code, Severity.BLOCKING, message, cure, ours, theirs)
    return StepFailed.from_findings([finding])
