"""Names for the references that an error carries."""

from __future__ import annotations

from collections.abc import Iterable

from nova_aggregates.xenapi import errors
from nova_aggregates.xenapi.catalogue import REF, Resolver
from nova_aggregates.xenapi.connection import Connection

_MOST_LOOKUPS = 4
# The kind, and the noun before the name where the catalogue's sentences have none.
_KINDS = (("host", "host "), ("VM", "guest "), ("SR", ""), ("network", ""), ("VDI", ""))


def lookup(connection: Connection, texts: Iterable[str]) -> Resolver:
    """Asks the pool for the names of the first few references in the texts. Raises nothing:
    what cannot be found keeps its reference."""
    known: dict[str, str] = {}
    found = dict.fromkeys(REF.findall(" ".join(texts)))
    for ref in list(found)[:_MOST_LOOKUPS]:
        try:
            name = _name(connection, ref)
        except errors.XenError:
            break
        if name:
            known[ref] = name
    return known.get


def with_names(connection: Connection, error: errors.XenError) -> errors.XenError:
    """The error with names in its message, as far as this pool knows them."""
    if not any(REF.search(param) for param in error.params):
        return error
    return error.with_names(lookup(connection, error.params))


def _name(connection: Connection, ref: str) -> str:
    for kind, noun in _KINDS:
        try:
            return noun + str(connection.call(f"{kind}.get_name_label", ref))
        except (errors.ObjectGone, errors.MethodUnknown):
            continue
    return ""
