"""What happened at the hosts of a site, for tests and rehearsals that ask afterwards.

Moments are in seconds of the simulated hosts since the site was started.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.database import Record

MOST_EVENTS = 200_000  # the oldest half is forgotten above that


@dataclass(frozen=True)
class Event:
    """``kind`` is one of those that ``History`` documents; fields that do not apply are empty."""

    number: int
    time: float
    kind: str
    host: str = ""
    guest: str = ""
    uuid: str = ""  # of the guest
    source: str = ""  # the host that a guest leaves
    why: str = ""


@dataclass
class Down:
    """A stretch of time in which a host's toolstack did not run; ``until`` None: still."""

    since: float
    until: float | None
    why: str


@dataclass
class Summary:
    """What the events come to."""

    moves: dict[str, int] = field(default_factory=dict)  # by guest
    stops: dict[str, list[str]] = field(default_factory=dict)  # by guest, with the reasons
    most_moves_from: dict[str, int] = field(default_factory=dict)  # at the same time, by host
    most_moves_to: dict[str, int] = field(default_factory=dict)
    most_moves: int = 0  # at the same time, in all
    down: dict[str, list[Down]] = field(default_factory=dict)  # by host


class History:
    """Events of these kinds, in their order:

    ``move-began``, ``moved`` and ``move-failed`` (source, host, guest, why: the error's code);
    ``guest-started``; ``guest-stopped`` (why: the operation, or ``host-reboot``, ``host-shutdown``,
    ``host-lost``); ``guest-rebooted``; ``host-down`` (why: ``reboot``, ``shutdown``, ``power`` or
    ``toolstack``) and ``host-up``; ``enabled`` and ``disabled``; ``updated`` (why: the update).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.now()
        self._count = 0
        self.events: list[Event] = []

    def clear(self) -> None:
        self.events.clear()
        self._start = self._clock.now()

    def note(self, kind: str, **values: str) -> None:
        self._count += 1
        moment = round(self._clock.now() - self._start, 3)
        self.events.append(Event(self._count, moment, kind, **values))
        if len(self.events) > MOST_EVENTS:
            del self.events[: MOST_EVENTS // 2]

    def guest_started(self, vm: Record, host: str) -> None:
        self.note("guest-started", guest=vm["name_label"], uuid=vm["uuid"], host=host)

    def guest_stopped(self, vm: Record, host: str, why: str) -> None:
        self.note("guest-stopped", guest=vm["name_label"], uuid=vm["uuid"], host=host, why=why)

    def guest_rebooted(self, vm: Record) -> None:
        self.note("guest-rebooted", guest=vm["name_label"], uuid=vm["uuid"])

    def move(self, kind: str, vm: Record, source: str, host: str, why: str = "") -> None:
        given = {"guest": vm["name_label"], "uuid": vm["uuid"], "source": source, "host": host}
        self.note(kind, **given, why=why)

    def host(self, kind: str, host: str, why: str = "") -> None:
        self.note(kind, host=host, why=why)

    def since(self, number: int = 0) -> list[Event]:
        """Events after that number."""
        return [e for e in self.events if e.number > number]

    def summary(self) -> Summary:
        found = Summary()
        running: dict[str, Event] = {}  # moves by guest
        for event in self.events:
            if event.kind == "move-began":
                running[event.uuid] = event
                _count_moves(found, list(running.values()))
            elif event.kind in ("moved", "move-failed"):
                running.pop(event.uuid, None)
                if event.kind == "moved":
                    found.moves[event.guest] = found.moves.get(event.guest, 0) + 1
            elif event.kind == "guest-stopped":
                found.stops.setdefault(event.guest, []).append(event.why)
            elif event.kind in ("host-down", "host-up"):
                _note_down(found.down.setdefault(event.host, []), event)
        return found

    def as_json(self, since: int = 0) -> dict[str, Any]:
        events = [
            {k: v for k, v in asdict(e).items() if v not in ("", None)} for e in self.since(since)
        ]
        return {"events": events, "summary": asdict(self.summary())}


def _count_moves(found: Summary, running: list[Event]) -> None:
    found.most_moves = max(found.most_moves, len(running))
    for most, hosts in (
        (found.most_moves_from, [e.source for e in running]),
        (found.most_moves_to, [e.host for e in running]),
    ):
        for host in set(hosts):
            most[host] = max(most.get(host, 0), hosts.count(host))


def _note_down(stretches: list[Down], event: Event) -> None:
    ended = not stretches or stretches[-1].until is not None
    if event.kind == "host-down" and ended:
        stretches.append(Down(event.time, None, event.why))
    elif event.kind == "host-up" and not ended:
        stretches[-1].until = event.time
