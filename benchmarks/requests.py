"""What is asked of a server, and what a right answer is."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import random
import time
from collections.abc import Callable
from typing import Any

from benchmarks.load import Answer, Conversation, Wrong, request
from benchmarks.seed import ZONE, free_host

_numbers = itertools.count(time.time_ns() // 1000)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A server under test. Nova and the service speak the same API, but Nova needs no zone."""

    name: str
    port: int
    pid: int
    prefix: str = "/v1.1/admin"
    host: Callable[[int], str] = free_host

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        headers = {"X-Auth-Token": "admin:admin", "Accept": "application/json"}
        raw = None if body is None else json.dumps(body).encode()
        where = f"{self.prefix}/os-aggregates{path}"
        return request(method, f"127.0.0.1:{self.port}", where, headers, raw)


def _good(answer: Answer) -> Any:
    if answer.status not in (200, 201, 202, 204):
        raise Wrong(f"{answer.status}: {answer.body[:200]!r}")
    return json.loads(answer.body) if answer.body else None


def show(target: Target, client: int, aggregates: int) -> Conversation:
    chosen = random.Random(client)  # noqa: S311 - which aggregate is no secret
    # Rendered before, so that the client costs little.
    asked = [(n, target.ask("GET", f"/{n}")) for n in range(1, min(aggregates, 1000) + 1)]
    for number, message in iter(lambda: chosen.choice(asked), None):
        answer = yield message
        if answer.status != 200 or f'"id": {number}'.encode() not in answer.body[:40]:
            raise Wrong(f"{answer.status}: {answer.body[:200]!r}")


def index(target: Target, _client: int, aggregates: int) -> Conversation:
    message, checked = target.ask("GET", ""), b""
    while True:
        answer = yield message
        if answer.body != checked:
            if len(_good(answer)["aggregates"]) < aggregates:
                raise Wrong("the list lacks aggregates")
            checked = answer.body


def create_delete(target: Target, _client: int, _aggregates: int) -> Conversation:
    while True:
        name = f"made-{next(_numbers)}-{os.getpid()}"
        body = {"aggregate": {"name": name, "availability_zone": ZONE}}
        made = _good((yield target.ask("POST", "", body)))["aggregate"]
        if made["name"] != name:
            raise Wrong(f"asked for {name}, got {made}")
        _good((yield target.ask("DELETE", f"/{made['id']}")))


def set_metadata(target: Target, client: int, _aggregates: int) -> Conversation:
    while True:
        wanted = {f"key{key:02d}": str(next(_numbers)) for key in range(5)}
        body = {"set_metadata": {"metadata": wanted}}
        got = _good((yield target.ask("POST", f"/{client + 1}/action", body)))["aggregate"]
        if {key: got["metadata"].get(key) for key in wanted} != wanted:
            raise Wrong(f"asked for {wanted}, got {got['metadata']}")


def add_remove(target: Target, client: int, _aggregates: int) -> Conversation:
    name = target.host(client)
    verbs = ["add_host", "remove_host"]
    # The measurement before this one may have ended between the two.
    if name in _good((yield target.ask("GET", f"/{client + 1}")))["aggregate"]["hosts"]:
        verbs.reverse()
    for verb in itertools.cycle(verbs):
        body = {verb: {"host": name}}
        got = _good((yield target.ask("POST", f"/{client + 1}/action", body)))["aggregate"]
        if (name in got["hosts"]) != (verb == "add_host"):
            raise Wrong(f"{verb} {name}, but the hosts are {got['hosts']}")


SCENARIOS: dict[str, Callable[[Target, int, int], Conversation]] = {
    "show": show,
    "list": index,
    "create_delete": create_delete,
    "set_metadata": set_metadata,
    "add_remove": add_remove,
}
READS = ("show",)  # of many things, each of which is asked for a first time
