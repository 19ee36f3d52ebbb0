"""How XenCenter remembers that a host is in maintenance and which guests belong there, so that it
understands ours and we understand its (XenCenter ``XenModel/XenAPI-Extensions/Host.cs``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MODE = "MAINTENANCE_MODE"
MIGRATED = "MAINTENANCE_MODE_EVACUATED_VMS_MIGRATED"
HALTED = "MAINTENANCE_MODE_EVACUATED_VMS_HALTED"
SUSPENDED = "MAINTENANCE_MODE_EVACUATED_VMS_SUSPENDED"
ON = "true"
NONE: Mapping[str, str | None] = {MODE: None, MIGRATED: None, HALTED: None, SUSPENDED: None}


def is_on(other_config: Mapping[str, str]) -> bool:
    return other_config.get(MODE) == ON


def guests(other_config: Mapping[str, str], key: str) -> tuple[str, ...]:
    """The uuids that one of the keys lists."""
    return tuple(uuid for uuid in other_config.get(key, "").split(",") if uuid)


def keys(migrated: Iterable[str], halted: Iterable[str]) -> dict[str, str | None]:
    """Of a host whose guests (uuids) have left, or shall."""
    return {
        MIGRATED: ",".join(migrated) or None,
        HALTED: ",".join(halted) or None,
        SUSPENDED: None,
        MODE: ON,
    }
