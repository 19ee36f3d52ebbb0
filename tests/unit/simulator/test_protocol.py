"""The order of errors, the encodings, what is forgotten when, events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nova_aggregates.simulator import jsonrpc, sessions, tasks, web, xmlrpc
from nova_aggregates.simulator.dispatch import EMERGENCY_CALLS
from nova_aggregates.simulator.errors import ApiError, MalformedRequest
from nova_aggregates.simulator.http_server import Request
from nova_aggregates.simulator.machine import Phase
from nova_aggregates.simulator.values import DateTime, TypedInt
from tests.unit.simulator.world import PASSWORD, World, run

BOGUS = "OpaqueRef:00000000-0000-0000-0000-000000000000"
ROOT = ("root", PASSWORD)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a<b>&\"c'", "<value>a&lt;b&gt;&amp;&quot;c'</value>"),
        (1500, "<value>1500</value>"),
        (TypedInt(3), "<value><i4>3</i4></value>"),
        (True, "<value><boolean>1</boolean></value>"),
        (0.25, "<value><double>0.25</double></value>"),
        (1.0, "<value><double>1</double></value>"),
        (
            DateTime("19700101T00:00:00Z"),
            "<value><dateTime.iso8601>19700101T00:00:00Z</dateTime.iso8601></value>",
        ),
        ([], "<value><array><data></data></array></value>"),
        (
            {"k": ["v"]},
            "<value><struct><member><name>k</name><value><array><data><value>v</value></data>"
            "</array></value></member></struct></value>",
        ),
    ],
)
def test_values_on_the_wire(value: Any, text: str) -> None:
    assert xmlrpc.encode(value) == text


def _body(values: str) -> bytes:
    return f"<methodCall><methodName>m</methodName>{values}</methodCall>".encode()


def _param(value: str) -> bytes:
    return _body(f"<params><param>{value}</param></params>")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<value/>", ""),
        ("<value> x </value>", " x "),
        ("<value>  </value>", "  "),
        ("<value><string/></value>", ""),
        ("<value> <string>a&lt;b</string>\n</value>", "a<b"),
        ("<value><![CDATA[<x>]]></value>", "<x>"),
        ("<value><int>-7</int></value>", -7),
        ("<value><i8>0x10</i8></value>", 16),
        ("<value><int>1_000</int></value>", 1000),
        ("<value><boolean>1</boolean></value>", True),
        ("<value><boolean>true</boolean></value>", False),
        ("<value><double>1e3</double></value>", 1000.0),
        ("<value><nil/></value>", None),
        ("<value><array/></value>", []),
        ("<value><array><data/></array></value>", []),
        ("<value><struct> </struct></value>", {}),
        (
            "<value><struct><member><name>k</name><value>v</value></member></struct></value>",
            {"k": "v"},
        ),
    ],
)
def test_values_of_requests(value: str, expected: Any) -> None:
    name, (found,) = xmlrpc.parse_request(_param(value))
    assert name == "m"
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "body",
    [
        b"<methodCall><methodName>m</methodName></methodCall>",
        b"<methodCall><params/></methodCall>",
        b"<methodCall><methodName/><params/></methodCall>",
        b"<methodCall><params/><methodName>m</methodName></methodCall>",
        _body("<params/><more/>"),
        _body("<params>text</params>"),
        _body("<params><value>x</value></params>"),
        _param("<string>x</string>"),
        _param("<value>x</value><value>y</value>"),
        _param("<value>text<string>x</string></value>"),
        _param("<value><int/></value>"),
        _param("<value><int> 5</int></value>"),
        _param("<value><int>99999999999999999999</int></value>"),
        _param("<value><nil>x</nil></value>"),
        _param("<value><unknown>x</unknown></value>"),
        _param("<value><array><value>x</value></array></value>"),
        _param("<value><struct><member><value>v</value></member></struct></value>"),
        _param("<value><struct><member><name/><value>v</value></member></struct></value>"),
    ],
)
def test_bodies_that_are_no_xml_call(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        xmlrpc.parse_request(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"method": "x", "params": []}',
        b'{"method": "x", "params": [], "id": null}',
        b'{"method": "x", "id": 1}',
        b'{"method": "x", "params": "y", "id": 1}',
        b'{"jsonrpc": "1.1", "method": "x", "params": [], "id": 1}',
    ],
)
def test_bodies_that_are_no_json_call(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        jsonrpc.parse_request(body)


def test_errors_come_in_the_order_of_the_real_one() -> None:
    async def scenario(world: World) -> None:
        async def error(method: str, *params: Any) -> list[str]:
            with pytest.raises(ApiError) as failed:
                await world.raw(0, method, *params)
            return failed.value.description

        session = await world.raw(0, "session.login_with_password", *ROOT)
        host = world.db(0).master
        assert await error("nosuch.x", BOGUS) == ["SESSION_INVALID", BOGUS]
        assert await error("nosuch.x", session) == ["MESSAGE_METHOD_UNKNOWN", "nosuch.x"]
        mismatch = "MESSAGE_PARAMETER_COUNT_MISMATCH"
        assert await error("host.get_record", BOGUS) == [mismatch, "host.get_record", "1", "0"]
        assert await error("host.get_record") == [mismatch, "host.get_record", "1", "-1"]
        bad_type = ["INTERNAL_ERROR", "Failure(\"Expected string, got 'I(5)'\")"]
        assert await error("host.get_record", BOGUS, 5) == bad_type
        assert await error("host.get_record", BOGUS, host) == ["SESSION_INVALID", BOGUS]
        fault = "No async mode for this operation (rpc: host.get_record)"
        assert await error("Async.host.get_record", session, host) == ["Fault", fault]
        assert await error("host.set_enabled", session, host, True) == [
            "MESSAGE_METHOD_UNKNOWN",
            "host.set_enabled",
        ]
        assert await world.raw(0, "host.disable", session, host, True, "surplus") == ""

    run(scenario, hosts=1)


def test_in_an_emergency_only_emergency_calls_answer() -> None:
    async def scenario(world: World) -> None:
        process = world[0].process
        assert process is not None
        process.phase = Phase.EMERGENCY
        for method in ("session.login_with_password", "system.listMethods", "no.such"):
            with pytest.raises(ApiError, match="HOST_STILL_BOOTING"):
                await world.raw(0, method)
        assert await world.raw(0, "session.slave_local_login_with_password", *ROOT)
        assert "pool.emergency_transition_to_master" in EMERGENCY_CALLS
        asked = {"method": "host.get_all", "params": [BOGUS], "id": 7}
        request = Request("POST", "/jsonrpc", "HTTP/1.1", {"content-length": "1"})
        request.body = json.dumps(asked).encode()
        answer = await web.handle(world[0], request)
        assert answer is not None
        assert answer.body == b'{"jsonrpc":"2.0","error":["HOST_STILL_BOOTING"],"id":0}'

    run(scenario, hosts=1)


def test_at_most_500_sessions_of_one_originator_and_400_without() -> None:
    async def scenario(world: World) -> None:
        process = world[0].process
        assert process is not None
        login = "session.login_with_password"
        for number in range(520):
            await world.raw(0, login, *ROOT, "1.0", "mine")
            await world.sleep(0.001 * number)
        for _ in range(420):
            await world.raw(0, login, *ROOT)
        sessions.enforce_limits(process, idle_limit=86400)
        left = [s.originator for s in process.sessions.values()]
        assert (left.count("mine"), left.count("")) == (500, 400)
        await world.sleep(90000)
        sessions.enforce_limits(process, idle_limit=86400)
        assert process.sessions == {}

    run(scenario, hosts=1)


def test_tasks_are_forgotten() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        collector = tasks.Collector(completed_limit=3900, pending_limit=86400)
        done = await world.call(0, "Async.host.disable", db.master)
        pending = await world.call(0, "task.create", "mine", "")
        await world.sleep(1)
        collector.collect(db, world.clock)
        await world.sleep(3800)
        collector.collect(db, world.clock)
        assert set(db.tables["task"]) == {done, pending}
        await world.sleep(200)
        collector.collect(db, world.clock)
        assert set(db.tables["task"]) == {pending}
        await world.sleep(86400)
        collector.collect(db, world.clock)
        assert not db.tables["task"]

    run(scenario, hosts=1)


def test_events_since_a_token() -> None:
    async def scenario(world: World) -> None:
        pool = world.db(0).pool
        answer = await world.call(0, "event.from", ["pool"], "", 5.0)
        assert [(e["operation"], e["ref"]) for e in answer["events"]] == [("add", pool)]
        waiting = asyncio.ensure_future(
            world.call(0, "event.from", ["POOL"], answer["token"], 60.0)
        )
        await world.sleep(10)
        assert not waiting.done()
        await world.call(0, "pool.set_name_label", pool, "new")
        changed = (await waiting)["events"]
        assert [(e["operation"], e["snapshot"]["name_label"]) for e in changed] == [("mod", "new")]
        wrong = await world.failure(0, "event.from", ["pool"], "nonsense", 1.0)
        assert wrong == ["EVENT_FROM_TOKEN_PARSE_FAILURE", "nonsense"]

    run(scenario, hosts=1)


def test_a_slaves_local_session_works_on_the_pool() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db = world.db(0)
        await world.local(1, "pool.set_name_label", db.pool, "by the slave")
        assert db.pool_record["name_label"] == "by the slave"
        assert await world.local(1, "pool.eject", db.master) == ""
        assert db.peek("host", db.master)
        with pytest.raises(ApiError) as failed:
            await world.local(1, "event.from", ["pool"], "", 1.0)
        assert failed.value.description == ["INTERNAL_ERROR", "missing table", "pool", ""]

    run(scenario)
