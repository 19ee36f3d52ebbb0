"""Reads of what did not change: entity tags, 304, and answers that are given again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from nova_aggregates.api.answers import Answers, is_named, key_of, tag_of
from tests.functional.api.conftest import Client
from tests.functional.api.running import TOKEN, host_body


def tag(client: Client, path: str, **headers: str) -> str:
    answer = client.send("GET", path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


def unless(client: Client, path: str, known: str, **headers: str) -> requests.Response:
    return client.send("GET", path, headers={"If-None-Match": known, **headers})


@pytest.mark.parametrize("path", ["/os-aggregates", "/os-aggregates/1", "/os-aggregates?x=1"])
def test_304_until_something_changes(client: Client, path: str) -> None:
    number = client.create("a")
    known = tag(client, path)
    assert tag(client, path) == known
    for header in (known, f"W/{known}", f'"other", {known}', "*"):
        answer = unless(client, path, header)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == known
        assert "x-openstack-request-id" in answer.headers
    client.good("PUT", f"/os-aggregates/{number}", {"aggregate": {"name": "b"}})
    answer = unless(client, path, known)
    assert answer.status_code == 200
    assert answer.headers["ETag"] != known
    assert '"b"' in answer.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_second_answer_is_the_first_one(client: Client, method: str) -> None:
    client.create("a")
    for path in ("/os-aggregates", "/os-aggregates/1"):
        first, second = client.send(method, path), client.send(method, path)
        assert first.content == second.content
        assert bool(first.content) == (method == "GET")
        kept = {"Content-Type", "Content-Length", "ETag"}
        assert {n: first.headers[n] for n in kept} == {n: second.headers[n] for n in kept}
        assert first.headers["X-Openstack-Request-Id"] != second.headers["X-Openstack-Request-Id"]


def test_a_tag_is_of_one_rendering(client: Client) -> None:
    client.create("a")
    tags = {
        tag(client, "/os-aggregates"),
        tag(client, "/os-aggregates?availability_zone=zone-a"),
        tag(client, "/os-aggregates", Accept="application/xml"),
        tag(client, "/os-aggregates/1"),
    }
    assert len(tags) == 4


Change = Callable[[Client], Any]
CHANGES: dict[str, Change] = {
    "rename": lambda c: c.good("PUT", "/os-aggregates/1", {"aggregate": {"name": "new"}}),
    "zone": lambda c: c.good(
        "PUT", "/os-aggregates/2", {"aggregate": {"availability_zone": "zone-b"}}
    ),
    "metadata": lambda c: c.act(1, {"set_metadata": {"metadata": {"k": "v"}}}),
    "metadata removed": lambda c: c.act(1, {"set_metadata": {"metadata": {"old": None}}}),
    "add": lambda c: c.add(1, "host1"),
    "remove": lambda c: c.remove(3, "host2"),
    "create": lambda c: c.create("another"),
    "delete": lambda c: c.send("DELETE", "/os-aggregates/2"),
    "hosts": lambda c: c.good("PUT", "/os-aggregates/3/hosts", {"hosts": ["host1"]}),
    "cancel": lambda c: c.good(
        "POST",
        f"/os-operations/{c.good('GET', '/os-operations')['operations'][0]['uuid']}/action",
        {"cancel": {}},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen_at_once(client: Client, change: str) -> None:
    for name in ("one", "two", "three"):
        client.create(name)
    client.act(1, {"set_metadata": {"metadata": {"old": "x"}}})
    client.add(3, "host2")

    def read() -> dict[str, Any]:
        # An own query makes an answer of its own, which was never kept.
        listed = client.good("GET", "/os-aggregates")["aggregates"]
        for kept in listed:
            assert client.show(kept["id"]) == kept
        return {kept["id"]: kept for kept in listed}

    before = read()
    CHANGES[change](client)
    after = read()
    assert before != after


def test_a_change_by_another_process_is_seen(client: Client) -> None:
    client.good("POST", "/os-hosts", host_body("host9", 9, "zone-a"))
    number = client.create("a")
    client.add(number, "host9")
    assert client.show(number)["operational_state"] == "changing"
    manager = client.api.operations  # over its own connections, as a manager's process has them
    taken = manager.take(manager.runnable(1)[0].uuid, "manager-1")
    manager.succeed(taken)
    assert client.show(number)["operational_state"] == "active"
    listed = client.good("GET", "/os-aggregates")["aggregates"]
    assert listed[0]["operational_state"] == "active"


def test_memory_is_bounded() -> None:
    answers = Answers(most_bytes=10_000)
    keys = [key_of({"PATH_INFO": f"/{number}"}) for number in range(20)]
    for key in keys:
        answers.put(key, 1, (), b"x" * 1000)
    assert [answers.get(key, 1) is not None for key in keys] == [False] * 16 + [True] * 4
    answers.put(keys[-1], 2, (), b"y" * 1000)
    assert answers.get(keys[-1], 1) is None
    assert answers.get(keys[-1], 2) is not None
    assert answers.get(keys[-2], 1) is not None, "what was replaced is not counted twice"
    answers.put(keys[0], 1, (), b"x" * 10_000)
    answers.put(key_of({"QUERY_STRING": "q" * 5000}), 1, (), b"x")
    assert answers.get(keys[0], 1) is None
    assert answers.get(keys[-2], 1) is not None, "what is too large pushes nothing out"


def test_tags() -> None:
    known = tag_of(7, ("a",))
    assert is_named(known, known)
    assert not is_named(known, None)
    assert not is_named(known, tag_of(8, ("a",)))
    assert not is_named(known, tag_of(7, ("b",)))


# If-Match

CONDITIONAL = {
    "rename": ("PUT", "", {"aggregate": {"name": "other"}}),
    "zone": ("PUT", "", {"aggregate": {"availability_zone": "zone-a"}}),
    "metadata": ("POST", "/action", {"set_metadata": {"metadata": {"k": "w"}}}),
    # A change of the kind takes the row twice.
    "kind": ("POST", "/action", {"set_metadata": {"metadata": {"hypervisor_pool": "false"}}}),
    "add": ("POST", "/action", {"add_host": {"host": "host1"}}),
    "hosts": ("PUT", "/hosts", {"hosts": ["host1"]}),
    "delete": ("DELETE", "", None),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_changes_of_what_was_read_only(client: Client, name: str) -> None:
    method, path, body = CONDITIONAL[name]
    number = client.create("blue")
    old = tag(client, f"/os-aggregates/{number}")
    client.act(number, {"set_metadata": {"metadata": {"k": "v"}}})
    new = tag(client, f"/os-aggregates/{number}")
    before = client.show(number)
    for stale in (old, f"W/{new}", "x", f'"{new}"', ""):
        answer = client.send(
            method, f"/os-aggregates/{number}{path}", body, headers={"If-Match": stale}
        )
        client.fault("computeFault", 412, answer)
    assert client.show(number) == before
    # One of several, in another version and format.
    root = client.api.url
    other = client.session.get(f"{root}/v2.1/os-aggregates/{number}", timeout=30).headers["ETag"]
    assert other != new
    answer = client.send(
        method,
        f"/os-aggregates/{number}{path}",
        body,
        headers={"If-Match": f"{old}, {other}"},
    )
    assert answer.status_code == 200, answer.text


def test_a_removal_of_what_was_read_only(client: Client) -> None:
    number = client.create("blue")
    old = tag(client, f"/os-aggregates/{number}")
    client.add(number, "host1")
    body = {"remove_host": {"host": "host1"}}
    path = f"/os-aggregates/{number}/action"
    client.fault("computeFault", 412, client.send("POST", path, body, headers={"If-Match": old}))
    assert client.send("POST", path, body, headers={"If-Match": "*"}).status_code == 200


def test_of_two_who_change_the_same_one_is_told(client: Client) -> None:
    number = client.create("blue")
    read = tag(client, f"/os-aggregates/{number}")
    path = f"/os-aggregates/{number}/action"

    def change(value: int) -> int:
        body = {"set_metadata": {"metadata": {"k": str(value)}}}
        with requests.Session() as session:
            session.trust_env = False
            return session.post(
                client.api.base + path, json=body, headers={**TOKEN, "If-Match": read}, timeout=30
            ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [200] + [412] * 7
