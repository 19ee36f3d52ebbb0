"""What readers of the event stream share."""

from __future__ import annotations

from typing import Any

import pytest

from nova_aggregates.api import feed as module
from nova_aggregates.api.controllers.events import Stream
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.feed import Feed
from nova_aggregates.db.clock import utcnow
from nova_aggregates.exceptions import DatabaseUnavailable
from nova_aggregates.objects import OperationEvent

AT = utcnow()


class Record:
    """Events 1 to ``count``; notes the questions."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.questions: list[int] = []
        self.down = False

    def events_after(self, event_id: int, limit: int) -> list[OperationEvent]:
        self.questions.append(event_id)
        if self.down:
            raise DatabaseUnavailable(reason="gone", retry_after=1)
        numbers = range(event_id + 1, min(self.count, event_id + limit) + 1)
        return [OperationEvent(number, AT, 1, "note", {}, "uuid", 7) for number in numbers]


def feed_of(record: Any, most_readers: int = 100) -> Feed:
    return Feed(record, most_readers=most_readers)


def test_one_question_serves_all_readers_of_a_moment() -> None:
    record = Record(3)
    feed = feed_of(record)
    answers = [feed.after(1) for _ in range(50)]
    assert record.questions == [1]
    assert {tuple(event.id for event in answer) for answer in answers} == {(2, 3)}
    feed.after(3)
    assert record.questions == [1, 3]


def test_an_answer_is_not_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    record = Record(1)
    feed = feed_of(record)
    assert feed.after(1) == []
    record.count = 2
    assert [event.id for event in feed.after(1)] == [2]


def test_places_are_given_back() -> None:
    feed = feed_of(Record(0), most_readers=1)
    feed.enter()
    with pytest.raises(Fault) as caught:
        feed.enter()
    assert caught.value.status == 503
    stream = Stream(feed, 0, lambda _seconds: False)
    stream.close()
    stream.close()
    feed.enter()
    with pytest.raises(Fault):
        feed.enter()


def test_a_stream_outlives_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    record = Record(2)
    record.down = True
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        record.down = len(pauses) < 3
        return len(pauses) < 6

    frames = list(Stream(feed_of(record), 0, pause))
    assert [frame.split(b"\n")[0] for frame in frames] == [b"retry: 1000", b"id: 1"]
    assert frames[1].count(b"data: ") == 2


def test_a_silent_stream_shows_that_it_lives() -> None:
    pauses = iter([True] * 45 + [False])
    frames = list(Stream(feed_of(Record(0)), 0, lambda _seconds: next(pauses)))
    assert frames[1:] == [b": still here\n\n"] * 2
