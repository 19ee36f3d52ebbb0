"""From the records of XenAPI to values with real types, once, at the edge.

On the wire 64-bit integers are text, a null reference is ``OpaqueRef:NULL`` or ``""`` (xapi
``ocaml/idl/datamodel_common.ml``), and a field that a release does not have is simply missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NULL_REF = "OpaqueRef:NULL"


def seconds(text: str) -> float | None:
    """Unix seconds from text such as ``1795229534.``; None when there is no number."""
    try:
        return float(text)
    except ValueError:
        return None


class Record:
    """Typed access to one record. A missing field reads as its type's empty value."""

    __slots__ = ("_fields", "ref")

    def __init__(self, ref: str, fields: Mapping[str, Any]) -> None:
        self.ref = ref
        self._fields = fields

    def has(self, name: str) -> bool:
        return name in self._fields

    def text(self, name: str, default: str = "") -> str:
        value = self._fields.get(name, default)
        return value if isinstance(value, str) else str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._fields.get(name, default)
        return value if isinstance(value, bool) else str(value).lower() in ("true", "1")

    def integer(self, name: str, default: int = 0) -> int:
        try:
            return int(self._fields.get(name, default))
        except (TypeError, ValueError):
            return default

    def link(self, name: str) -> str | None:
        """The reference in a field; None for the null reference."""
        value = self._fields.get(name)
        return value if isinstance(value, str) and value not in ("", NULL_REF) else None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._fields.get(name)
        return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()

    def mapping(self, name: str) -> dict[str, str]:
        value = self._fields.get(name)
        if not isinstance(value, Mapping):
            return {}
        return {str(key): str(item) for key, item in value.items()}

    def operations(self) -> tuple[str, ...]:
        """What is under way on the object: the values of current_operations (task -> name)."""
        return tuple(sorted(self.mapping("current_operations").values()))


class Table:
    """All records of a class. ``None`` stands for a class that the release does not offer."""

    __slots__ = ("_records", "offered")

    def __init__(self, records: Mapping[str, Mapping[str, Any]] | None) -> None:
        self.offered = records is not None
        self._records = {ref: Record(ref, fields) for ref, fields in (records or {}).items()}

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def get(self, ref: str | None) -> Record | None:
        return self._records.get(ref) if ref is not None else None

    def named(self, ref: str | None) -> str:
        """The name behind a reference, for people."""
        record = self.get(ref)
        return record.text("name_label") or record.text("uuid") if record else ""
