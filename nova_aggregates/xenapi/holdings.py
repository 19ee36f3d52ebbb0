"""What an eject would destroy or stop, for people to read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from nova_aggregates.xenapi import leave_checks, snapshot
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.leave_checks import Leaving

CLASSES = ("pool", "host", "VM", "SR", "PBD", "VDI")


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """Each item is one line; the same things always give the same lines in the same order."""

    guests: tuple[str, ...]
    disks: tuple[str, ...]
    storage: tuple[str, ...]  # local storage that holds such disks; what is empty is no loss


def read(connection: Connection) -> Mapping[str, Held]:
    """By the uuid of each host of the pool. Raises XenError."""
    taken = snapshot.take(connection, CLASSES)
    found = {}
    for record in taken["host"]:
        leaving = Leaving(taken, record)
        guests = [leave_checks.named(guest) for guest in leave_checks.guests_on(leaving)]
        held = leave_checks.data_on(leaving)
        disks = [
            f"{leave_checks.named(vdi)} of {leave_checks.size(vdi)} on {leave_checks.named(sr)}"
            for sr, vdis in held
            for vdi in vdis
        ]
        storage = [leave_checks.named(sr) for sr, _vdis in held]
        found[record.text("uuid")] = Held(*(tuple(sorted(x)) for x in (guests, disks, storage)))
    return found
