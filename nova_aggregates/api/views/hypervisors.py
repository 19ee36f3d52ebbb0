"""Hypervisors, in the keys of each version of the API."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nova_aggregates.api.microversion import LEGACY, MINIMUM, Version, Versioned
from nova_aggregates.api.schemas.hypervisors import NUMBERS
from nova_aggregates.objects import Guest, Host, Hypervisor, Inventory

TYPE = "XenServer"
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

Shape = Callable[[Hypervisor], dict[str, Any]]


def plain(hypervisor: Hypervisor, version: Version) -> dict[str, Any]:
    return {**PLAIN[version](hypervisor), **_servers(hypervisor, version)}


def detail(hypervisor: Hypervisor, version: Version) -> dict[str, Any]:
    return {**DETAIL[version](hypervisor), **_servers(hypervisor, version)}


def with_uptime(hypervisor: Hypervisor, version: Version) -> dict[str, Any]:
    return {**PLAIN[version](hypervisor), "uptime": uptime(hypervisor)}


def statistics(hosts: Iterable[Host]) -> dict[str, Any]:
    uses = [use(host) for host in hosts]
    sums = {name: sum(each[name] for each in uses) for name in NUMBERS}
    return {"hypervisor_statistics": {"count": len(uses), **sums}}


def use(host: Host) -> dict[str, int]:
    """What the host has and what of it is in use."""
    known = host.inventory or NEVER_SEEN
    return {
        "vcpus": known.vcpus,
        "memory_mb": known.memory_mb,
        "local_gb": known.disk_gb,
        "vcpus_used": known.vcpus_used,
        "memory_mb_used": known.memory_mb_used,
        "local_gb_used": known.disk_gb_used,
        "free_ram_mb": known.memory_mb - known.memory_mb_used,
        "free_disk_gb": known.disk_gb - known.disk_gb_used,
        "current_workload": known.workload,
        "running_vms": known.running_vms,
        "disk_available_least": known.disk_gb - known.disk_gb_claimed,
    }


def uptime(hypervisor: Hypervisor) -> str | None:
    """How long the host was up when it was last seen, as uptime(1) begins its line; None when it
    is down."""
    host = hypervisor.service.host
    boot_time = host.inventory.boot_time if host.inventory else 0.0
    if not hypervisor.service.up or not boot_time or host.last_seen is None:
        return None
    seen = host.last_seen.replace(tzinfo=datetime.UTC)
    minutes = max(0, int(seen.timestamp() - boot_time)) // 60
    days, hours = divmod(minutes // 60, 24)
    return f"{seen:%H:%M:%S} up {days} days, {hours:2}:{minutes % 60:02}"


def version_number(text: str) -> int:
    """8.3.0 as 8003000, which is how Nova writes versions; 0 for what is no version."""
    number = 0
    parts = [*text.split("."), "0", "0"][:3]
    for part in parts:
        if not (part.isascii() and part.isdecimal()):
            return 0
        number = number * 1000 + int(part)
    return number


def _legacy(hypervisor: Hypervisor) -> dict[str, Any]:
    host = hypervisor.service.host
    return {"id": host.id, "hypervisor_hostname": host.name}


def _v21(hypervisor: Hypervisor) -> dict[str, Any]:
    service = hypervisor.service
    return {
        **_legacy(hypervisor),
        "state": "up" if service.up else "down",
        "status": service.host.status.value,
    }


def _v253(hypervisor: Hypervisor) -> dict[str, Any]:
    return {**_v21(hypervisor), "id": hypervisor.service.host.uuid}


def _kind(host: Host) -> dict[str, Any]:
    known = host.inventory or NEVER_SEEN
    return {
        "hypervisor_type": TYPE,
        "hypervisor_version": version_number(known.version),
        "host_ip": host.address,
    }


def _cpu(host: Host) -> dict[str, Any]:
    known = host.inventory or NEVER_SEEN
    return {
        "arch": "x86_64",
        "vendor": known.cpu_vendor,
        "model": known.cpu_model,
        "topology": {
            "sockets": known.cpu_sockets,
            "cores": known.vcpus // known.cpu_sockets if known.cpu_sockets else 0,
        },
    }


def _service(host: Host, key: int | str) -> dict[str, Any]:
    return {"service": {"id": key, "host": host.name, "disabled_reason": host.status_reason}}


def _legacy_detail(hypervisor: Hypervisor) -> dict[str, Any]:
    host = hypervisor.service.host
    return {
        **_legacy(hypervisor),
        **_kind(host),
        **use(host),
        "cpu_info": json.dumps(_cpu(host)),
        "service": {"id": host.id, "host": host.name},
    }


def _v21_detail(hypervisor: Hypervisor) -> dict[str, Any]:
    host = hypervisor.service.host
    return {
        **_v21(hypervisor),
        **_kind(host),
        **_service(host, host.id),
        **use(host),
        "cpu_info": json.dumps(_cpu(host)),
    }


def _v228_detail(hypervisor: Hypervisor) -> dict[str, Any]:
    return {**_v21_detail(hypervisor), "cpu_info": _cpu(hypervisor.service.host)}


def _v253_detail(hypervisor: Hypervisor) -> dict[str, Any]:
    host = hypervisor.service.host
    return {**_v228_detail(hypervisor), "id": host.uuid, **_service(host, host.uuid)}


def _v288_detail(hypervisor: Hypervisor) -> dict[str, Any]:
    host = hypervisor.service.host
    return {
        **_v253(hypervisor),
        **_kind(host),
        **_service(host, host.uuid),
        "uptime": uptime(hypervisor),
    }


PLAIN: Versioned[Shape] = Versioned({LEGACY: _legacy, MINIMUM: _v21, Version(2, 53): _v253})
DETAIL: Versioned[Shape] = Versioned(
    {
        LEGACY: _legacy_detail,
        MINIMUM: _v21_detail,
        Version(2, 28): _v228_detail,
        Version(2, 53): _v253_detail,
        Version(2, 88): _v288_detail,
    }
)


def _servers(hypervisor: Hypervisor, version: Version) -> Mapping[str, Any]:
    """Before 2.75 an empty list is left out."""
    guests = hypervisor.guests
    if guests is None or (not guests and version < Version(2, 75)):
        return {}
    return {"servers": list(map(_server, guests))}


def _server(guest: Guest) -> dict[str, str]:
    return {"name": guest.name, "uuid": guest.uuid}
