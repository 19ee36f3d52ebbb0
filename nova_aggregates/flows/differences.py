"""Where the record of an aggregate and its pool do not say the same."""

from __future__ import annotations

from collections.abc import Iterator

from nova_aggregates.manager.drift_kinds import DriftKind
from nova_aggregates.objects import Aggregate, DriftFinding, DriftPolicy, Host, Pool
from nova_aggregates.xenapi.errors import IdentityMismatch, NoMasterFound, XenError
from nova_aggregates.xenapi.types import HostView, PoolView, canonical_address


def unreachable(error: XenError) -> DriftFinding:
    """The pool could not be looked at, or another one answers in its place."""
    problems = error.problems if isinstance(error, NoMasterFound) else (error,)
    if any(isinstance(each, IdentityMismatch) for each in problems):
        return _finding(
            DriftKind.POOL_IDENTITY,
            None,
            "the pool of the aggregate",
            "another pool",
            error.message,
            "Somebody moved or reinstalled its hosts. Compare their pools with the record, then "
            "remove from the aggregate what has gone, and add it again if it shall come back.",
        )
    return _finding(
        DriftKind.POOL_UNREACHABLE, None, "reachable", error.code, error.message, error.cure
    )


def differences(
    aggregate: Aggregate, pool: Pool, members: list[Host], view: PoolView
) -> Iterator[DriftFinding]:
    """Each difference as a finding."""
    if view.name != aggregate.name:
        yield _finding(
            DriftKind.POOL_NAME,
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
            DriftKind.MASTER,
            None,
            recorded.name if recorded else "",
            names.get(found.uuid, found.name),
            "Another host is the master of the pool.",
            "None is needed: the next operation on the pool follows the new master.",
        )
    strangers = {
        canonical_address(host.address): host for host in view.hosts if host.uuid not in names
    }
    for host in members:
        yield from _of_member(host, view, strangers)
    for stranger in strangers.values():
        yield _finding(
            DriftKind.MEMBER_UNKNOWN,
            stranger.name,
            "no member",
            f"a member, at {stranger.address}",
            f"Host {stranger.name} is in the pool, but not in the aggregate.",
            "Import the pool again, or eject the host.",
        )


def _of_member(
    host: Host, view: PoolView, strangers: dict[str, HostView]
) -> Iterator[DriftFinding]:
    own = view.host(host.xen_uuid) if host.xen_uuid else None
    if own is not None:
        if not own.live:
            yield _finding(
                DriftKind.HOST_NOT_LIVE,
                host.name,
                "live",
                "not live",
                f"The pool has no contact with host {host.name}.",
                "Look at its power, its network and its toolstack.",
            )
        return
    other = strangers.pop(canonical_address(host.address), None)
    if other is not None:
        yield _finding(
            DriftKind.HOST_IDENTITY,
            host.name,
            host.xen_uuid or "",
            other.uuid,
            f"Another installation than the one recorded as {host.name} is in the pool at "
            f"{host.address}.",
            f"If it was reinstalled or replaced on purpose: remove {host.name} from the aggregate "
            "with forget, delete its registration, then import the pool again.",
        )
        return
    yield _finding(
        DriftKind.MEMBER_MISSING,
        host.name,
        "a member",
        "no member",
        f"Host {host.name} is in the aggregate, but not in its pool.",
        "Remove it from the aggregate, and add it again if it shall come back.",
    )


def _finding(
    kind: DriftKind, host: str | None, expected: str, found: str, message: str, cure: str
) -> DriftFinding:
    return DriftFinding(host, kind, expected, found, message, cure, DriftPolicy.REPORT)
