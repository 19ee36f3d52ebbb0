"""Values as they live in a database, and how a caller's arguments become such values.

Integers are Python ints, whatever the wire makes of them; dates and references are text.
The failure texts are those of ocaml-rpc's ``rpc.ml`` (observed).
"""

from __future__ import annotations

import datetime
import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from nova_aggregates.simulator.errors import ApiError, ocaml_failure


class DateTime(str):
    """Text of the form 20261121T02:00:23Z."""

    __slots__ = ()


class TypedInt(int):
    """An integer that XML-RPC shows as <i4>; only event.from's counts are like that."""


EPOCH = DateTime("19700101T00:00:00Z")


def datetime_at(seconds: float) -> DateTime:
    """The wire form of a Unix time, second resolution."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return DateTime(moment.strftime("%Y%m%dT%H:%M:%SZ"))


def new_uuid() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16)))


def new_ref() -> str:
    return f"OpaqueRef:{new_uuid()}"


def shown(value: Any) -> str:
    """A value as ``Rpc.to_string`` prints it."""
    if value is None:
        return "N"
    if isinstance(value, bool):
        return f"B({str(value).lower()})"
    if isinstance(value, int):
        return f"I({value})"
    if isinstance(value, float):
        return f"F({value:g})"
    if isinstance(value, DateTime):
        return f"D({value})"
    if isinstance(value, str):
        return f"S({value})"
    if isinstance(value, dict):
        return "{" + ";".join(f"{k}:{shown(v)}" for k, v in value.items()) + "}"
    return "[" + ";".join(shown(v) for v in value) + "]"


OCAML_INT = re.compile(
    r"[+-]?(0[xX][0-9a-fA-F][0-9a-fA-F_]*|0[oO][0-7][0-7_]*|0[bB][01][01_]*|[0-9][0-9_]*)"
)
INT64 = 1 << 63


def ocaml_int(text: str) -> int:
    """What OCaml's Int64.of_string makes of a text. Raises ValueError."""
    if OCAML_INT.fullmatch(text) is None:
        raise ValueError(text)
    digits = text.replace("_", "").lstrip("+-")
    marked = digits[:2].lower() in ("0x", "0o", "0b")
    number = int(digits, 0) if marked else int(digits)
    value = -number if text.startswith("-") else number
    if marked and INT64 <= number < 2 * INT64:  # all 64 bits may be given
        value -= 2 * INT64 if value > 0 else -2 * INT64
    if not -INT64 <= value < INT64:
        raise ValueError(text)
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, DateTime):
        raise ocaml_failure(f"Expected string, got '{shown(value)}'")
    return value


def _int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        try:
            return ocaml_int(value)
        except ValueError:
            raise ocaml_failure("Int64.of_string") from None
    raise ocaml_failure(f"Expected int64, got '{shown(value)}'")


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ocaml_failure(f"Expected bool, got '{shown(value)}'")
    return value


def _float(value: Any) -> float:
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ocaml_failure("float_of_string") from None
    raise ocaml_failure(f"Expected float, got '{shown(value)}'")


def _datetime(value: Any) -> DateTime:
    if isinstance(value, str):
        return DateTime(value)
    raise ocaml_failure(f"Expected DateTime, got '{shown(value)}'")


SIMPLE: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "int": _int,
    "bool": _bool,
    "float": _float,
    "datetime": _datetime,
    "ref": _string,
}


class Decoder:
    """Turns wire values into values of datamodel types such as ``map string>ref VM``."""

    def __init__(self, enums: dict[str, list[str]]) -> None:
        self._enums = enums

    def decode(self, kind: str, value: Any) -> Any:
        """Raises ApiError INTERNAL_ERROR for a value of another type (observed texts)."""
        head, _, rest = kind.partition(" ")
        if head in SIMPLE:
            return SIMPLE[head](value)
        if head == "set":
            if not isinstance(value, list):
                raise ocaml_failure(f"Expecting Rpc.Enum, but found '{shown(value)}'")
            return [self.decode(rest, item) for item in value]
        if head == "map":
            return self._map(rest, value)
        if head == "enum":
            return self._enum(rest, value)
        if head == "record" and not isinstance(value, dict):
            raise ocaml_failure(f"Expecting Rpc.Dict, but found '{shown(value)}'")
        return value

    def _map(self, rest: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ocaml_failure(f"Expecting Rpc.Dict, but found '{shown(value)}'")
        _, _, kind = rest.partition(">")
        return {str(key): self.decode(kind, item) for key, item in value.items()}

    def _enum(self, name: str, value: Any) -> str:
        text = _string(value)
        known = self._enums.get(name)
        if known and text not in known:
            for candidate in known:
                if candidate.lower() == text.lower():
                    return candidate
            raise ocaml_failure("Unknown tag/contents")
        return text


def assert_utf8(value: str) -> None:
    """Text that cannot be stored: lone surrogates come from bytes that were no UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ApiError("INVALID_VALUE", "Invalid UTF-8 string in parameter", value) from None
