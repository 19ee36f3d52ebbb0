"""The stream of events over real HTTP: complete, in order, resumable, and it ends."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from nova_aggregates.api.controllers import events as controller
from nova_aggregates.objects import Operation
from tests.functional.api.conftest import Client
from tests.functional.api.running import TOKEN, running

DEADLINE = 30.0


class Stream:
    """A reader that keeps to the letter of the format."""

    def __init__(self, base: str, last: int | str | None = None) -> None:
        headers = dict(TOKEN) if last is None else {**TOKEN, "Last-Event-ID": str(last)}
        self.answer = requests.get(
            f"{base}/os-operations/events", headers=headers, stream=True, timeout=DEADLINE
        )
        self._lines = self.answer.iter_lines(chunk_size=1)
        if self.answer.status_code == 200:
            self.opening = self._frame()

    def _frame(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return fields
            name, _, value = line.decode().partition(": ")
            fields[name] = value
        return fields

    def read(self) -> Iterator[dict[str, Any]]:
        while fields := self._frame():
            if "data" in fields:
                event = json.loads(fields["data"])
                assert fields["id"] == str(event["id"])
                assert fields["event"] == event["kind"]
                yield event

    def take(self, count: int) -> list[dict[str, Any]]:
        events = self.read()
        return [next(events) for _ in range(count)]

    def close(self) -> None:
        self.answer.close()


@contextlib.contextmanager
def reading(client: Client, last: int | str | None = None) -> Iterator[Stream]:
    stream = Stream(client.api.base, last)
    try:
        assert stream.answer.status_code == 200, stream.answer.text
        yield stream
    finally:
        stream.close()


def taken(client: Client) -> Operation:
    """An operation that this test works on, as a manager."""
    uuid = client.add(client.create("blue"), "host1").headers["X-Operation-Id"]
    return client.api.operations.take(uuid, "test")


def record(client: Client, operation: Operation) -> list[dict[str, Any]]:
    return client.good("GET", f"/os-operations/{operation.uuid}/events")["events"]


def test_events_arrive_while_they_happen(client: Client) -> None:
    with reading(client) as stream:
        assert stream.answer.headers["Content-Type"] == "text/event-stream"
        assert stream.answer.headers["X-Compute-Request-Id"].startswith("req-")
        operation = taken(client)
        before = len(record(client, operation))
        seen = stream.take(before)
        for number in range(3):
            client.api.operations.step(operation, f"step{number}", number * 10)
            seen += stream.take(1)
            assert seen[-1]["kind"] == "step"
            assert seen[-1]["data"] == {"step": f"step{number}", "progress": number * 10}
    assert seen == record(client, operation)


def test_a_reader_without_a_position_hears_only_what_is_new(client: Client) -> None:
    operation = taken(client)
    last = record(client, operation)[-1]["id"]
    with reading(client) as stream:
        assert stream.opening == {"retry": "1000", "id": str(last)}
        client.api.operations.step(operation, "new", 1)
        assert stream.take(1)[0]["data"]["step"] == "new"


def test_whoever_comes_again_misses_nothing_and_gets_nothing_twice(client: Client) -> None:
    operation = taken(client)
    steps = 2 * 200 + 30  # more than two answers of the database
    for number in range(steps):
        client.api.operations.event(operation, "note", {"number": number, "text": "a\nb\r\u2028"})
    seen: list[dict[str, Any]] = []
    for count in (1, 150, 100):
        with reading(client, seen[-1]["id"] if seen else 0) as stream:
            seen += stream.take(count)
    with reading(client, seen[-1]["id"]) as stream:
        client.api.operations.step(operation, "last", 99)
        for event in stream.read():
            seen.append(event)
            if event["kind"] == "step":
                break
    whole = record(client, operation)
    assert seen == whole
    assert len(whole) >= steps + 1


def test_all_readers_hear_the_same(client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(controller, "POLL_SECONDS", 0.02)
    operation = taken(client)
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(reading(client)) for _ in range(10)]
        client.api.operations.step(operation, "heard", 1)
        assert [stream.take(1)[0]["data"]["step"] for stream in streams] == ["heard"] * 10


def test_a_stopped_server_ends_the_stream_properly() -> None:
    with running() as api:
        stream = Stream(api.base)
        ended: list[list[Any]] = []
        # A connection that is cut without the last chunk would raise here.
        reader = threading.Thread(target=lambda: ended.append(list(stream.read())))
        reader.start()
        began = time.monotonic()
    reader.join(DEADLINE)
    assert ended == [[]]
    assert time.monotonic() - began < 5


def test_streams_leave_room_for_requests() -> None:
    with running(api={"max_connections": 4}) as api:
        client = Client(api)
        streams = [Stream(api.base) for _ in range(2)]
        refused = client.send("GET", "/os-operations/events", stream=True)
        message = client.fault("serviceUnavailable", 503, refused)
        assert "event streams" in message
        assert int(refused.headers["Retry-After"]) > 0
        assert client.good("GET", "/os-operations") == {"operations": []}
        for stream in streams:
            stream.close()


def test_a_reader_who_leaves_makes_room(monkeypatch: Any) -> None:
    monkeypatch.setattr(controller, "KEEP_ALIVE_SECONDS", 0.04)
    monkeypatch.setattr(controller, "POLL_SECONDS", 0.02)
    with running(api={"max_connections": 3}) as api:
        first = Stream(api.base)
        assert first.answer.status_code == 200
        second = Stream(api.base)
        assert second.answer.status_code == 503
        second.close()
        first.close()
        end = time.monotonic() + DEADLINE
        while (again := Stream(api.base)).answer.status_code == 503:
            again.close()
            assert time.monotonic() < end
        again.close()


def test_what_the_stream_would_be_takes_no_room() -> None:
    with running(api={"max_connections": 2}) as api:
        client = Client(api)
        for _ in range(3):
            assert client.send("HEAD", "/os-operations/events").status_code == 200
        stream = Stream(api.base)
        assert stream.answer.status_code == 200
        stream.close()


@pytest.mark.parametrize("last", ["", "-1", "1.5", "abc", "9" * 19])
def test_a_bad_position(shared: Client, last: str) -> None:
    answer = shared.send("GET", "/os-operations/events", headers={"Last-Event-ID": last})
    assert "Last-Event-ID" in shared.fault("badRequest", 400, answer)
