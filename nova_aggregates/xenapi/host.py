"""The verbs of a member, called at the pool's master. Hosts are named by uuid: references change
with every change of pool."""

from __future__ import annotations

from nova_aggregates.xenapi import errors, tasks
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.tasks import Watch

_WATCH = Watch()


def reference(connection: Connection, host_uuid: str) -> str:
    """The host's reference in this pool's database. Raises ObjectGone."""
    return str(connection.call("host.get_by_uuid", host_uuid))


def disable(
    connection: Connection, host_uuid: str, *, survive_restart: bool = False, watch: Watch = _WATCH
) -> bool:
    """Takes the host out of placement; guests stay. Returns whether it will survive a restart.

    The host remembers ``survive_restart`` only when it was enabled before, and releases before
    xapi 25.31 do not know it at all (xapi ``ocaml/xapi/xapi_host.ml``, disable).
    """
    host = reference(connection, host_uuid)
    if survive_restart:
        try:
            tasks.run(connection, "host.disable", host, False, watch=watch)
        except errors.MethodUnknown:
            pass
        else:
            return True
    tasks.run(connection, "host.disable", host, watch=watch)
    return False


def enable(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> None:
    """Puts the host into placement. Raises StillBooting or ApiFailure while it is starting."""
    tasks.run(connection, "host.enable", reference(connection, host_uuid), watch=watch)


def declare_dead(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> None:
    """Says that the guests on the host do not run any more. Raises ApiFailure (HOST_IS_LIVE)."""
    tasks.run(connection, "host.declare_dead", reference(connection, host_uuid), watch=watch)


def forget(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> None:
    """Removes the record of a host that is dead or never arrived.

    A host that still runs never finds back by itself: it restarts its toolstack for ever (observed
    on xapi 26.17). Raises ApiFailure (HOST_IS_LIVE, HOST_HAS_RESIDENT_VMS), PreconditionFailed.
    """
    tasks.run(connection, "host.destroy", reference(connection, host_uuid), watch=watch)
