"""The verbs of a pool. Each makes one change; the caller observes before and after it."""

from __future__ import annotations

from nova_aggregates.xenapi import errors, tasks
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.host import reference
from nova_aggregates.xenapi.observe import observe
from nova_aggregates.xenapi.tasks import Watch
from nova_aggregates.xenapi.types import canonical_address

__all__ = [
    "designate_new_master",
    "eject",
    "enable_tls_verification",
    "join",
    "observe",
    "set_name",
    "sync_database",
]

_WATCH = Watch()
_TLS_TIMEOUT_SECONDS = 120.0  # it calls every member with verification first


def set_name(connection: Connection, name: str) -> None:
    """Names the pool; the empty name marks a standalone host. Repeating it is harmless."""
    connection.call("pool.set_name_label", _reference(connection), name)


def join(
    joiner: Connection,
    master_address: str,
    username: str,
    password: str,
    *,
    force: bool = False,
    watch: Watch = _WATCH,
) -> None:
    """Makes the joiner a member of the pool whose master is at ``master_address``.

    Returns when the joiner has agreed; it serves as its own master for up to 10 seconds more, then
    restarts its toolstack twice, and is a member only when the pool says that it is enabled and
    live (observed on xapi 26.17). ``force`` skips the check of versions and of the CPU vendor, no
    other.

    Raises PreconditionFailed (nothing changed), TargetRefused (the pool's master did not take the
    credentials, or is no master), OutcomeUnknown (look at the pool), other XenErrors; ValueError
    for an address that would leave a stale record behind.
    """
    joiner.keep_secret(password)
    method = "pool.join_force" if force else "pool.join"
    address = canonical_address(master_address)
    tasks.run(joiner, method, address, username, password, watch=watch)


def eject(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> bool:
    """Removes a member, which restarts as a pool of one with its local storage emptied.

    Returns False when the pool has no such host: it has left already. Raises PreconditionFailed
    (guests there, HA, the master itself: nothing changed), HostOffline, OutcomeUnknown, and storage
    errors; after those some of the host's storage may be detached or forgotten already (xapi
    ``ocaml/xapi/xapi_pool.ml``, eject_self has no way back).
    """
    try:
        host = reference(connection, host_uuid)
    except errors.ObjectGone:
        return False
    tasks.run(connection, "pool.eject", host, watch=watch)
    return True


def designate_new_master(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> None:
    """Hands the master's role to a member. Every toolstack of the pool restarts within seconds.

    The old master serves for up to 10 seconds after this has returned, but whatever is written
    there is lost; all hosts come back enabled, those that were disabled too (both observed on
    xapi 26.17). To the present master it does nothing. Raises ObjectGone, HostOffline (any member
    that cannot be reached), PreconditionFailed, Busy, OutcomeUnknown.
    """
    host = reference(connection, host_uuid)
    tasks.run(connection, "pool.designate_new_master", host, watch=watch)


def sync_database(connection: Connection, *, watch: Watch = _WATCH) -> None:
    """Gives every member the present database, so that any of them could take over."""
    tasks.run(connection, "pool.sync_database", watch=watch)


def enable_tls_verification(connection: Connection) -> None:
    """Turns on verification between members; there is no way back. Repeating it is harmless.

    A host that was ejected comes back without and cannot join a verifying pool before this.
    """
    connection.call("pool.enable_tls_verification", timeout=_TLS_TIMEOUT_SECONDS)


def _reference(connection: Connection) -> str:
    pools = connection.call("pool.get_all")
    if not pools:
        raise errors.ObjectGone("HANDLE_INVALID", ("pool", ""), where=connection.endpoint.where)
    return str(pools[0])
