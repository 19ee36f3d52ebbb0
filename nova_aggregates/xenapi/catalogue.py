"""What the error codes of XenAPI mean for the person who has to deal with them.

The entries stand in ``nova_aggregates.xenapi.codes``, by topic. A code without an entry passes
through with its parameters. Sources: xapi ``ocaml/xapi-consts/api_errors.ml`` (the codes) and
``ocaml/idl/datamodel_errors.ml`` (their parameters); meanings and cures are our own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence

from nova_aggregates.xenapi.codes import guests, hosts, joining, pools, reaching, requests
from nova_aggregates.xenapi.codes.entry import Entry, Situation

__all__ = ["REF", "Entry", "Explanation", "Resolver", "Situation", "entries", "explain"]

# Gives the name behind an OpaqueRef, or None when it does not know it.
Resolver = Callable[[str], str | None]

REF = re.compile(r"OpaqueRef:[0-9A-Za-z-]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """One error, told to a person."""

    message: str  # what happened, with names
    cause: str  # the likely cause
    cure: str  # what to do next
    retry_helps: bool  # the same call may succeed later with nobody having done anything
    situation: Situation


def entries() -> Iterable[Entry]:
    for module in (reaching, requests, joining, pools, hosts, guests):
        yield from module.ENTRIES


def _index() -> dict[str, list[Entry]]:
    """By code; entries with a pattern first, so that the general one is the last resort."""
    index: dict[str, list[Entry]] = {}
    for entry in entries():
        index.setdefault(entry.code, []).append(entry)
    for found in index.values():
        found.sort(key=lambda entry: entry.pattern is None)
    return index


_INDEX = _index()

_UNKNOWN_PATTERNS = (
    # Older releases raise codes that newer ones have dropped; they announce themselves by name.
    (re.compile(r"JOINING|HOSTS_NOT_"), "JOIN_PRECONDITION"),
    (re.compile(r"LICEN[CS]E_"), "LICENCE_UNKNOWN"),
    (re.compile(r".*_IN_PROGRESS"), "POOL_OPERATION_IN_PROGRESS"),
    (re.compile(r"SR_BACKEND_FAILURE"), "SR_BACKEND_FAILURE"),
)


def find(code: str, params: Sequence[str], method: str = "") -> Entry | None:
    """The most specific entry for an error, or None for a code that is not in the catalogue.

    Some codes mean something else when a certain call raises them (pool.join passes on what the
    other side answered); those have an entry ``method:CODE``.
    """
    text = " ".join(params)
    for entry in (
        *_INDEX.get(f"{method.removeprefix('Async.')}:{code}", ()),
        *_INDEX.get(code, ()),
    ):
        if entry.pattern is None or re.search(entry.pattern, text):
            return entry
    for pattern, family in _UNKNOWN_PATTERNS:
        if pattern.search(code):
            return _INDEX[family][0]
    return None


def explain(
    code: str, params: Sequence[str], *, method: str = "", resolver: Resolver | None = None
) -> Explanation:
    """Turns an error into words; ``resolver`` replaces references by names."""
    shown = [named(param, resolver) for param in params]
    entry = find(code, params, method)
    if entry is None:
        listed = ", ".join(shown)
        return Explanation(
            message=f"XenServer answered {code}" + (f" ({listed})" if listed else ""),
            cause="This error is not in the catalogue of this service.",
            cure="Look at the log of the toolstack (/var/log/xensource.log) on the host.",
            retry_helps=False,
            situation=Situation.UNKNOWN,
        )
    message = entry.message.format(*shown, *[""] * 4, code=code, params=", ".join(shown))
    return Explanation(
        message=" ".join(message.split()),
        cause=entry.cause,
        cure=entry.cure,
        retry_helps=entry.retry_helps,
        situation=entry.situation,
    )


def named(text: str, resolver: Resolver | None) -> str:
    """The text with every reference in it replaced by the name that the resolver knows."""
    if resolver is None:
        return text
    return REF.sub(lambda match: resolver(match.group()) or match.group(), text)
