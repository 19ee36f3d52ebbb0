"""Bodies of /os-hosts."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.schemas.types import NAME, ZONE, closed, only
from nova_aggregates.api.validation import Validator

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
