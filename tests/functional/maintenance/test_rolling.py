"""A whole aggregate is updated, the master included, and nobody's guest is stopped."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nova_aggregates.objects import Action, MaintenanceMode, OperationState
from tests.functional.maintenance.conftest import HOSTS
from tests.functional.maintenance.fleet import Fleet
from tests.unit.flows.bench import WHO, until

EVERYBODY = [f"host{n}" for n in range(1, HOSTS + 1)]
REBOOT = {"do": {"reboot": None}}


def roll(fleet: Fleet, **wish: Any) -> str:
    operation = fleet.maintenance.roll(WHO, fleet.aggregate, {**REBOOT, **wish})
    return fleet._queued(operation)


def boots(fleet: Fleet) -> dict[str, str]:
    return {name: fleet.host(name)["other_config"]["boot_time"] for name in EVERYBODY}


def states(fleet: Fleet, uuid: str) -> dict[str, str]:
    details = fleet.bench.operation(uuid).details or {}
    return {name: told["state"] for name, told in details["hosts"].items()}


def reboots(fleet: Fleet, uuid: str) -> int:
    calls = fleet.events(uuid, "xenapi")
    return sum(call["method"] == "host.reboot" for call in calls)


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """A web service: its URL, and the hosts that it was asked about. Its last answer stays."""
    left = list(statuses)
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/update", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_every_host_is_rebooted_once(fleet: Fleet) -> None:
    homes = {f"web-{host}-{n}": host for host in EVERYBODY for n in range(2)}
    for name, host in homes.items():
        fleet.guest(name, host)
    before = boots(fleet)
    uuid = roll(fleet)
    (done,) = fleet.bench.succeeded(uuid, seconds=150)
    after = boots(fleet)
    assert all(after[name] != before[name] for name in EVERYBODY)
    assert reboots(fleet, uuid) == HOSTS
    assert fleet.where() == homes
    assert set(states(fleet, uuid).values()) == {"done"}
    assert done.details is not None
    assert [step["host"] for step in done.details["plan"]["hosts"]] != []
    assert all(fleet.host(name)["enabled"] for name in EVERYBODY)
    modes = {host.maintenance_mode for host in fleet.bench.managers.hosts.index()}
    assert modes == {MaintenanceMode.OFF}


def test_a_plan_first_then_started(fleet: Fleet) -> None:
    fleet.guest("web1", "host3")
    wish = {**REBOOT, "hosts": ["host3"]}
    plan = fleet._queued(fleet.maintenance.roll(WHO, fleet.aggregate, wish, dry_run=True))
    (looked,) = fleet.bench.succeeded(plan)
    assert looked.details is not None
    (step,) = looked.details["plan"]["hosts"]
    assert (step["host"], [each["name"] for each in step["guests"]]) == ("host3", ["web1"])
    before = boots(fleet)
    started = fleet._queued(fleet.maintenance.start(WHO, plan))
    fleet.bench.succeeded(started, seconds=60)
    after = boots(fleet)
    assert {name for name in EVERYBODY if after[name] != before[name]} == {"host3"}


def test_it_stops_at_the_first_host_that_fails_and_is_retried(fleet: Fleet) -> None:
    order = ["host2", "host3", "host4"]
    with answering(200, 500, 200) as (url, asked):
        wish = {"do": {"webhook": {"url": url}}, "hosts": order, "canary": order}
        uuid = fleet._queued(fleet.maintenance.roll(WHO, fleet.aggregate, wish))
        (failed,) = fleet.bench.ended(uuid, seconds=60)
        assert failed.state is OperationState.FAILED
        assert failed.failure is not None
        assert failed.failure.code == "WEBHOOK_FAILED"
        assert "Done: host2." in failed.failure.message
        assert "Not begun: host4." in failed.failure.message
        assert states(fleet, uuid)["host3"] == "failed"
        kept = fleet.bench.managers.hosts.show("host3")
        assert kept.maintenance_mode is MaintenanceMode.ON, "it is left for a person to look at"

        fleet._queued(fleet.bench.managers.operations.retry(WHO, uuid))
        fleet.bench.succeeded(uuid, seconds=60)
    assert [each.split('"host": "')[1].split('"')[0] for each in asked] == [
        "host2",
        "host3",
        "host3",
        "host4",
    ]


def test_pause_resume_and_abort(fleet: Fleet) -> None:
    order = ["host2", "host3", "host4"]
    with answering(200) as (url, asked):
        wish = {
            "do": {"webhook": {"url": url}},
            "hosts": order,
            "canary": ["host2"],
            "pause_after_canary": True,
        }
        uuid = fleet._queued(fleet.maintenance.roll(WHO, fleet.aggregate, wish))
        until(lambda: fleet.bench.operation(uuid).state is OperationState.PAUSED)
        assert len(asked) == 1
        steering = fleet.bench.managers.steering
        fleet._queued(steering.abort(WHO, uuid))
        (ended,) = fleet.bench.ended(uuid, seconds=60)
    assert ended.state is OperationState.CANCELLED
    assert states(fleet, uuid)["host2"] == "done"
    assert len(asked) == 1
    with answering(200) as (url, asked):
        wish["do"] = {"webhook": {"url": url}}
        uuid = fleet._queued(fleet.maintenance.roll(WHO, fleet.aggregate, wish))
        until(lambda: fleet.bench.operation(uuid).state is OperationState.PAUSED)
        fleet._queued(fleet.bench.managers.steering.resume(WHO, uuid))
        fleet.bench.succeeded(uuid, seconds=60)
    assert len(asked) == 3


def test_two_at_a_time_and_the_master_in_place(fleet: Fleet) -> None:
    fleet.guest("web1", "host2")
    master = fleet.master()
    before = boots(fleet)
    uuid = roll(fleet, max_unavailable=2, order="master_last", master="in_place")
    fleet.bench.succeeded(uuid, seconds=150)
    assert fleet.master() == master
    after = boots(fleet)
    assert all(after[name] != before[name] for name in EVERYBODY)
    assert reboots(fleet, uuid) == HOSTS
    assert fleet.where() == {"web1": "host2"}


def test_a_host_that_was_in_maintenance_stays_so(fleet: Fleet) -> None:
    master = fleet.master()
    resting = next(name for name in EVERYBODY if name != master)
    fleet.into(resting)
    before = boots(fleet)
    fleet.bench.succeeded(roll(fleet, hosts=[resting]), seconds=60)
    assert boots(fleet)[resting] != before[resting]
    assert not fleet.host(resting)["enabled"]
    assert fleet.bench.managers.hosts.show(resting).maintenance_mode is MaintenanceMode.ON


@pytest.mark.parametrize("policy", ["refuse", "skip"])
def test_a_guest_that_cannot_move(fleet: Fleet, policy: str) -> None:
    uuid = fleet.guest("pinned", "host3")
    with fleet.session() as xenapi:
        ref = xenapi.VM.get_by_uuid(uuid)
        xenapi.VM.set_blocked_operations(ref, {"pool_migrate": "ask first"})
    before = boots(fleet)
    operation = roll(fleet, hosts=["host3"], policy=policy)
    (ended,) = fleet.bench.ended(operation, seconds=60)
    assert boots(fleet) == before
    assert fleet.where() == {"pinned": "host3"}
    assert any("pinned" in finding.message for finding in ended.findings)
    wanted = OperationState.FAILED if policy == "refuse" else OperationState.SUCCEEDED
    assert ended.state is wanted
    assert fleet.host("host3")["enabled"]
    assert Action.ROLLING_UPDATE is ended.action
