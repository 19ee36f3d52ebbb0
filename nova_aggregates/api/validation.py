"""Request bodies against JSON schemas, compiled once.

A schema's ``description`` completes the sentence "<place> must be ...". Messages never repeat a
value, because it may be a password.
"""

from __future__ import annotations

import binascii
import datetime
import ipaddress
import re
from typing import Any

import jsonschema
from cryptography import x509
from jsonschema.exceptions import ValidationError

from nova_aggregates.api.faults import Fault
from nova_aggregates.api.text import ILLEGAL, is_clean

SHOWN = 64  # characters of a caller's key that a message repeats

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}\Z")

FORMATS = jsonschema.FormatChecker(formats=())


class Validator:
    """:param schema: JSON schema of a whole request body."""

    def __init__(self, schema: dict[str, Any]) -> None:
        jsonschema.Draft202012Validator.check_schema(schema)
        self.schema = schema
        self._validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)

    def check(self, document: Any) -> None:
        """:raises Fault: 400, which says where and what."""
        errors = list(self._validator.iter_errors(document))
        if errors:
            # The outermost one: what is wrong below it often follows from it.
            raise Fault(400, _sentence(min(errors, key=lambda error: len(error.absolute_path))))


def _sentence(error: ValidationError) -> str:
    place = ".".join(str(part)[:SHOWN] for part in error.absolute_path) or "The body"
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "required":
        missing = [name for name in schema["required"] if name not in instance]
        return f"{place} lacks {', '.join(missing)}."
    if error.validator == "additionalProperties":
        known = schema["properties"]
        extra = sorted(name[:SHOWN] for name in instance if name not in known)
        return f"{place} has unknown keys: {', '.join(extra[:5])}. Known: {', '.join(known)}."
    return f"{place} must be {schema['description']}."


def _format(name: str) -> Any:
    def register(check: Any) -> Any:
        FORMATS.checks(name)(lambda value: not isinstance(value, str) or check(value))
        return check

    return register


_format("clean")(is_clean)


def moment(value: str) -> datetime.datetime:
    """A naive UTC time from ISO 8601; without an offset it is in UTC.

    :raises ValueError: it is none.
    """
    parsed = datetime.datetime.fromisoformat(value)
    return parsed.astimezone(datetime.UTC).replace(tzinfo=None) if parsed.tzinfo else parsed


@_format("moment")
def is_moment(value: str) -> bool:
    try:
        moment(value)
    except (ValueError, OverflowError):
        return False
    return True


@_format("uuid")
def is_uuid(value: str) -> bool:
    return bool(_UUID.match(value))


@_format("text")
def is_text(value: str) -> bool:
    return not ILLEGAL.search(value)


@_format("zone")
def is_zone(value: str) -> bool:
    # "zone:host" is how Nova's clients name a host in a zone.
    return is_clean(value) and ":" not in value


@_format("name-v21")
def is_name_v21(value: str) -> bool:
    return is_clean(value) and max(value, default="") <= "\uffff"


@_format("spaced-name-v21")
def is_spaced_name_v21(value: str) -> bool:
    return bool(value.strip()) and is_name_v21(value.strip())


@_format("zone-v21")
def is_zone_v21(value: str) -> bool:
    return is_zone(value) and is_name_v21(value)


@_format("host-name")
def is_host_name(value: str) -> bool:
    # A suffix of that kind asks for a format when it ends a URL.
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value)) and not value.endswith(
        (".json", ".xml")
    )


@_format("address")
def is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        labels = value.removesuffix(".").split(".")
        # What looks like a number is an IPv4 address mistyped.
        return all(map(_LABEL.match, labels)) and not labels[-1].isdigit()
    return "%" not in value


@_format("fingerprint")
def is_fingerprint(value: str) -> bool:
    return bool(_FINGERPRINT.match(value))


@_format("pem")
def is_pem(value: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(value.encode()))
    except (ValueError, binascii.Error, UnicodeEncodeError):
        return False
