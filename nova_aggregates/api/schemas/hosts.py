"""Requests and answers of /os-hosts."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.microversion import LEGACY, MINIMUM, Versioned
from nova_aggregates.api.query import Query
from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.types import (
    ATTRIBUTE,
    BOOLEAN,
    INLINE,
    INTEGER,
    NAME,
    OPTIONAL_TEXT,
    OPTIONAL_TIME,
    TEXT,
    TIME,
    UUID,
    ZONE,
    answer,
    answers,
    closed,
    nullable_object,
    only,
)
from nova_aggregates.api.validation import Validator
from nova_aggregates.objects import HostStatus, MaintenanceMode

HOST_NAME: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "format": "host-name",
    "description": "a string of 1 to 255 letters, digits, '.', '_' and '-' that begins with a "
    "letter or digit and does not end with .json or .xml",
}

ADDRESS: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 253,
    "format": "address",
    "description": "an IPv4 or IPv6 address without brackets, or a host name",
}

PORT: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": 65535,
    "description": "a number from 1 to 65535",
}

PASSWORD: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1024,
    "format": "text",
    "description": "a string of 1 to 1024 characters without control characters",
}

FINGERPRINT: dict[str, Any] = {
    "type": "string",
    "format": "fingerprint",
    "description": "the SHA-256 fingerprint of the host's certificate: 64 hexadecimal digits, "
    "with or without colons",
}

CA: dict[str, Any] = {
    "type": "string",
    "format": "pem",
    "description": "certificates in PEM",
}

INSECURE: dict[str, Any] = {"const": True, "description": "true (or be left out)"}

HOST: dict[str, Any] = {
    **closed(
        {
            "name": HOST_NAME,
            "address": ADDRESS,
            "port": PORT,
            "user": NAME,
            "password": PASSWORD,
            "zone": ZONE,
            "fingerprint": FINGERPRINT,
            "ca": CA,
            "insecure": INSECURE,
        },
        required=["name", "address", "user", "password", "zone"],
    ),
    "oneOf": [{"required": [trust]} for trust in ("fingerprint", "ca", "insecure")],
    "description": "an object with name, address, user, password, zone and exactly one of "
    "fingerprint, ca and insecure; port is 443 unless given",
}

REGISTER = Validator(only("host", HOST))

LISTED: Schema = answer({"host_name": ATTRIBUTE, "service": ATTRIBUTE, "zone": ATTRIBUTE})
RESOURCE: Schema = answer(
    {"host": TEXT, "project": TEXT, "cpu": INTEGER, "memory_mb": INTEGER, "disk_gb": INTEGER}
)
_RESOURCES: Schema = {
    "host": {"type": "array", "items": {**answer({"resource": RESOURCE}), "xml": INLINE}}
}
RESOURCES = Versioned(
    {
        LEGACY: {**answer({**_RESOURCES, "never_seen": BOOLEAN}), "required": ["host"]},
        MINIMUM: answer(_RESOURCES),
    }
)

REGISTRATION: Schema = answer(
    {
        "name": TEXT,
        "uuid": UUID,
        "address": TEXT,
        "port": PORT,
        "user": TEXT,
        "zone": TEXT,
        "tls": {
            "type": "object",
            "properties": {
                "trust": {"enum": ["fingerprint", "ca", "insecure"]},
                "fingerprint": TEXT,
            },
            "required": ["trust"],
            "additionalProperties": False,
        },
        "status": {"enum": [status.value for status in HostStatus]},
        "status_reason": OPTIONAL_TEXT,
        "maintenance_mode": {"enum": [mode.value for mode in MaintenanceMode]},
        "xen_uuid": OPTIONAL_TEXT,
        "product": OPTIONAL_TEXT,
        "last_seen": OPTIONAL_TIME,
        "contact_lost_at": OPTIONAL_TIME,
        "contact_lost_reason": OPTIONAL_TEXT,
        "aggregate": nullable_object(answer({"id": INTEGER, "name": TEXT})),
        "created_at": TIME,
        "updated_at": OPTIONAL_TIME,
    }
)

EXCHANGES = {
    "GET /os-hosts": Exchange(
        "List the hosts.", {200: answers("hosts", LISTED)}, query=Query({"zone": TEXT})
    ),
    "POST /os-hosts": Exchange("Register a host.", {201: answer({"host": REGISTRATION})}, REGISTER),
    "GET /os-hosts/{name}": Exchange("Show the resources of a host.", {200: RESOURCES}),
    "DELETE /os-hosts/{name}": Exchange("Forget a host that is in no aggregate.", {204: None}),
    "GET /os-hosts/{name}/registration": Exchange(
        "Show how a host is registered.", {200: answer({"registration": REGISTRATION})}
    ),
}
