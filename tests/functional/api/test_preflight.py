"""Preflight and what a removal would lose, with this test in the place of the manager."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nova_aggregates.api.controllers import preflight
from nova_aggregates.objects import Finding, Holdings, Operation, OperationFailure, Severity
from tests.functional.api.conftest import Client

LOST = Holdings(digest="d1g35t", guests=("web1 (running)",), storage=("Local storage: 3 disks",))
EMPTY = {"digest": None, "guests": [], "disks": [], "storage": []}
DEADLINE = 20.0


def finding(severity: Severity) -> Finding:
    return Finding("join.cpu", "CPU_DIFFERS", severity, "Differs.", "Swap it.", "intel", "amd")


@contextlib.contextmanager
def manager(client: Client, look: Callable[[Operation], Any]) -> Iterator[None]:
    """Does ``look`` with the next preflight."""

    def work() -> None:
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            for found in client.api.operations.preflights(1):
                look(client.api.operations.take(found.uuid, "test"))
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(DEADLINE)


def succeeding(client: Client, *found: Finding) -> Callable[[Operation], Any]:
    def look(operation: Operation) -> None:
        client.api.operations.findings(operation, found)
        client.api.operations.succeed(operation)

    return look


def seen(client: Client, name: str, holdings: Holdings) -> None:
    host = client.api.hosts.show(name)
    client.api.hosts.observed(
        host.id,
        xen_uuid=f"xen-{name}",
        inventory=None,
        seen_at=host.created_at,
        holdings=holdings,
    )


def member(client: Client) -> int:
    aggregate = client.create("blue")
    uuid = client.add(aggregate, "host1").headers["X-Operation-Id"]
    client.api.operations.succeed(client.api.operations.take(uuid, "test"))
    return aggregate


@pytest.mark.parametrize(
    ("severities", "ok"),
    [
        ([], True),
        ([Severity.INFO, Severity.SKIPPABLE], True),
        ([Severity.INFO, Severity.BLOCKING], False),
    ],
)
def test_the_answer_has_every_finding(client: Client, severities: list[Severity], ok: bool) -> None:
    aggregate = client.create("blue")
    before = client.show(aggregate)
    with manager(client, succeeding(client, *map(finding, severities))):
        answer = client.act(aggregate, {"preflight": {"add_host": "host1"}})
    assert answer.status_code == 200, answer.text
    document = answer.json()["preflight"]
    assert [each["severity"] for each in document.pop("findings")] == severities
    assert document == {
        "host": "host1",
        "action": "add_host",
        "ok": ok,
        "error": None,
        "holdings": EMPTY,
    }
    assert client.show(aggregate) == before
    operation = client.good("GET", f"/os-operations/{answer.headers['X-Operation-Id']}")
    assert operation["operation"]["parameters"] == {"action": "add_host"}


def test_a_look_that_was_not_possible_is_not_ok(client: Client) -> None:
    failure = OperationFailure("HOST_OFFLINE", "It does not answer.", "Switch it on.")
    with manager(client, lambda operation: client.api.operations.fail(operation, failure)):
        answer = client.act(client.create("blue"), {"preflight": {"add_host": "host1"}})
    document = answer.json()["preflight"]
    assert document["ok"] is False
    assert document["error"] == {
        "code": "HOST_OFFLINE",
        "message": "It does not answer.",
        "cure": "Switch it on.",
    }


def test_it_tells_what_would_be_lost_and_only_its_digest_allows_that(client: Client) -> None:
    aggregate = member(client)

    def look(operation: Operation) -> None:
        seen(client, "host1", LOST)
        client.api.operations.succeed(operation)

    with manager(client, look):
        answer = client.act(aggregate, {"preflight": {"remove_host": "host1"}})
    holdings = answer.json()["preflight"]["holdings"]
    assert holdings == {
        "digest": "d1g35t",
        "guests": ["web1 (running)"],
        "disks": [],
        "storage": ["Local storage: 3 disks"],
    }
    message = client.fault("conflictingRequest", 409, client.remove(aggregate, "host1"))
    assert "web1 (running)" in message
    assert holdings["digest"] in message
    wrong = {"remove_host": {"host": "host1", "confirm": "of yesterday"}}
    client.fault("conflictingRequest", 409, client.act(aggregate, wrong))
    assert client.show(aggregate)["hosts"] == ["host1"]
    right = {"remove_host": {"host": "host1", "confirm": holdings["digest"]}}
    assert client.act(aggregate, right).status_code == 200
    assert client.show(aggregate)["hosts"] == []


def test_who_has_no_manager_gets_the_operation(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "WAIT_SECONDS", 0.3)
    answer = client.act(client.create("blue"), {"preflight": {"add_host": "host1"}})
    assert answer.status_code == 202
    operation = answer.json()["operation"]
    assert (operation["state"], operation["action"]) == ("queued", "preflight")
    assert answer.headers["X-Operation-Id"] == operation["uuid"]


def test_others_are_served_meanwhile(client: Client) -> None:
    aggregate = client.create("blue")
    answers: list[int] = []

    def ask() -> None:
        answer = Client(client.api).act(aggregate, {"preflight": {"add_host": "host1"}})
        answers.append(answer.status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    end = time.monotonic() + DEADLINE
    while not (waiting := client.good("GET", "/os-operations")["operations"]):
        assert time.monotonic() < end
    # The request above still waits for exactly this operation, and is answered once it has ended.
    assert waiting[0]["state"] == "queued"
    assert answers == []
    client.api.operations.succeed(client.api.operations.take(waiting[0]["uuid"], "test"))
    thread.join(DEADLINE)
    assert answers == [200]
