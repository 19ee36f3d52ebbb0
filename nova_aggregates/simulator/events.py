"""event.from: what changed since a token, or a wait until something does (xapi_event.ml)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.datamodel import Datamodel
from nova_aggregates.simulator.errors import ApiError, handle_invalid
from nova_aggregates.simulator.values import TypedInt, ocaml_int

BATCHING = 0.05  # changes that come together are told together
NOT_TABLES = ("vdi_nbd_server_info", "user", "sr_stat", "probe_result", "data_source", "event")
EVERYTHING = "*"
ORDER = ("add", "mod", "del")


@dataclass(frozen=True)
class Subscription:
    classes: frozenset[str]
    objects: frozenset[tuple[str, str]]

    def wants(self, cls: str, ref: str) -> bool:
        name = cls.lower()
        return EVERYTHING in self.classes or name in self.classes or (name, ref) in self.objects


def subscription(names: list[str]) -> Subscription:
    """Class names in any case, "*", or "class/OpaqueRef:…"."""
    classes, objects = set(), set()
    for name in names:
        cls, slash, ref = name.partition("/")
        if slash:
            objects.add((cls.lower(), ref))
        else:
            classes.add(cls.lower())
    return Subscription(frozenset(classes), frozenset(objects))


def parse_token(token: str) -> int:
    """Raises EVENT_FROM_TOKEN_PARSE_FAILURE."""
    if token == "":
        return 0
    try:
        first, _ = (ocaml_int(text) for text in token.split(","))
    except ValueError:
        raise ApiError("EVENT_FROM_TOKEN_PARSE_FAILURE", token) from None
    return first


@api("event.from")
async def event_from(call: Call, names: list[str], token: str, timeout: float) -> dict[str, Any]:
    if call.local and not call.process.is_master:
        cls = names[0].split("/")[0] if names else ""
        raise ApiError("INTERNAL_ERROR", "missing table", cls, "")
    wanted, since, db = subscription(names), parse_token(token), call.db
    clock = call.clock
    deadline = clock.now() + timeout if timeout >= 0 else None
    await clock.sleep(BATCHING)
    while True:
        if not call.local and call.session_ref not in call.process.sessions:
            raise ApiError("SESSION_INVALID", call.session_ref)
        events, last = _since(db, call.model, wanted, since)
        left = None if deadline is None else (deadline - clock.now()) / clock.scale
        if events or (left is not None and left <= 0):
            return _answer(db, call.model, events, last)
        await _change(db, left)


async def _change(db: Database, seconds: float | None) -> None:
    """Wait for a change, at most so many real seconds; None waits for ever (observed)."""
    changed = db.wait_for_change()
    try:
        await asyncio.wait_for(changed.wait(), seconds)
    except TimeoutError:
        return
    finally:
        db.stop_waiting(changed)


def _since(
    db: Database, model: Datamodel, wanted: Subscription, since: int
) -> tuple[list[dict[str, Any]], int]:
    """The events, additions first and deletions last, and the number of the newest change."""
    found: list[tuple[int, dict[str, Any]]] = []
    last = since
    for (cls, ref), when in db.modified.items():
        if when <= since or not model.has_events(cls) or not wanted.wants(cls, ref):
            continue
        last = max(last, when)
        operation = "add" if db.created[cls, ref] > since else "mod"
        snapshot = model.shown(cls, db.tables[cls][ref])
        found.append((when, _event(when, cls, operation, ref, snapshot)))
    for when, created, cls, ref in db.deleted:
        if when <= since or not model.has_events(cls) or not wanted.wants(cls, ref):
            continue
        last = max(last, when)
        if created <= since:
            found.append((when, _event(when, cls, "del", ref)))
    found.sort(key=lambda pair: (ORDER.index(pair[1]["operation"]), pair[0]))
    return [event for _, event in found], last


def _event(
    number: int, cls: str, operation: str, ref: str, snapshot: dict[str, Any] | None = None
) -> dict[str, Any]:
    event = {
        "id": str(number),
        "timestamp": "0.0",
        "class": cls.lower(),
        "operation": operation,
        "ref": ref,
    }
    return event if snapshot is None else {**event, "snapshot": snapshot}


def _answer(
    db: Database, model: Datamodel, events: list[dict[str, Any]], last: int
) -> dict[str, Any]:
    counts = {name: TypedInt(0) for name in NOT_TABLES}
    counts["user"] = TypedInt(1)
    counts.update({cls.lower(): TypedInt(len(db.tables[cls])) for cls in model.classes})
    return {
        "events": events,
        "valid_ref_counts": counts,
        "token": _token(last),
    }


def _token(number: int) -> str:
    return f"{number:020d},{0:020d}"


@api("event.inject")
def inject(call: Call, cls: str, ref: str) -> str:
    """Tell of an object as if it had changed. The class is spelled as its table is."""
    db = call.db
    if ref not in db.tables.get(cls, ()):
        raise handle_invalid(cls, ref)
    before = db.generation
    db.touch(cls, ref)
    return _token(before - 1)
