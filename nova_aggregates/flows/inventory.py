"""A host's report, in the units of the API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from nova_aggregates.objects import Guest, Holdings, Inventory
from nova_aggregates.xenapi.types import HostView

MIB = 2**20
GIB = 2**30


def inventory_of(view: HostView) -> Inventory:
    has = view.capacity
    return Inventory(
        vcpus=has.vcpus,
        vcpus_used=has.vcpus_used,
        memory_mb=has.memory_bytes // MIB,
        memory_mb_used=max(0, has.memory_bytes - has.memory_free_bytes) // MIB,
        disk_gb=has.disk_bytes // GIB,
        disk_gb_used=has.disk_used_bytes // GIB,
        running_vms=sum(guest.power_state == "Running" for guest in view.guests),
        product=view.product,
        version=view.version,
        cpu_vendor=view.cpu.vendor,
        cpu_model=view.cpu.model,
        cpu_sockets=view.cpu.sockets,
        memory_mb_claimed=sum(guest.memory_bytes for guest in view.guests) // MIB,
        disk_gb_claimed=has.disk_allocated_bytes // GIB,
        workload=sum(len(guest.current_operations) for guest in view.guests),
        boot_time=view.boot_time or 0.0,
    )


def guests_of(view: HostView) -> tuple[Guest, ...]:
    """The guests on the host, by name."""
    return tuple(sorted((Guest(guest.uuid, guest.name) for guest in view.guests), key=_by_name))


def _by_name(guest: Guest) -> tuple[str, str]:
    return guest.name, guest.uuid


def holdings_of(guests: Iterable[str], disks: Iterable[str], storage: Iterable[str]) -> Holdings:
    """With a digest that is the same whenever the same things are there."""
    items = [sorted(guests), sorted(disks), sorted(storage)]
    digest = hashlib.sha256(json.dumps(items).encode()).hexdigest()
    return Holdings(digest, *map(tuple, items))


NOTHING = holdings_of((), (), ())
