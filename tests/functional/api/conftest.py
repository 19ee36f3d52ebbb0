from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.functional.api.running import TOKEN, RunningApi, host_body, running


@pytest.fixture
def api() -> Iterator[RunningApi]:
    """An empty service without authentication."""
    with running() as api:
        yield api


class Client:
    """JSON requests of an administrator, and what the answers have in common."""

    def __init__(self, api: RunningApi) -> None:
        self.api = api
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(TOKEN)

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        if body is not None:
            options["json"] = body
        return self.session.request(method, self.api.base + path, timeout=30, **options)

    def good(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.send(method, path, body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def fault(self, name: str, code: int, answer: requests.Response) -> str:
        """The message of a fault that has exactly the form of the contract."""
        assert answer.status_code == code, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        body = answer.json()
        assert list(body) == [name]
        extra = {"retryAfter"} if code == 413 else set()
        assert set(body[name]) == {"code", "message"} | extra
        assert body[name]["code"] == code
        return body[name]["message"]

    def create(self, name: str, zone: str = "zone-a") -> int:
        body = {"aggregate": {"name": name, "availability_zone": zone}}
        return self.good("POST", "/os-aggregates", body)["aggregate"]["id"]

    def act(self, aggregate: int, body: Any) -> requests.Response:
        return self.send("POST", f"/os-aggregates/{aggregate}/action", body)

    def add(self, aggregate: int, host: str) -> requests.Response:
        return self.act(aggregate, {"add_host": {"host": host}})

    def remove(self, aggregate: int, host: str) -> requests.Response:
        return self.act(aggregate, {"remove_host": {"host": host}})

    def show(self, aggregate: int) -> Any:
        return self.good("GET", f"/os-aggregates/{aggregate}")["aggregate"]


@pytest.fixture(scope="session")
def shared() -> Iterator[Client]:
    """One empty service for all the requests that change nothing."""
    with running() as api:
        client = Client(api)
        with client.session:
            yield client


@pytest.fixture
def client(api: RunningApi) -> Iterator[Client]:
    """Two hosts in zone-a, one in zone-b."""
    client = Client(api)
    for number, (name, zone) in enumerate(
        (("host1", "zone-a"), ("host2", "zone-a"), ("host3", "zone-b")), 1
    ):
        client.good("POST", "/os-hosts", host_body(name, number, zone))
    with client.session:
        yield client
