"""event.register, event.next and event.unregister, as old clients use them (xapi_event.ml Next).

One queue a toolstack, begun with the first registration: every write is an event of its own, with
the object as it was then. A session gets those since its last call that fit what it registered for.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.datamodel import Datamodel
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.events import Subscription, subscription
from nova_aggregates.simulator.machine import Process

QUEUE_LIMIT = 10_000_000  # characters of JSON; above that the oldest events are forgotten


@dataclass
class Registration:
    """What one session listens to; ``seen`` is the number of the next event for it."""

    seen: int
    names: list[str] = field(default_factory=list)

    @property
    def wanted(self) -> Subscription:
        return subscription(self.names)


class Queue:
    """The events of one toolstack's life that at least one session had registered for."""

    def __init__(self, db: Database, model: Datamodel, now: Callable[[], float]) -> None:
        self._db, self._model, self._now = db, model, now
        self._events: list[tuple[int, dict[str, Any]]] = []  # with their sizes
        self._size = 0
        self._forgotten = -1
        self._waiting = asyncio.Event()
        self.number = 0
        self.registrations: dict[str, Registration] = {}
        db.listeners.add(self._note)

    def close(self) -> None:
        self._db.listeners.discard(self._note)

    def registration(self, session: str) -> Registration:
        return self.registrations.setdefault(session, Registration(self.number))

    def read(self, registration: Registration) -> list[dict[str, Any]]:
        """What is new to the session. Raises EVENTS_LOST when some of it is forgotten."""
        since, registration.seen = registration.seen, self.number
        if self._forgotten >= since:
            raise ApiError("EVENTS_LOST")
        wanted = registration.wanted
        new = (event for _, event in self._events if int(event["id"]) >= since)
        return [event for event in new if wanted.wants(event["class"], event["ref"])]

    async def change(self) -> None:
        await self._waiting.wait()

    def wake(self) -> None:
        """Let those who wait look again: at an event, or at a session that is gone."""
        self._waiting.set()
        self._waiting = asyncio.Event()

    def _note(self, operation: str, cls: str, ref: str) -> None:
        wanted = any(r.wanted.wants(cls, ref) for r in self.registrations.values())
        if not wanted or not self._model.has_events(cls):
            return
        event: dict[str, Any] = {
            "id": str(self.number),
            "timestamp": f"{int(self._now())}.",
            "class": cls.lower(),
            "operation": operation,
            "ref": ref,
        }
        if operation != "del":
            event["snapshot"] = self._model.shown(cls, self._db.tables[cls][ref])
        size = len(json.dumps(event))
        self._events.append((size, event))
        self._size += size
        self.number += 1
        self._forget()
        self.wake()

    def _forget(self) -> None:
        while self._size > QUEUE_LIMIT:
            size, event = self._events.pop(0)
            self._size -= size
            self._forgotten = int(event["id"])


def _queue(call: Call) -> Queue:
    process = call.process
    if process.legacy_events is None:
        queue = Queue(call.db, call.model, call.clock.now)
        process.legacy_events = queue
        process.on_end.append(queue.close)
        process.on_logout.append(lambda ref: _logged_out(queue, ref))
    found: Queue = process.legacy_events
    return found


def _logged_out(queue: Queue, session: str) -> None:
    queue.registrations.pop(session, None)
    queue.wake()


@api("event.register")
def register(call: Call, classes: list[str]) -> None:
    registration = _queue(call).registration(call.session_ref)
    registration.names = [*classes, *registration.names]


@api("event.unregister")
def unregister(call: Call, classes: list[str]) -> None:
    """Names must be given as they were registered, in any case of letters."""
    registration = _queue(call).registration(call.session_ref)
    gone = {name.lower() for name in classes}
    registration.names = [n for n in registration.names if n.lower() not in gone]


@api("event.next")
async def next_events(call: Call) -> list[dict[str, Any]]:
    """Waits, without end, until there is something. Raises SESSION_NOT_REGISTERED, EVENTS_LOST."""
    queue = _queue(call)
    registration = queue.registrations.get(call.session_ref)
    if registration is None:
        digest = hashlib.md5(call.session_ref.encode(), usedforsecurity=False).hexdigest()
        raise ApiError("SESSION_NOT_REGISTERED", f"trackid={digest}")
    while True:
        events = queue.read(registration)
        if events:
            return events
        await queue.change()
        if not is_open(call.process, call.session_ref):
            raise ApiError("SESSION_INVALID", call.session_ref)


def is_open(process: Process, session: str) -> bool:
    return session in process.sessions or session in process.local_sessions


@api("event.get_current_id")
def get_current_id(call: Call) -> int:
    """The number of the next event of the old kind."""
    return _queue(call).number
