"""A request with an Idempotency-Key takes effect once."""

from __future__ import annotations

import collections
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.functional.api.conftest import Client
from tests.functional.api.running import TOKEN, host_body

THREADS = 20


def add_from_all_sides(client: Client, keys: list[str]) -> list[requests.Response]:
    aggregate = client.create("blue")

    def add(key: str) -> requests.Response:
        return requests.post(
            f"{client.api.base}/os-aggregates/{aggregate}/action",
            json={"add_host": {"host": "host1"}},
            headers={**TOKEN, "Idempotency-Key": key},
            timeout=60,
        )

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(add, keys))


def operations(client: Client) -> list[str]:
    return [each["uuid"] for each in client.good("GET", "/os-operations")["operations"]]


def test_twenty_threads_with_one_key_make_one_operation(client: Client) -> None:
    answers = add_from_all_sides(client, ["the key"] * THREADS)
    assert [answer.status_code for answer in answers] == [200] * THREADS
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["X-Operation-Id"] for answer in answers} == set(operations(client))
    assert len(operations(client)) == 1


def test_twenty_threads_with_keys_of_their_own_make_one_and_hear_no(client: Client) -> None:
    answers = add_from_all_sides(client, [f"key {number}" for number in range(THREADS)])
    codes = collections.Counter(answer.status_code for answer in answers)
    assert codes == {200: 1, 409: THREADS - 1}
    assert len(operations(client)) == 1


def keyed(client: Client, method: str, path: str, body: object, key: str) -> requests.Response:
    return client.send(method, path, body, headers={"Idempotency-Key": key})


def test_another_body_is_refused(client: Client) -> None:
    body = {"aggregate": {"name": "blue", "availability_zone": "zone-a"}}
    other = {"aggregate": {"name": "red", "availability_zone": "zone-a"}}
    first = keyed(client, "POST", "/os-aggregates", body, "k")
    message = client.fault(
        "unprocessableEntity", 422, keyed(client, "POST", "/os-aggregates", other, "k")
    )
    assert "Idempotency-Key k" in message
    again = keyed(client, "POST", "/os-aggregates", body, "k")
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(client.good("GET", "/os-aggregates")["aggregates"]) == 1


def test_the_same_body_written_differently_is_the_same(client: Client) -> None:
    texts = (
        '{"aggregate": {"name": "blue", "availability_zone": "zone-a"}}',
        '{"aggregate":{"availability_zone":"zone-a",\n"name":"bl\\u0075e"}}',
    )
    answers = [
        client.send(
            "POST",
            "/os-aggregates",
            data=text,
            headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
        )
        for text in texts
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


def test_a_refusal_is_repeated_even_when_it_would_not_be_one_now(client: Client) -> None:
    aggregate = client.create("blue")
    path, body = f"/os-aggregates/{aggregate}/action", {"add_host": {"host": "host9"}}
    first = keyed(client, "POST", path, body, "k")
    message = client.fault("itemNotFound", 404, first)
    client.good("POST", "/os-hosts", host_body("host9", 9, "zone-a"))
    assert client.fault("itemNotFound", 404, keyed(client, "POST", path, body, "k")) == message
    assert keyed(client, "POST", path, body, "another key").status_code == 200


def test_a_key_counts_for_its_method_and_path_only(client: Client) -> None:
    first, second = client.create("blue"), client.create("red")
    for aggregate in (first, second):
        answer = keyed(client, "DELETE", f"/os-aggregates/{aggregate}", None, "k")
        assert answer.status_code == 200
    assert client.good("GET", "/os-aggregates")["aggregates"] == []
    # A lost answer to a delete is not turned into a 404.
    assert keyed(client, "DELETE", f"/os-aggregates/{first}", None, "k").status_code == 200
    assert client.send("DELETE", f"/os-aggregates/{first}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/os-aggregates/{id}", {"aggregate": {"name": "green"}}),
        ("PUT", "/os-aggregates/{id}/hosts", {"hosts": ["host1", "host2"]}),
        ("POST", "/os-aggregates/{id}/action", {"set_metadata": {"metadata": {"a": "b"}}}),
        ("POST", "/os-operations/{operation}/action", {"cancel": None}),
    ],
)
def test_other_changes_are_replayed_as_well(
    client: Client, method: str, path: str, body: object
) -> None:
    aggregate = client.create("blue")
    operation = client.add(client.create("red"), "host1").headers["X-Operation-Id"]
    if "hosts" in path:
        client.good("POST", f"/os-operations/{operation}/action", {"cancel": {}})
    path = path.format(id=aggregate, operation=operation)
    first = keyed(client, method, path, body, "k")
    assert first.status_code in (200, 202), first.text
    count = len(operations(client))
    again = keyed(client, method, path, body, "k")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert len(operations(client)) == count


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "schl\u00fcssel".encode()])
def test_a_key_that_is_none_is_refused(client: Client, key: str) -> None:
    body = {"aggregate": {"name": "blue", "availability_zone": "zone-a"}}
    message = client.fault("badRequest", 400, keyed(client, "POST", "/os-aggregates", body, key))
    assert message == "Idempotency-Key must be 1 to 255 printable ASCII characters."
    assert client.good("GET", "/os-aggregates")["aggregates"] == []


def test_the_longest_key(client: Client) -> None:
    body = {"aggregate": {"name": "blue", "availability_zone": "zone-a"}}
    assert keyed(client, "POST", "/os-aggregates", body, "~" * 255).status_code == 200
