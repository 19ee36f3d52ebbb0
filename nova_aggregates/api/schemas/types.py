"""Types that several requests or answers share."""

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


NAME_V21: dict[str, Any] = {
    **NAME,
    "format": "name-v21",
    "description": f"a string of 1 to 255 characters of the Basic Multilingual Plane, {CLEAN}",
}
# Some requests of v2.1 strip the white space instead of refusing it.
SPACED_NAME_V21: dict[str, Any] = {
    **NAME_V21,
    "format": "spaced-name-v21",
    "description": "a string of 1 to 255 characters of the Basic Multilingual Plane without "
    "control characters, not all of them white space",
}
ZONE_V21: dict[str, Any] = {
    **ZONE,
    "format": "zone-v21",
    "description": "a string of 1 to 255 characters of the Basic Multilingual Plane without ':', "
    f"{CLEAN}",
}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Like ``schema``, which has one type, or null."""
    return {
        **schema,
        "type": [schema["type"], "null"],
        "description": f"null or {schema['description']}",
    }


def without(properties: dict[str, Any], *names: str) -> dict[str, Any]:
    """A closed object with all keys but these."""
    return answer({key: value for key, value in properties.items() if key not in names})


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


# As Nova reads what is true or false, in bodies and queries.
TRUE = frozenset(("true", "1", "on", "yes"))
FALSE = frozenset(("false", "0", "off", "no"))
_WORDS = sorted(spelt for word in TRUE | FALSE for spelt in {word, word.upper(), word.capitalize()})
FLAG: dict[str, Any] = {"enum": [True, False, *_WORDS], "description": "true or false"}

# Parameters of queries.
LIMIT: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": 1000,
    "description": "a number from 1 to 1000",
}

# Hints for XML (nova_aggregates.api.xml).
INLINE: dict[str, Any] = {"x-inline": True}
OMITTED: dict[str, Any] = {"x-omitted": True}

# Parts of answers.
TEXT: dict[str, Any] = {"type": "string"}
OPTIONAL_TEXT: dict[str, Any] = {"type": ["string", "null"]}
INTEGER: dict[str, Any] = {"type": "integer"}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
ATTRIBUTE: dict[str, Any] = {**TEXT, "xml": {"attribute": True}}
UUID: dict[str, Any] = {"type": "string", "format": "uuid"}
TIME: dict[str, Any] = {"type": "string", "format": "date-time-local"}
OPTIONAL_TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time-local"}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}
STRINGS: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
LINKS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"rel": TEXT, "type": TEXT, "href": TEXT},
        "required": ["rel", "href"],
        "additionalProperties": False,
    },
}


def attributes(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with all of these keys, which are attributes in XML, and no other."""
    return answer(
        {
            key: {**schema, "xml": {**schema.get("xml", {}), "attribute": True}}
            for key, schema in properties.items()
        }
    )


def answer(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with all of these keys and no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def either(properties: dict[str, Any]) -> dict[str, Any]:
    """A document with exactly one of these keys."""
    return {**answer(properties), "required": [], "minProperties": 1, "maxProperties": 1}


def answers(key: str, item: dict[str, Any]) -> dict[str, Any]:
    """A document that lists ``item`` under ``key``."""
    return answer({key: {"type": "array", "items": item}})


def nullable_object(schema: dict[str, Any]) -> dict[str, Any]:
    """Like ``schema``, or null, in an answer."""
    return {**schema, "type": ["object", "null"]}
