"""Bodies of /os-aggregates."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.schemas.types import CLEAN, NAME, ZONE, closed, only
from nova_aggregates.api.validation import Validator

FIELDS: dict[str, Any] = {"name": NAME, "availability_zone": ZONE}

METADATA: dict[str, Any] = {
    "type": "object",
    "description": "an object of strings (null removes a key)",
    "propertyNames": {
        "minLength": 1,
        "maxLength": 255,
        "format": "clean",
        "description": f"an object whose keys have 1 to 255 characters, {CLEAN}",
    },
    "additionalProperties": {
        "type": ["string", "null"],
        "maxLength": 255,
        "format": "text",
        "description": "null or a string of up to 255 characters without control characters",
    },
}

CREATE = Validator(only("aggregate", closed(FIELDS, required=["name", "availability_zone"])))

UPDATE = Validator(
    only(
        "aggregate",
        {
            **closed(FIELDS, required=[]),
            "minProperties": 1,
            "description": "an object with name, availability_zone or both",
        },
    )
)

MOST_HOSTS = 256  # one request is one transaction

FORGET: dict[str, Any] = {"type": "boolean", "description": "true or false"}

REMOVAL: dict[str, Any] = {
    **closed({"host": NAME, "forget": FORGET, "confirm": NAME}, required=["host"]),
    "description": "an object with host and, if need be, forget and confirm",
}

LOOK: dict[str, Any] = {
    **closed({"add_host": NAME, "remove_host": NAME}, required=[]),
    "minProperties": 1,
    "maxProperties": 1,
    "description": "an object with either add_host or remove_host",
}

HOSTS = Validator(
    {
        **closed(
            {
                "hosts": {
                    "type": "array",
                    "items": NAME,
                    "uniqueItems": True,
                    "maxItems": MOST_HOSTS,
                    "description": f"a list of up to {MOST_HOSTS} different names of hosts",
                },
                "master": NAME,
            },
            required=["hosts"],
        ),
        "description": "an object with hosts and, if need be, master",
    }
)
ADD_HOST = Validator(only("add_host", only("host", NAME)))
REMOVE_HOST = Validator(only("remove_host", REMOVAL))
PREFLIGHT = Validator(only("preflight", LOOK))
SET_METADATA = Validator(only("set_metadata", only("metadata", METADATA)))
