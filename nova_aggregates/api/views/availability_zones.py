"""Availability zones: those of the services. A zone is available when one of its hosts is in
service (nova/availability_zones.py)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.views import times
from nova_aggregates.api.views.services import BINARY
from nova_aggregates.objects import HostStatus, Service


def index(services: Iterable[Service]) -> dict[str, Any]:
    return _zones(services, with_hosts=False)


def detail(services: Iterable[Service]) -> dict[str, Any]:
    return _zones(services, with_hosts=True)


def _zones(services: Iterable[Service], *, with_hosts: bool) -> dict[str, Any]:
    serving: defaultdict[str, list[Service]] = defaultdict(list)
    others = set()
    for service in services:
        if service.host.status is HostStatus.ENABLED:
            serving[service.zone].append(service)
        else:
            others.add(service.zone)
    available = [
        _zone(zone, True, _hosts(serving[zone]) if with_hosts else None) for zone in sorted(serving)
    ]
    unavailable = [_zone(zone, False, None) for zone in sorted(others - serving.keys())]
    return {"availabilityZoneInfo": available + unavailable}


def _zone(name: str, available: bool, hosts: dict[str, Any] | None) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": available}, "hosts": hosts}


def _hosts(services: Iterable[Service]) -> dict[str, Any]:
    return {service.host.name: {BINARY: _state(service)} for service in services}


def _state(service: Service) -> dict[str, Any]:
    return {
        "available": service.up,
        "active": True,
        "updated_at": times.render(service.host.last_seen),
    }
