"""The job from end to end: each request and its answer in short, and what the hosts say to it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from nova_aggregates.demo.client import Answer, Client
from nova_aggregates.demo.errors import DemoError, Mismatch
from nova_aggregates.demo.truth import SimulatedHost, Truth

OPERATION_SECONDS = 120.0
ENDED = frozenset({"succeeded", "failed", "error", "cancelled"})
FIRST_NAME, SECOND_NAME = "blue", "green"
DISCOVERY = {
    "extension": {
        "updated": "2012-01-12T00:00:00+00:00",
        "name": "Aggregates",
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/aggregates/api/v1.1",
        "alias": "os-aggregates",
        "description": "Admin-only aggregate administration",
    }
}


class Walk:
    """One run of the job over one service."""

    def __init__(self, client: Client, hosts: Sequence[SimulatedHost]) -> None:
        self._client = client
        self._truth = Truth(hosts)
        self._zone, self._first, self._second, self._third = _three_of_a_zone(hosts)
        self._others = [host for host in hosts if host.zone == self._zone][3:]
        self._id = 0

    def run(self) -> None:
        """:raises Mismatch: at the first thing that is not as promised."""
        self._discover()
        self._create()
        self._build()
        self._show()
        self._describe()
        self._refuse()
        self._take_apart()
        self._delete()

    def _discover(self) -> None:
        _title("Discover the extension")
        self._send("GET", "/extensions/os-aggregates", expect=DISCOVERY)

    def _create(self) -> None:
        _title("Create an aggregate")
        body = {"aggregate": {"name": FIRST_NAME, "availability_zone": self._zone}}
        aggregate = self._send("POST", "/os-aggregates", body).body["aggregate"]
        self._id = aggregate["id"]
        _expect("state of a new aggregate", aggregate["operational_state"], "created")
        for host in (self._first, self._second, self._third):
            self._truth.expect_alone(host)
        _truth("the three hosts are pools of one, without a name")

    def _build(self) -> None:
        _title("Add three hosts: the first names the pool and is its master, the others join it")
        members = [self._first, self._second, self._third]
        for host in members:
            self._act({"add_host": {"host": host.name}})
        for count, host in enumerate(members, 1):
            self._follow("add_host", host)
            pool = self._truth.expect_pool(self._first, members[:count], FIRST_NAME)
            names = ", ".join(member.name for member in members[:count])
            _truth(f"pool {pool.uuid[:8]} '{pool.name}', master {self._first.name}: {names}")

    def _show(self) -> None:
        _title("Show it")
        aggregate = self._send("GET", f"/os-aggregates/{self._id}").body["aggregate"]
        wanted = [self._first.name, self._second.name, self._third.name]
        _expect("hosts", aggregate["hosts"], wanted)
        _expect("state", aggregate["operational_state"], "active")

    def _describe(self) -> None:
        _title("Set metadata, rename: the pool follows")
        metadata = {"ssd": "true", "rack": "7"}
        answer = self._act({"set_metadata": {"metadata": metadata}})
        _expect("metadata", answer["metadata"], metadata)
        body = {"aggregate": {"name": SECOND_NAME}}
        answer = self._send("PUT", f"/os-aggregates/{self._id}", body).body["aggregate"]
        _expect("metadata after the rename", answer["metadata"], metadata)
        self._follow("rename_pool")
        members = [self._first, self._second, self._third]
        self._truth.expect_pool(self._first, members, SECOND_NAME)
        _truth(f"the pool is now called '{SECOND_NAME}'")

    def _refuse(self) -> None:
        busy = next((host for host in self._others if self._truth.pool_of(host).user_guests), None)
        if busy is None:
            return
        _title("Add a host that has a running guest: refused with the reason, nothing changed")
        self._act({"add_host": {"host": busy.name}})
        operation = self._follow("add_host", busy, wanted="failed")
        _say(f"cause: {operation['error']['message']}")
        _say(f"cure:  {operation['error']['cure']}")
        self._truth.expect_alone(busy)
        members = [self._first, self._second, self._third]
        self._truth.expect_pool(self._first, members, SECOND_NAME)
        _truth(f"{busy.name} is a pool of one with its guest running; the pool has three members")

    def _take_apart(self) -> None:
        first, second, third = self._first, self._second, self._third
        _title("Remove a slave: it is ejected and comes back as a pool of one")
        before = self._truth.pool_of(first)
        self._remove(third)
        pool = self._truth.expect_pool(first, [first, second], SECOND_NAME)
        self._truth.expect_alone(third, not_in=before)
        _truth(f"{third.name} is alone; the pool has {first.name} and {second.name}")
        _title("Remove the master: it hands over first")
        self._remove(first)
        after = self._truth.expect_pool(second, [second], SECOND_NAME)
        _expect("uuid of the pool after the hand-over", after.uuid, pool.uuid)
        self._truth.expect_alone(first, not_in=after)
        _truth(
            f"pool {after.uuid[:8]} lives on with the master {second.name}; {first.name} is alone"
        )
        _title("Remove the last host: the pool loses its name")
        self._remove(second)
        self._truth.expect_alone(second)
        _truth(f"{second.name} is a pool of one without a name")

    def _delete(self) -> None:
        _title("Delete the aggregate")
        aggregate = self._send("GET", f"/os-aggregates/{self._id}").body["aggregate"]
        _expect("hosts", aggregate["hosts"], [])
        self._send("DELETE", f"/os-aggregates/{self._id}")
        self._send("GET", f"/os-aggregates/{self._id}", status=404)

    def _remove(self, host: SimulatedHost) -> None:
        answer = self._act({"remove_host": {"host": host.name}})
        if host.name in answer["hosts"]:
            raise Mismatch(f"{host.name} is still among the hosts {answer['hosts']}")
        self._follow("remove_host", host)

    def _act(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._send("POST", f"/os-aggregates/{self._id}/action", body).body["aggregate"]

    def _send(
        self, method: str, path: str, body: Any = None, *, status: int = 200, expect: Any = None
    ) -> Answer:
        answer = self._client.request(method, path, body)
        sent = "" if body is None else " " + json.dumps(body)
        _say(f"{method} {path}{sent}")
        _say(f"  -> {answer.status} {_short(answer.body)}")
        _expect(f"status of {method} {path}", answer.status, status)
        if expect is not None:
            _expect(f"answer to {method} {path}", answer.body, expect)
        return answer

    def _follow(
        self, action: str, host: SimulatedHost | None = None, wanted: str = "succeeded"
    ) -> dict[str, Any]:
        """Watch the newest such operation to its end; prints each step once."""
        shown, end = None, time.monotonic() + OPERATION_SECONDS
        while time.monotonic() < end:
            operation = self._newest(action, host.name if host else None)
            seen = (operation["state"], operation["step"])
            if seen != shown:
                _say(f"  .. {action} {operation['progress']:3d} % {seen[0]}: {seen[1] or '-'}")
                shown = seen
            if operation["state"] in ENDED:
                if operation["state"] != wanted:
                    raise Mismatch(f"{action} has {operation['state']}: {operation['error']}")
                return operation
            time.sleep(0.05)
        raise Mismatch(f"{action} has not ended within {OPERATION_SECONDS:.0f} s")

    def _newest(self, action: str, host: str | None) -> dict[str, Any]:
        operations = self._client.get(f"/os-aggregates/{self._id}/operations")["operations"]
        for operation in operations:
            if operation["action"] == action and operation["host"] == host:
                return operation
        raise Mismatch(f"no operation {action} for {host} among {len(operations)}")


def _three_of_a_zone(
    hosts: Sequence[SimulatedHost],
) -> tuple[str, SimulatedHost, SimulatedHost, SimulatedHost]:
    for zone in dict.fromkeys(host.zone for host in hosts):
        members = [host for host in hosts if host.zone == zone]
        if len(members) >= 3:
            return zone, members[0], members[1], members[2]
    raise DemoError("The walk needs three hosts in one zone: give more --hosts, or --serve.")


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _say(text: str) -> None:
    print(f"   {text}", flush=True)


def _truth(text: str) -> None:
    mark = "\033[32mhosts say:\033[0m" if sys.stdout.isatty() else "hosts say:"
    print(f"   {mark} {text}", flush=True)


def _short(body: Any, width: int = 150) -> str:
    text = "" if body is None else json.dumps(body)
    return text if len(text) <= width else text[: width - 3] + "..."


def _expect(what: str, actual: object, wanted: object) -> None:
    if actual != wanted:
        raise Mismatch(f"{what}: got {actual!r}, expected {wanted!r}")
