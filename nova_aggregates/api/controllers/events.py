"""What operations did: the record of one, and the stream of all as it happens."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator

from oslo_log import log

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.ids import operation_uuid
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.feed import Feed
from nova_aggregates.api.policies import operations as policies
from nova_aggregates.api.views import events as views
from nova_aggregates.exceptions import DatabaseUnavailable

LOG = log.getLogger(__name__)

LARGEST_LIMIT = 1000
POLL_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 10.0  # also how long a reader that went unnoticed keeps its place

_NUMBER = re.compile(r"[0-9]{1,18}\Z")
HEADERS = {
    "Cache-Control": "no-store",
    # nginx would collect the stream.
    "X-Accel-Buffering": "no",
}


def of_operation(call: Call) -> Reply:
    call.authorize(policies.EVENTS)
    uuid = operation_uuid(call)
    after, most = call.query("after") or 0, call.query("limit") or LARGEST_LIMIT
    found = call.deployment.operations.events_after(after, most, operation=uuid)
    return Reply(views.index(found))


def stream(call: Call) -> Reply:
    """Server-sent events (HTML, section 9.2), from now on or from behind Last-Event-ID on."""
    call.authorize(policies.EVENTS)
    feed = call.deployment.feed
    last_seen = call.request.environ.get("HTTP_LAST_EVENT_ID")
    position = feed.last() if last_seen is None else _number(last_seen)
    if call.request.method == "HEAD":
        return Reply(None, headers=HEADERS, stream=())
    feed.enter()
    return Reply(None, headers=HEADERS, stream=Stream(feed, position, call.pause))


class Stream:
    """Ends when the server stops; gives its place back when it ends or its reader goes.

    :param position: the number of the last event that the reader knows.
    """

    def __init__(self, feed: Feed, position: int, pause: Callable[[float], bool]) -> None:
        self._feed = feed
        self._position = position
        self._pause = pause
        self._frames = self._run()
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._frames

    def close(self) -> None:
        self._frames.close()
        if self._open:
            self._open = False
            self._feed.leave()

    def _run(self) -> Generator[bytes, None, None]:
        yield views.opening(self._position)
        silent = 0.0
        while True:
            frames = self._new()
            if frames:
                silent = 0.0
                yield frames
                continue
            if not self._pause(POLL_SECONDS):
                return
            silent += POLL_SECONDS
            if silent >= KEEP_ALIVE_SECONDS:
                silent = 0.0
                yield views.KEEP_ALIVE

    def _new(self) -> bytes:
        try:
            found = self._feed.after(self._position)
        except DatabaseUnavailable as fact:
            # The reader need not care: nothing is lost.
            LOG.warning("event stream waits: %s", fact)
            return b""
        if found:
            self._position = found[-1].id
        return b"".join(map(views.frame, found))


def _number(text: str) -> int:
    if not _NUMBER.match(text):
        raise Fault(400, "Last-Event-ID must be the id of an event: a number of up to 18 digits.")
    return int(text)
