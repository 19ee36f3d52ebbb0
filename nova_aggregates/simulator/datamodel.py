"""The XenAPI datamodel: classes, fields, methods, roles, types and defaults.

The facts are in ``data/datamodel.json`` (from xapi's ``ocaml/idl`` at 26.17 and its own
``system.listMethods``); this module gives them a shape, and takes away what a level has not.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from nova_aggregates.simulator import levels
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
    absent: bool = False  # not yet known to this level: always its default


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
        return any(p.optional and not p.absent for p in self.params)


@dataclass(frozen=True)
class Class:
    name: str
    has_events: bool
    fields: dict[str, Field] = field(default_factory=dict)


class Datamodel:
    """Everything that is the same on every host of one API level.

    Databases hold the records of the newest level; what a host of another level shows of them is
    ``shown``, and what it takes are the ``methods``.
    """

    def __init__(self, facts: dict[str, Any], lacking: Lacking | None = None) -> None:
        lacks = lacking or Lacking()
        self.decoder = Decoder(facts["enums"])
        self.enums: dict[str, list[str]] = facts["enums"]
        known = {n: c for n, c in facts["classes"].items() if n not in lacks.classes}
        self.classes = {n: _class(n, c, lacks.fields.get(n, ())) for n, c in known.items()}
        self._hidden = lacks.fields
        self._defaults: dict[str, dict[str, Any]] = {}
        described = (self._method(m, lacks) for m in facts["methods"] if _is_known(m[0], lacks))
        self.methods = {m.name: m for m in described}

    def defaults(self, cls: str) -> dict[str, Any]:
        """A record of the class with every field at its default.

        Records share these values, as nobody changes one in place.
        """
        found = self._defaults.get(cls)
        if found is None:
            found = {n: f.default for n, f in self.classes[cls].fields.items()}
            self._defaults[cls] = found
        return dict(found)

    def has_events(self, cls: str) -> bool:
        return cls in self.classes and self.classes[cls].has_events

    def shown(self, cls: str, record: dict[str, Any]) -> dict[str, Any]:
        """A copy of the record as a client of this level gets it; values are shared."""
        hidden = self._hidden.get(cls)
        if not hidden:
            return dict(record)
        return {n: v for n, v in record.items() if n not in hidden}

    def _method(self, entry: list[Any], lacks: Lacking) -> Method:
        name, role, has_async, result, params, *flags = entry
        cls, verb = name.split(".", 1)
        absent = lacks.params.get(name, ())
        return Method(
            name=name,
            cls=cls,
            verb=verb,
            role=role,
            has_async=bool(has_async),
            result=result,
            params=tuple(_param(p, absent) for p in params),
            needs_session="nosession" not in flags,
            refused=next((f for f in flags if f.startswith("MESSAGE_")), ""),
            accessor=_accessor(self.classes[cls], verb) if cls in self.classes else None,
        )


@dataclass(frozen=True)
class Lacking:
    """What an older level has not: classes, fields and parameters by their owner, methods."""

    classes: frozenset[str] = frozenset()
    fields: dict[str, frozenset[str]] = field(default_factory=dict)
    methods: frozenset[str] = frozenset()
    params: dict[str, frozenset[str]] = field(default_factory=dict)
    all_where: bool = False  # get_all_where came with the newest level


def _is_known(name: str, lacks: Lacking) -> bool:
    cls, verb = name.split(".", 1)
    if cls in lacks.classes or name in lacks.methods:
        return False
    if verb == "get_all_where" and lacks.all_where:
        return False
    found = ACCESSOR.fullmatch(verb)
    return found is None or found.group(2) not in lacks.fields.get(cls, ())


def _accessor(cls: Class, verb: str) -> tuple[str, str] | None:
    found = ACCESSOR.fullmatch(verb)
    if found and found.group(2) in cls.fields:
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


def _class(name: str, facts: dict[str, Any], hidden: Collection[str]) -> Class:
    columns = facts.get("namespaced", {})
    fields = {
        f[0]: Field(f[0], columns.get(f[0], f[0]), f[1], typed(f[1], f[2]), f[3] == "RW")
        for f in facts["fields"]
        if f[0] not in hidden
    }
    return Class(name, facts["events"], fields)


def _param(entry: list[Any], absent: Collection[str]) -> Param:
    kind, name, *default = entry
    value = typed(kind, default[0]) if default else None
    return Param(name, kind, bool(default), value, name in absent)


def read_data(name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath("data", name).read_text())


@functools.cache
def load(level: str = levels.NEWEST) -> Datamodel:
    """The datamodel of a level of ``levels.LEVELS``."""
    return Datamodel(read_data("datamodel.json"), _lacking(level))


def _lacking(level: str) -> Lacking:
    brought = read_data("levels.json")
    later = [brought[name] for name in levels.after(level)]

    def by_owner(kind: str) -> dict[str, frozenset[str]]:
        owners = {owner for found in later for owner in found[kind]}
        return {o: frozenset(n for f in later for n in f[kind].get(o, ())) for o in owners}

    return Lacking(
        classes=frozenset(c for found in later for c in found["classes"]),
        fields=by_owner("fields"),
        methods=frozenset(m for found in later for m in found["methods"]),
        params=by_owner("params"),
        all_where=bool(later),
    )
