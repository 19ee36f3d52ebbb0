"""Every fault that the reference wants injectable: what clients and pools see of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import urllib.request
import xmlrpc.client
from collections.abc import Iterator
from typing import Any

import pytest
import XenAPI

from nova_aggregates.simulator import changes, furnishing, scenario
from nova_aggregates.simulator.control import Control
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.faults import ACTIONS, FLAGS
from nova_aggregates.simulator.profile import STANDARD
from nova_aggregates.simulator.scenario import BadEvent
from nova_aggregates.simulator.testing import SimulatedSite
from tests.unit.simulator.test_membership import until_master
from tests.unit.simulator.world import World, run

pytest_plugins = ["nova_aggregates.simulator.fixtures"]


@pytest.fixture(scope="module")
def site() -> Iterator[SimulatedSite]:
    with SimulatedSite(hosts=2, time_scale=200, shared_storage=False) as running:
        yield running


@pytest.fixture
def session(site: SimulatedSite) -> Iterator[Any]:
    """At the first host, whose faults are forgotten afterwards."""
    host = site.host("host1")
    found: Any = XenAPI.Session(host.url, ignore_ssl=True)
    found.xenapi.login_with_password("root", host.password, "2.0", "test")
    yield found
    site._running.site.faults.clear()


LOST = (http.client.HTTPException, OSError)


@pytest.mark.parametrize(
    ("action", "raised"),
    [
        ("drop-before", LOST),
        ("drop-after", LOST),
        ("truncate", Exception),
        ("garbage", Exception),
        ("http-500", xmlrpc.client.ProtocolError),
    ],
)
def test_spoiled_answers(site: SimulatedSite, session: Any, action: str, raised: Any) -> None:
    """The standard library sends a call again that was dropped: so two of these are spoiled."""
    site.spoil("host1", "pool.get_all", action, times=2 if action.startswith("drop") else 1)
    with pytest.raises(raised):
        session.xenapi.pool.get_all()
    assert len(session.xenapi.pool.get_all()) == 1


@pytest.mark.parametrize(("action", "times"), [("drop-before", 1), ("drop-after", 2)])
def test_lost_calls_are_executed_or_not(
    site: SimulatedSite, session: Any, action: str, times: int
) -> None:
    """The standard library sends a lost call again: what was executed then happens twice."""
    site.spoil("host1", "task.create", action)
    label = f"lost {action}"
    session.xenapi.task.create(label, "")
    assert len(session.xenapi.task.get_by_name_label(label)) == times


def test_a_page_of_html(site: SimulatedSite) -> None:
    host = site.host("host1")
    site.spoil("host1", "*", "content-type")
    body = xmlrpc.client.dumps(("OpaqueRef:x",), "pool.get_all").encode()
    context = ssl._create_unverified_context()
    request = urllib.request.Request(host.url, body)
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        assert answer.headers["Content-Type"] == "text/html"


def test_a_session_that_is_forgotten(site: SimulatedSite, session: Any) -> None:
    site.spoil("host1", "pool.get_all_records", "session-invalid")
    transport = xmlrpc.client.ServerProxy(
        site.host("host1").url, context=ssl._create_unverified_context()
    )
    ask: Any = transport.pool.get_all_records
    expected = ["SESSION_INVALID", session._session]
    for _ in range(2):
        assert ask(session._session)["ErrorDescription"] == expected


def test_fields_that_an_older_release_does_not_have(site: SimulatedSite, session: Any) -> None:
    (ref,) = session.xenapi.host.get_all()
    site.spoil("host1", "host.get_*record*", "omit", fields=["https_only", "tags"], times=2)
    record = session.xenapi.host.get_record(ref)
    assert {"https_only", "tags"} & set(record) == set()
    assert "tags" not in session.xenapi.host.get_all_records()[ref]
    assert session.xenapi.host.get_record(ref)["tags"] == []


def test_late_answers_and_none(site: SimulatedSite, session: Any) -> None:
    host = site.host("host1")
    context = ssl._create_unverified_context()
    body = xmlrpc.client.dumps((session._session,), "pool.get_all").encode()
    for action in ("delay", "hang"):
        site.spoil("host1", "pool.get_all", action, seconds=10_000)
        connection = http.client.HTTPSConnection(
            host.address, host.port, timeout=1, context=context
        )
        connection.request("POST", "/", body)
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()


def test_an_error_for_the_third_call(site: SimulatedSite, session: Any) -> None:
    site.spoil("host1", "pool.get_all", "error", skip=2, error=["OTHER_OPERATION_IN_PROGRESS"])
    assert len(session.xenapi.pool.get_all() + session.xenapi.pool.get_all()) == 2
    with pytest.raises(XenAPI.Failure, match="OTHER_OPERATION_IN_PROGRESS"):
        session.xenapi.pool.get_all()


def test_something_happens_when_a_call_comes(site: SimulatedSite, session: Any) -> None:
    """A guest starts between the disable and the next look."""
    site.change("add-guest", "host1", name="late", disk=0, running=False)
    then = [{"guest": "start", "name": "late"}]
    site.event(
        {"wire": "trigger", "host": "host1", "method": "host.get_resident_VMs", "then": then}
    )
    (ref,) = session.xenapi.host.get_all()
    names = [session.xenapi.VM.get_name_label(v) for v in session.xenapi.host.get_resident_VMs(ref)]
    assert "late" in names
    after = [{"call": "pool.set_name_label", "host": "host1", "args": ["$pool", "renamed"]}]
    site.spoil("host1", "pool.get_name_label", "trigger-after", then=after)
    (pool,) = session.xenapi.pool.get_all()
    assert session.xenapi.pool.get_name_label(pool) == ""
    for _ in range(1000):
        if session.xenapi.pool.get_name_label(pool) == "renamed":
            return
    raise AssertionError("nobody renamed the pool")


def test_all_of_it_by_the_control_api(site: SimulatedSite) -> None:
    control = Control(site._running)

    async def start() -> str:
        await control.start(0)
        return f"http://127.0.0.1:{control.port}"

    url = site.run(start())

    def ask(verb: str, path: str, **given: Any) -> Any:
        body = json.dumps(given).encode() if given else None
        request = urllib.request.Request(url + path, body, method=verb)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    for flag in FLAGS:
        ask("POST", "/event", change="flag", host="host2", flag=flag)
    for action in ACTIONS:
        ask("POST", "/event", wire=action, host="host2", method="nothing.*")
    ask("POST", "/event", change="emergency", host="host2", error=["HOST_BROKEN"])
    ask("POST", "/event", fault="freeze", host="host2", at=1e6)
    found = ask("GET", "/faults")
    assert [w["action"] for w in found["wire"]] == list(ACTIONS)
    assert {f: found[f] for f in FLAGS} == {f: ["host2"] for f in FLAGS}
    assert found["emergencies"] == {"host2": ["HOST_BROKEN"]}
    ask("DELETE", "/faults")
    assert ask("GET", "/faults") == {}
    site.run(control.stop())


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ("fault: fly, host: a", "unknown fault fly; known: power-off"),
        ("wire: melt, host: a, method: x", "unknown wire melt; known: drop-before"),
        ("change: mind, host: a", "unknown change mind"),
        ("guest: fly, name: web", "unknown guest fly; known: start"),
        ("guest: start", "guest start: say which guest"),
        ("fault: freeze", "fault freeze: say which host"),
        ("fault: freeze, host: a, at: soon", "fault freeze: at is a number of seconds, not soon"),
        ("{fault: freeze", "no event: "),
        ("host: a", "an event has one of fault, wire, change, guest, call"),
        ("fault: freeze, guest: start, host: a", "an event has one of"),
        ("wire: trigger, host: a, method: x, then: [{fault: fly, host: a}]", "unknown fault fly"),
    ],
)
def test_events_that_are_none(event: str, complaint: str) -> None:
    with pytest.raises(BadEvent) as found:
        scenario.parse_text(event)
    assert str(found.value).startswith(complaint)
    with pytest.raises(BadEvent):
        scenario.parse(["fault"])


def test_events_that_cannot_happen_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def play(world: World) -> None:
        events = [scenario.parse_text("guest: start, name: nobody, at: 10")]
        scenario.schedule(world.site, events)
        await world.sleep(11)

    run(play, hosts=1)
    assert "event guest start failed: guest nobody" in caplog.text


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"method": "x", "action": "hang"}, "missing"),
        ({"host": "host1", "method": "x", "action": "hang", "colour": 1}, "unknown"),
        ({"host": "host1", "method": "x", "action": "melt"}, "unknown action melt"),
    ],
)
def test_bad_wire_faults(given: dict[str, Any], complaint: str) -> None:
    async def play(world: World) -> None:
        with pytest.raises(ValueError, match=complaint):
            changes.wire(world.site, given)

    run(play, hosts=1)


async def change(world: World, name: str, host: str = "host2", **more: Any) -> Any:
    return await changes.change(world.site, {"change": name, "host": host, **more})


def test_a_join_that_fails_after_its_record_was_made() -> None:
    async def play(world: World) -> None:
        await change(world, "flag", flag="join_fails")
        address, password = world[0].address, world[0].disk.password
        error = await world.failure(1, "pool.join", address, "root", password)
        assert error == ["INTERNAL_ERROR", 'Unix.Unix_error(Unix.ENOSPC, "write", "")']
        stale = world.db(0).get("host", world.host(1))
        assert not stale["enabled"]
        assert world[1].process is not None
        assert world[1].process.is_master
        await change(world, "flag", flag="join_fails", on=False)
        await world.pool(1)
        assert len(world.db(0).tables["host"]) == 2

    run(play)


def test_a_join_without_a_record_and_one_that_stays_in_emergency() -> None:
    async def play(world: World) -> None:
        await change(world, "flag", flag="no_record")
        await change(world, "emergency", "host3", error=["HOST_UNKNOWN_TO_MASTER", "uuid"])
        await world.join(1)
        await world.join(2)
        await world.sleep(120)
        with pytest.raises(ApiError, match="UUID_INVALID"):
            world.host(1)
        with pytest.raises(ApiError) as found:
            await world.raw(2, "session.login_with_password", "root", "x")
        assert found.value.description == ["HOST_UNKNOWN_TO_MASTER", "uuid"]
        assert not world.db(0).get("host", world.host(2))["enabled"]

    run(play, hosts=3)


def test_an_eject_that_fails_half_way() -> None:
    async def play(world: World) -> None:
        await world.pool(1)
        member, db = world.host(1), world.db(0)
        await change(world, "flag", flag="stuck_disks")
        before = len(db.tables["SR"])
        error = await world.failure(0, "pool.eject", member)
        assert (error[0], error[2]) == ("VDI_IN_USE", "detach")
        assert db.get("host", member)["enabled"]
        assert len(db.tables["SR"]) < before

    run(play)


@pytest.mark.parametrize("flag", ["never_returns", "new_certificate"])
def test_ejected_hosts_that_return_otherwise(flag: str) -> None:
    async def play(world: World) -> None:
        await world.pool(1)
        shown = world[1].certificate.sha256
        await change(world, "flag", flag=flag)
        await world.call(0, "pool.eject", world.host(1))
        if flag == "never_returns":
            await world.sleep(3600)
            assert world[1].power.value == "off"
        else:
            await until_master(world, 1)
            assert world[1].certificate.sha256 != shown

    run(play)


def test_an_ejected_host_returns_at_another_address() -> None:
    async def play(world: World) -> None:
        await world.pool(1)
        await change(world, "address", address="127.0.70.200")
        await world.call(0, "pool.eject", world.host(1))
        await until_master(world, 1)
        own = world.db(1).get("host", world.db(1).master)
        assert (world[1].address, own["address"]) == ("127.0.70.200", "127.0.70.200")
        with pytest.raises(ValueError, match="belongs to host1, which is on"):
            await change(world, "address", address=world[0].address)

    run(play)


def test_an_address_that_another_pool_took_over() -> None:
    async def play(world: World) -> None:
        await world.pool(1)
        address = world[1].address
        await changes.fault(world.site, "power-off", "host2")
        await change(world, "address", "host3", address=address)
        await changes.fault(world.site, "power-off", "host3")
        await changes.fault(world.site, "power-on", "host3")
        await until_master(world, 2)
        found = world.site.by_address(address)
        assert found is not None
        assert {m.name for m in world.site.machines if m.address == address} == {"host2", "host3"}

    run(play, hosts=3)


def test_a_reboot_that_leaves_boot_time_and_one_that_ends_disabled() -> None:
    async def play(world: World) -> None:
        await world.pool(1)
        member, db = world.host(1), world.db(0)
        for flag in ("same_boot_time", "disabled"):
            await change(world, "flag", flag=flag)
        before = db.get("host", member)["other_config"]
        await world.call(0, "host.disable", member)
        await world.call(0, "host.reboot", member)
        await world.sleep(120)
        after = db.get("host", member)
        assert after["other_config"]["boot_time"] == before["boot_time"]
        assert after["other_config"]["agent_start_time"] != before["agent_start_time"]
        metrics = db.get("host_metrics", after["metrics"])
        assert (after["enabled"], metrics["live"]) == (False, True)
        with pytest.raises(ValueError, match="unknown flag odd"):
            await change(world, "flag", flag="odd")

    run(play)


def test_a_host_that_is_enabled_but_not_live() -> None:
    async def play(world: World) -> None:
        await world.pool(1, 2)
        furnishing.add_guest(world[1], "web", disk=0)
        await change(world, "set-fields", "host3", cls="host_metrics", values={"live": False})
        assert await world.failure(0, "host.evacuate", world.host(1)) == ["HOST_NOT_LIVE"]

    run(play, hosts=3)


@pytest.mark.parametrize("limit", [50, 7200])
def test_another_operation_in_progress(limit: float) -> None:
    async def play(world: World) -> None:
        await world.pool(1)
        vm = furnishing.add_guest(world[1], "web", disk=0)
        await change(world, "occupy", guest="web", operation="snapshot", seconds=100)
        operations = world.db(0).get("VM", vm)["current_operations"]
        (task,) = operations
        before = world.clock.now()
        move = ("VM.pool_migrate", vm, world.host(0), {})
        if limit > 100:
            await world.call(0, *move)
            assert world.clock.now() - before >= 100
        else:
            expected = ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, "snapshot", task]
            assert await world.failure(0, *move) == expected

    run(play, profile=STANDARD.with_timings(lock_retry_limit=limit))


def test_a_pool_and_a_host_that_are_busy() -> None:
    async def play(world: World) -> None:
        await world.pool(1)
        await change(world, "occupy", "host1", cls="pool", operation="ha_enable", seconds=100)
        error = await world.failure(0, "pool.designate_new_master", world.host(1))
        assert error == ["HA_ENABLE_IN_PROGRESS"]
        await change(world, "occupy", operation="apply_updates", seconds=100)
        before = world.clock.now()
        await world.call(0, "host.enable", world.host(1))
        assert world.clock.now() - before >= 100

    run(play)


def test_the_master_restarts_in_the_middle_of_an_operation() -> None:
    async def play(world: World) -> None:
        await world.pool(1)
        vm = furnishing.add_guest(world[1], "web", memory=40 << 30, disk=0)
        task = await world.call(0, "Async.VM.pool_migrate", vm, world.host(0), {})
        await world.sleep(5)
        old = world[0].process
        await changes.fault(world.site, "kill-toolstack", "host1")
        await world.sleep(60)
        assert world[0].process is not old
        assert await world.failure(0, "task.get_status", task) == ["HANDLE_INVALID", "task", task]
        record = world.db(0).get("VM", vm)
        assert (record["resident_on"], record["current_operations"]) == (world.host(1), {})

    run(play)


def test_clocks_differ() -> None:
    async def play(world: World) -> None:
        await change(world, "set-hardware", "host1", clock_skew=3600.0)
        stamp = str(await world.call(0, "host.get_servertime", world.db(0).master))
        assert stamp > str(world.clock.stamp())

    run(play, hosts=1)


def test_sites_as_a_fixture(simulated_site: Any) -> None:
    site = simulated_site(hosts=1, time_scale=200, shared_storage=False)
    site.event("fault: freeze, host: host1")
    site.event({"fault": "thaw", "host": "host1"})
    assert [h.name for h in site.hosts] == ["host1"]


def test_nothing_happens_after_the_end() -> None:
    async def play(world: World) -> None:
        scenario.schedule(world.site, [scenario.parse_text("fault: power-off, host: host1, at: 5")])
        world.site.end_background()
        await world.sleep(10)
        assert world[0].power.value == "on"
        await asyncio.sleep(0)

    run(play, hosts=1)
