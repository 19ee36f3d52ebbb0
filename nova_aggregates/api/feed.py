"""What all readers of the event stream in this process share."""

from __future__ import annotations

import threading
import time

from nova_aggregates.api.faults import Fault
from nova_aggregates.manager import OperationManager
from nova_aggregates.objects import OperationEvent

BATCH = 200  # events
FRESH = 0.4  # seconds for which an answer of the database is good enough for every reader
RETRY_AFTER = 30  # seconds


class Feed:
    """Asks the database once for all readers that have seen the same, which soon are all.

    :param most_readers: a reader occupies a connection of the server all the time.
    """

    def __init__(self, operations: OperationManager, *, most_readers: int) -> None:
        self._operations = operations
        self._lock = threading.Lock()
        self._answers: dict[int, tuple[float, list[OperationEvent]]] = {}
        self._room = threading.BoundedSemaphore(most_readers)

    def enter(self) -> None:
        """Take one of the readers' places; to be given back with :meth:`leave`.

        :raises Fault: 503, all of them are taken.
        """
        if not self._room.acquire(blocking=False):
            message = f"Too many event streams are open. Try again in {RETRY_AFTER} seconds."
            raise Fault(503, message, {"Retry-After": str(RETRY_AFTER)})

    def leave(self) -> None:
        self._room.release()

    def last(self) -> int:
        """The number of the newest event; 0 when there is none."""
        return self._operations.last_event()

    def after(self, event_id: int) -> list[OperationEvent]:
        """At most BATCH events with higher numbers, oldest first.

        :raises DatabaseUnavailable: the database cannot be reached.
        """
        with self._lock:
            now = time.monotonic()
            self._answers = {
                position: answer
                for position, answer in self._answers.items()
                if now - answer[0] < FRESH
            }
            if event_id not in self._answers:
                self._answers[event_id] = now, self._operations.events_after(event_id, BATCH)
            return self._answers[event_id][1]
