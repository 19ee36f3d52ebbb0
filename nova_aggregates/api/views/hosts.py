"""Hosts: Nova's list and resource rows, and our own registration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.microversion import LEGACY, Version
from nova_aggregates.api.views import times
from nova_aggregates.api.views.hypervisors import NEVER_SEEN
from nova_aggregates.objects import Aggregate, Host, Service

SERVICE = "compute"


def index(services: Iterable[Service]) -> dict[str, Any]:
    return {
        "hosts": [
            {"host_name": service.host.name, "service": SERVICE, "zone": service.zone}
            for service in services
        ]
    }


def resources(host: Host, version: Version) -> dict[str, Any]:
    """Total, used now and used at most, as nova/api/openstack/compute/contrib/hosts.py has them:
    the last one is what the guests may take."""
    known = host.inventory or NEVER_SEEN
    now = (known.vcpus_used, known.memory_mb_used, known.disk_gb_used)
    most = (known.vcpus_used, known.memory_mb_claimed, known.disk_gb_claimed)
    document: dict[str, Any] = {
        "host": [
            _resource(host, "(total)", known.vcpus, known.memory_mb, known.disk_gb),
            _resource(host, "(used_now)", *now),
            _resource(host, "(used_max)", *most),
        ]
    }
    if host.inventory is None and version == LEGACY:
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
        "contact_lost_at": times.render(host.contact_lost_at),
        "contact_lost_reason": host.contact_lost_reason,
        "aggregate": aggregate and {"id": aggregate.id, "name": aggregate.name},
        "created_at": times.render(host.created_at),
        "updated_at": times.render(host.updated_at),
    }


def _trust(host: Host) -> dict[str, Any]:
    if host.trust.fingerprint:
        return {"trust": "fingerprint", "fingerprint": host.trust.fingerprint}
    return {"trust": "ca"} if host.trust.ca else {"trust": "insecure"}
