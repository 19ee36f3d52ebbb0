"""Others work at the pool at the same time: guests stop, start, move and vanish, hosts die, high
availability comes on, a host fills up. The operation ends right and says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nova_aggregates.objects import GuestPolicy, MaintenanceMode, Operation, OperationState
from tests.functional.maintenance.fleet import Fleet
from tests.unit.flows.bench import until

GIB = 2**30


@pytest.fixture
def slow(fleet: Fleet) -> Iterator[Fleet]:
    """Moves take long enough that something can happen meanwhile."""
    assert fleet.site.simulation is not None
    clock = fleet.site.simulation.clock
    clock.set_scale(20)
    yield fleet
    clock.set_scale(200)


def begun(fleet: Fleet, **wish: Any) -> str:
    """host2 is being emptied, one guest at a time."""
    uuid = fleet.begin("host2", concurrency=1, **wish)
    fleet.wait_event(uuid, "begun")
    return uuid


def ended(fleet: Fleet, uuid: str) -> Operation:
    assert fleet.site.simulation is not None
    fleet.site.simulation.clock.set_scale(200)
    (operation,) = fleet.bench.ended(uuid, seconds=90)
    return operation


@pytest.mark.parametrize("verb", ["stop", "delete", "migrate"])
def test_a_guest_is_taken_away_meanwhile(slow: Fleet, verb: str) -> None:
    for name in ("a1", "b1", "c1"):
        slow.guest(name, "host2", memory=4 * GIB)
    uuid = begun(slow)
    slow.site.guest(verb, "c1", "host4" if verb == "migrate" else "")
    operation = ended(slow, uuid)
    assert operation.state is OperationState.SUCCEEDED, operation
    found = slow.where()
    assert "host2" not in found.values()
    assert ("c1" in found) == (verb == "migrate")
    slow.back("host2")
    back = slow.where()
    assert back["a1"] == back["b1"] == "host2"
    if verb == "migrate":
        assert back["c1"] == "host4", "whoever moved it wants it there"


def test_a_guest_is_started_elsewhere_and_one_stopped_after_it_moved(slow: Fleet) -> None:
    for name in ("a1", "b1"):
        slow.guest(name, "host2", memory=4 * GIB)
    uuid = begun(slow)
    slow.guest("new1", "host3", memory=GIB)
    operation = ended(slow, uuid)
    assert operation.state is OperationState.SUCCEEDED, operation
    slow.site.guest("stop", "a1")
    (back,) = slow.bench.succeeded(slow.end("host2"), seconds=60)
    assert slow.where() == {"b1": "host2", "new1": "host3"}
    assert [(f.ours, f.code) for f in back.findings] == [("a1", "GUEST_CHANGED")]


def test_the_target_fills_up_meanwhile(slow: Fleet) -> None:
    for name in ("a1", "b1"):
        slow.guest(name, "host2", memory=8 * GIB)
    assert slow.site.simulation is not None
    slow.site.simulation.clock.set_scale(3)
    uuid = begun(slow)
    taken = slow.wait_event(uuid, "begun")["to"]
    for host in ("host1", "host3", "host4"):
        # What is on its way there has its place already.
        slow.guest(f"big-{host}", host, memory=(48 if host == taken else 56) * GIB)
    operation = ended(slow, uuid)
    assert operation.state is OperationState.FAILED
    assert operation.failure is not None
    assert operation.failure.code == "HOST_NOT_ENOUGH_FREE_MEMORY"
    assert {finding.ours for finding in operation.findings} <= {"a1", "b1"}
    assert len(slow.where()) == 5, "nobody was stopped"
    assert slow.host("host2")["enabled"], "it is back in service"
    assert slow.bench.managers.hosts.show("host2").maintenance_mode is MaintenanceMode.OFF


def test_the_host_dies_while_it_is_emptied(slow: Fleet) -> None:
    for name in ("a1", "b1"):
        slow.guest(name, "host2", memory=8 * GIB)
    uuid = begun(slow)
    slow.site.fault("power-off", "host2")
    try:
        operation = ended(slow, uuid)
        assert operation.state is OperationState.FAILED
        assert operation.failure is not None
        assert operation.failure.cure
    finally:
        slow.site.fault("power-on", "host2")
    # What was disabled to stay so stays so until somebody says otherwise.
    until(lambda: slow.live("host2"), 60)
    slow.back("host2")
    assert slow.host("host2")["enabled"]


def test_maintenance_by_xencenter_is_ended_here(fleet: Fleet) -> None:
    moved = fleet.guest("moved", "host3")
    halted = fleet.guest("halted", "host3")
    with fleet.session() as xenapi:
        host = fleet.host_ref(xenapi, "host2")
        xenapi.host.disable(host)
        for key, value in (
            ("MAINTENANCE_MODE", "true"),
            ("MAINTENANCE_MODE_EVACUATED_VMS_MIGRATED", moved),
            ("MAINTENANCE_MODE_EVACUATED_VMS_HALTED", halted),
        ):
            xenapi.host.add_to_other_config(host, key, value)
    fleet.site.guest("stop", "halted")
    fleet.back("host2")
    assert fleet.where() == {"moved": "host2", "halted": "host2"}
    assert not any("MAINTENANCE" in key for key in fleet.host("host2")["other_config"])


def test_a_guest_that_cannot_move_is_shut_down_and_started_again_when_wished(fleet: Fleet) -> None:
    uuid = fleet.guest("pinned", "host2")
    fleet.guest("web1", "host2")
    with fleet.session() as xenapi:
        ref = xenapi.VM.get_by_uuid(uuid)
        xenapi.VM.set_blocked_operations(ref, {"pool_migrate": "ask first"})
    (refused,) = fleet.bench.ended(fleet.begin("host2"), seconds=60)
    assert refused.state is OperationState.FAILED
    (finding,) = refused.findings
    assert finding.code == "OPERATION_BLOCKED"
    assert "pinned" in finding.message
    assert "ask first" in finding.message
    assert fleet.where() == {"pinned": "host2", "web1": "host2"}, "nothing was changed"

    (skipped,) = fleet.bench.ended(fleet.begin("host2", policy=GuestPolicy.SKIP), seconds=60)
    assert skipped.state is OperationState.SUCCEEDED
    assert fleet.where()["pinned"] == "host2"
    fleet.back("host2")

    fleet.into("host2", policy=GuestPolicy.SHUT_DOWN)
    assert "pinned" not in fleet.where()
    fleet.back("host2")
    assert fleet.where() == {"pinned": "host2", "web1": "host2"}


def test_e18_success_is_told_as_success(fleet: Fleet) -> None:
    """The old service reported failure although every guest had moved; an empty host as well."""
    assert fleet.into("host2").failure is None
    fleet.back("host2")


def test_e19_disabled_first_several_at_a_time_live_and_the_request_answers_at_once(
    slow: Fleet,
) -> None:
    for number in range(4):
        slow.guest(f"web{number}", "host2", memory=4 * GIB)
    first = slow.site.history.since()[-1].number
    uuid = slow.begin("host2", concurrency=2)
    assert not slow.bench.operation(uuid).state.ended, "the request did not wait"
    operation = ended(slow, uuid)
    assert operation.state is OperationState.SUCCEEDED
    events = slow.site.history.since(first)
    kinds = [event.kind for event in events if event.kind in ("disabled", "move-began")]
    assert kinds[0] == "disabled"
    assert "guest-stopped" not in {event.kind for event in events}
    under_way = most = 0
    for event in events:
        under_way += (event.kind == "move-began") - (event.kind in ("moved", "move-failed"))
        most = max(most, under_way)
    assert most == 2


def test_e20_leaving_maintenance_moves_the_guests_back(fleet: Fleet) -> None:
    fleet.guest("web1", "host2")
    fleet.into("host2")
    assert fleet.where()["web1"] != "host2"
    fleet.back("host2")
    assert fleet.where() == {"web1": "host2"}
