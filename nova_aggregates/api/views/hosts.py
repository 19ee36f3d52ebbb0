"""Hosts: Nova's list and resource rows, and our own registration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.views import times
from nova_aggregates.objects import Aggregate, Host, Inventory

SERVICE = "compute"
NEVER_SEEN = Inventory(
    vcpus=0,
    vcpus_used=0,
    memory_mb=0,
    memory_mb_used=0,
    disk_gb=0,
    disk_gb_used=0,
    running_vms=0,
    product="",
)


def index(hosts: Iterable[Host]) -> dict[str, Any]:
    return {
        "hosts": [{"host_name": host.name, "service": SERVICE, "zone": host.zone} for host in hosts]
    }


def resources(host: Host) -> dict[str, Any]:
    """Total, used now and used at most, as nova/api/openstack/compute/contrib/hosts.py has them.

    On a hypervisor that reports what its guests really have, the last two are the same.
    """
    known = host.inventory or NEVER_SEEN
    used = (known.vcpus_used, known.memory_mb_used, known.disk_gb_used)
    document: dict[str, Any] = {
        "host": [
            _resource(host, "(total)", known.vcpus, known.memory_mb, known.disk_gb),
            _resource(host, "(used_now)", *used),
            _resource(host, "(used_max)", *used),
        ]
    }
    if host.inventory is None:
        document["never_seen"] = True
    return document


def _resource(host: Host, project: str, cpu: int, memory_mb: int, disk_gb: int) -> dict[str, Any]:
    return {
        "resource": {
            "host": host.name,
            "project": project,
            "cpu": cpu,
            "memory_mb": memory_mb,
            "disk_gb": disk_gb,
        }
    }


def registration(host: Host, aggregate: Aggregate | None) -> dict[str, Any]:
    """Everything that is known of a host but its password."""
    return {
        "name": host.name,
        "uuid": host.uuid,
        "address": host.address,
        "port": host.port,
        "user": host.username,
        "zone": host.zone,
        "tls": _trust(host),
        "status": host.status.value,
        "status_reason": host.status_reason,
        "maintenance_mode": host.maintenance_mode.value,
        "xen_uuid": host.xen_uuid,
        "product": host.inventory.product if host.inventory else None,
        "last_seen": times.render(host.last_seen),
        "aggregate": aggregate and {"id": aggregate.id, "name": aggregate.name},
        "created_at": times.render(host.created_at),
        "updated_at": times.render(host.updated_at),
    }


def _trust(host: Host) -> dict[str, Any]:
    if host.trust.fingerprint:
        return {"trust": "fingerprint", "fingerprint": host.trust.fingerprint}
    return {"trust": "ca"} if host.trust.ca else {"trust": "insecure"}
