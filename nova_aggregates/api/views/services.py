"""Services, in the keys of each version of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nova_aggregates.api.microversion import LEGACY, Version, Versioned
from nova_aggregates.api.views import times
from nova_aggregates.objects import Service

BINARY = "nova-compute"


def index(services: Iterable[Service], version: Version) -> dict[str, Any]:
    return {"services": list(map(SHAPES[version], services))}


def show(service: Service, version: Version) -> dict[str, Any]:
    return {"service": SHAPES[version](service)}


def status_set(service: Service) -> dict[str, Any]:
    """The answer to enable, disable and disable-log-reason."""
    host = service.host
    document = {"host": host.name, "binary": BINARY, "status": host.status.value}
    if host.status_reason:
        document["disabled_reason"] = host.status_reason
    return {"service": document}


def forced_down(service: Service) -> dict[str, Any]:
    host = service.host
    return {"service": {"host": host.name, "binary": BINARY, "forced_down": host.forced_down}}


def _plain(service: Service) -> dict[str, Any]:
    host = service.host
    return {
        "binary": BINARY,
        "host": host.name,
        "id": host.id,
        "zone": service.zone,
        "status": host.status.value,
        "state": "up" if service.up else "down",
        "updated_at": times.render(host.last_seen),
        "disabled_reason": host.status_reason,
    }


def _v211(service: Service) -> dict[str, Any]:
    return {**_plain(service), "forced_down": service.host.forced_down}


def _v253(service: Service) -> dict[str, Any]:
    return {**_v211(service), "id": service.host.uuid}


SHAPES: Versioned[Callable[[Service], dict[str, Any]]] = Versioned(
    {LEGACY: _plain, Version(2, 11): _v211, Version(2, 53): _v253}
)
