"""Answers of /os-availability-zone."""

from __future__ import annotations

from nova_aggregates.api.microversion import LEGACY, Version, Versioned
from nova_aggregates.api.query import CLOSED, NONE
from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.types import BOOLEAN, OPTIONAL_TIME, TEXT, answer, attributes

STATE: Schema = attributes({"available": BOOLEAN})
SERVICE: Schema = {
    **attributes({"available": BOOLEAN, "active": BOOLEAN, "updated_at": OPTIONAL_TIME}),
    "xml": {"x-wrapped": "serviceState"},
}
SERVICES: Schema = {
    "type": "object",
    "additionalProperties": SERVICE,
    "xml": {"x-wrapped": "services", "x-entries": "service"},
}
HOSTS: Schema = {
    "type": ["object", "null"],
    "additionalProperties": SERVICES,
    "xml": {"x-entries": "host"},
}
ZONE: Schema = {
    **answer(
        {
            "zoneName": {**TEXT, "xml": {"attribute": True, "name": "name"}},
            "zoneState": STATE,
            "hosts": HOSTS,
        }
    ),
    "xml": {"name": "availabilityZone"},
}
LIST: Schema = answer(
    {
        "availabilityZoneInfo": {
            "type": "array",
            "items": ZONE,
            "xml": {"name": "availabilityZones"},
        }
    }
)

QUERY = Versioned({LEGACY: NONE, Version(2, 102): CLOSED})

EXCHANGES = {
    "GET /os-availability-zone": Exchange("List the availability zones.", {200: LIST}, query=QUERY),
    "GET /os-availability-zone/detail": Exchange(
        "List the availability zones with their hosts.", {200: LIST}, query=QUERY
    ),
}
