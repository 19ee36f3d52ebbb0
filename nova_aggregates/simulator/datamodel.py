"""The XenAPI datamodel: classes, fields, methods, roles, types and defaults.

The facts are in ``data/datamodel.json`` (from xapi's ``ocaml/idl`` at 26.17 and its own
``system.listMethods``); this module gives them a shape.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from nova_aggregates.simulator.values import DateTime, Decoder

ACCESSOR = re.compile(r"(get|set|add_to|remove_from|add|remove)_(.+)")


@dataclass(frozen=True)
class Field:
    name: str
    column: str  # the name that get_all_records_where knows it by
    kind: str
    default: Any
    writable: bool


@dataclass(frozen=True)
class Param:
    name: str
    kind: str
    optional: bool = False
    default: Any = None


@dataclass(frozen=True)
class Method:
    """One name of ``system.listMethods``; ``accessor`` names the verb and field of a plain one."""

    name: str
    cls: str
    verb: str
    role: str
    has_async: bool
    result: str
    params: tuple[Param, ...]
    needs_session: bool = True
    refused: str = ""  # MESSAGE_REMOVED or MESSAGE_DEPRECATED
    accessor: tuple[str, str] | None = None

    @property
    def required(self) -> int:
        return sum(1 for p in self.params if not p.optional)

    @property
    def takes_more(self) -> bool:
        """Methods with optional parameters ignore a surplus (observed)."""
        return any(p.optional for p in self.params)


@dataclass(frozen=True)
class Class:
    name: str
    has_events: bool
    fields: dict[str, Field] = field(default_factory=dict)


class Datamodel:
    """Everything that is the same on every host of one API level."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.decoder = Decoder(facts["enums"])
        self.classes = {name: _class(name, c) for name, c in facts["classes"].items()}
        self.methods = {m[0]: self._method(m) for m in facts["methods"]}
        self.enums: dict[str, list[str]] = facts["enums"]

    def defaults(self, cls: str) -> dict[str, Any]:
        """A record of the class with every field at its default."""
        return {n: copy.copy(f.default) for n, f in self.classes[cls].fields.items()}

    def _method(self, entry: list[Any]) -> Method:
        name, role, has_async, result, params, *flags = entry
        cls, verb = name.split(".", 1)
        return Method(
            name=name,
            cls=cls,
            verb=verb,
            role=role,
            has_async=bool(has_async),
            result=result,
            params=tuple(_param(p) for p in params),
            needs_session="nosession" not in flags,
            refused=next((f for f in flags if f.startswith("MESSAGE_")), ""),
            accessor=self._accessor(cls, verb),
        )

    def _accessor(self, cls: str, verb: str) -> tuple[str, str] | None:
        found = ACCESSOR.fullmatch(verb)
        if found and found.group(2) in self.classes[cls].fields:
            return found.group(1), found.group(2)
        return None


def typed(kind: str, value: Any) -> Any:
    """A value of the JSON data as one of the kind: the wire's text for integers, dates."""
    head = kind.split(" ", 1)[0]
    if head == "int":
        return int(value)
    if head == "datetime":
        return DateTime(value)
    if head == "float":
        return float(value)
    return value


def _class(name: str, facts: dict[str, Any]) -> Class:
    columns = facts.get("namespaced", {})
    fields = {
        f[0]: Field(f[0], columns.get(f[0], f[0]), f[1], typed(f[1], f[2]), f[3] == "RW")
        for f in facts["fields"]
    }
    return Class(name, facts["events"], fields)


def _param(entry: list[Any]) -> Param:
    kind, name, *default = entry
    return Param(name, kind, bool(default), typed(kind, default[0]) if default else None)


def read_data(name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath("data", name).read_text())


@functools.cache
def load() -> Datamodel:
    """The datamodel of XenAPI 2.23 (xapi 26.17)."""
    return Datamodel(read_data("datamodel.json"))
