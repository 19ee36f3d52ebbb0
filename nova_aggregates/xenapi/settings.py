"""Settings of a pool and its hosts that are put aside and given back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from nova_aggregates.xenapi import errors, tasks
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.decode import Record, Table
from nova_aggregates.xenapi.host import reference
from nova_aggregates.xenapi.tasks import Watch

_WATCH = Watch()


@dataclasses.dataclass(frozen=True, slots=True)
class HighAvailability:
    """How high availability is set up where it is on."""

    storage: tuple[str, ...]  # uuids of the SRs with its state files
    configuration: Mapping[str, str]
    tolerate: int  # failures of hosts


def high_availability(connection: Connection) -> HighAvailability | None:
    """None where it is off. Raises XenError."""
    pool = next(iter(Table(connection.call("pool.get_all_records"))), Record("", {}))
    if not pool.flag("ha_enabled"):
        return None
    disks = Table(connection.call("VDI.get_all_records"))
    storage = Table(connection.call("SR.get_all_records"))
    found = (disks.get(ref) for ref in pool.texts("ha_statefiles"))
    repositories = (storage.get(disk.link("SR")) for disk in found if disk is not None)
    return HighAvailability(
        storage=tuple(sorted({sr.text("uuid") for sr in repositories if sr is not None})),
        configuration=pool.mapping("ha_configuration"),
        tolerate=pool.integer("ha_host_failures_to_tolerate"),
    )


def disable_ha(connection: Connection, *, watch: Watch = _WATCH) -> None:
    """Raises ApiFailure, XenError; does nothing where it is off."""
    try:
        tasks.run(connection, "pool.disable_ha", watch=watch)
    except errors.ApiFailure as error:
        if error.code != "HA_NOT_ENABLED":
            raise


def enable_ha(connection: Connection, wanted: HighAvailability, *, watch: Watch = _WATCH) -> None:
    """As it was. Raises ApiFailure, XenError; does nothing where it is on."""
    refs = [connection.call("SR.get_by_uuid", uuid) for uuid in wanted.storage]
    try:
        tasks.run(connection, "pool.enable_ha", refs, dict(wanted.configuration), watch=watch)
    except errors.ApiFailure as error:
        if error.code != "HA_IS_ENABLED":
            raise
    pool = connection.call("pool.get_all")[0]
    if int(connection.call("pool.get_ha_host_failures_to_tolerate", pool)) != wanted.tolerate:
        connection.call("pool.set_ha_host_failures_to_tolerate", pool, wanted.tolerate)


def set_host_keys(connection: Connection, host_uuid: str, keys: Mapping[str, str | None]) -> None:
    """Keys of the host's other_config; None removes one. The others stay. Raises XenError."""
    _set_keys(connection, "host", reference(connection, host_uuid), keys)


def set_pool_keys(connection: Connection, keys: Mapping[str, str | None]) -> None:
    """Keys of the pool's other_config; None removes one. The others stay. Raises XenError."""
    _set_keys(connection, "pool", str(connection.call("pool.get_all")[0]), keys)


_ATTEMPTS = 3


def _set_keys(connection: Connection, kind: str, ref: str, keys: Mapping[str, str | None]) -> None:
    """set_other_config would replace what another tool writes at the same time."""
    present = connection.call(f"{kind}.get_other_config", ref)
    for key, value in keys.items():
        if present.get(key) == value:
            continue
        for attempt in range(_ATTEMPTS):
            connection.call(f"{kind}.remove_from_other_config", ref, key)
            if value is None:
                break
            try:
                connection.call(f"{kind}.add_to_other_config", ref, key, value)
            except errors.ApiFailure as error:
                # Somebody else was faster; the last word is ours.
                if error.code != "MAP_DUPLICATE_KEY" or attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
