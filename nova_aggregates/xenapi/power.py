"""Power and toolstack of a member, called at the pool's master."""

from __future__ import annotations

from nova_aggregates.xenapi import tasks
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.host import reference
from nova_aggregates.xenapi.tasks import Watch

_WATCH = Watch()


def reboot(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> None:
    """Begins 10 seconds after it has returned. Guests that are still there are shut down, so look
    first (xapi ``ocaml/xapi/xapi_host.ml``). Raises ApiFailure (HOST_NOT_DISABLED), XenError."""
    tasks.run(connection, "host.reboot", reference(connection, host_uuid), watch=watch)


def shut_down(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> None:
    """As :func:`reboot`, but it stays off."""
    tasks.run(connection, "host.shutdown", reference(connection, host_uuid), watch=watch)


def power_on(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> None:
    """By the host's power_on_mode. Raises ApiFailure (HOST_IS_LIVE, HOST_POWER_ON_MODE_DISABLED),
    XenError."""
    tasks.run(connection, "host.power_on", reference(connection, host_uuid), watch=watch)


def restart_toolstack(connection: Connection, host_uuid: str, *, watch: Watch = _WATCH) -> None:
    """Begins a second after it has returned; guests run on. Raises XenError."""
    tasks.run(connection, "host.restart_agent", reference(connection, host_uuid), watch=watch)
