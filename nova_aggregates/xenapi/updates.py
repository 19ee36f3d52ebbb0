"""Updates of a member: the two models of XenServer, and whatever a plugin does."""

from __future__ import annotations

from collections.abc import Mapping

from nova_aggregates.xenapi import errors, tasks
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.host import reference
from nova_aggregates.xenapi.tasks import Watch

_WATCH = Watch(deadline=3600.0)


def has_pool_update(connection: Connection, host_uuid: str, update_uuid: str) -> bool:
    """Whether the update is applied on the host. Raises ObjectGone for an unknown one."""
    update = connection.call("pool_update.get_by_uuid", update_uuid)
    return reference(connection, host_uuid) in connection.call("pool_update.get_hosts", update)


def guidance(connection: Connection, update_uuid: str) -> tuple[str, ...]:
    """What is to be done after the update: restartHost, restartXAPI, … Raises ObjectGone."""
    update = connection.call("pool_update.get_by_uuid", update_uuid)
    return tuple(connection.call("pool_update.get_after_apply_guidance", update))


def apply_pool_update(
    connection: Connection, host_uuid: str, update_uuid: str, *, watch: Watch = _WATCH
) -> None:
    """Releases 7.0 to 8.2. Checks first; a host that has it already is left alone.

    Raises ApiFailure (UPDATE_PRECHECK_FAILED_*), ObjectGone, XenError.
    """
    update = connection.call("pool_update.get_by_uuid", update_uuid)
    host = reference(connection, host_uuid)
    try:
        tasks.run(connection, "pool_update.precheck", update, host, watch=watch)
        tasks.run(connection, "pool_update.apply", update, host, watch=watch)
    except errors.ApiFailure as error:
        if error.code != "UPDATE_ALREADY_APPLIED":
            raise


def applied_hash(connection: Connection, host_uuid: str) -> str:
    """The repository state that the host was last brought to. Raises XenError."""
    host = reference(connection, host_uuid)
    return str(connection.call("host.get_last_update_hash", host))


def apply_updates(
    connection: Connection, host_uuid: str, wanted: str, *, watch: Watch = _WATCH
) -> None:
    """XenServer 8: to the state of the pool's repository with this hash. Raises ApiFailure."""
    tasks.run(
        connection, "host.apply_updates", reference(connection, host_uuid), wanted, watch=watch
    )


def call_plugin(
    connection: Connection,
    host_uuid: str,
    plugin: str,
    function: str,
    arguments: Mapping[str, str],
    *,
    watch: Watch = _WATCH,
) -> None:
    """What the plugin answers is not looked at; that it failed is an ApiFailure."""
    host = reference(connection, host_uuid)
    tasks.run(connection, "host.call_plugin", host, plugin, function, dict(arguments), watch=watch)
