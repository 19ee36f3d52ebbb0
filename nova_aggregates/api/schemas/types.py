"""Types that several bodies share."""

from __future__ import annotations

from typing import Any

CLEAN = "without control characters and without white space at either end"

NAME: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "format": "clean",
    "description": f"a string of 1 to 255 characters, {CLEAN}",
}

ZONE: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "format": "zone",
    "description": f"a string of 1 to 255 characters without ':', {CLEAN}",
}


def only(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A body with exactly one key."""
    return closed({key: schema}, required=[key])


def closed(properties: dict[str, Any], *, required: list[str]) -> dict[str, Any]:
    """An object with these keys and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        "description": f"an object with {', '.join(properties)}",
    }
