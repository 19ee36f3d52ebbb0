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

ACTION = Validator(
    {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "description": "an object with exactly one action",
    }
)

ADD_HOST = Validator(only("add_host", only("host", NAME)))
REMOVE_HOST = Validator(only("remove_host", only("host", NAME)))
SET_METADATA = Validator(only("set_metadata", only("metadata", METADATA)))
