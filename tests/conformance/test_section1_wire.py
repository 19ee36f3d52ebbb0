"""Section 1.1 to 1.3: endpoints, encodings, envelopes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.client import BOGUS, Host, Session

TOO_LARGE = 310 * 1024
NAMED = b"<methodName>x</methodName>"


@pytest.mark.section("1.1")
@pytest.mark.parametrize("path", ["/", "/RPC2", "/xmlrpc", "/no/such/path"])
def test_xml_rpc_is_at_any_path(master: Host, session: Session, path: str) -> None:
    text = master.xml("host.get_all", session.ref, path=path)
    assert "<name>Status</name><value>Success</value>" in text


@pytest.mark.section("1.1")
@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/no/such", 404),
        ("HEAD", "/", 501),
        ("DELETE", "/", 501),
        ("OPTIONS", "/", 200),
        ("OPTIONS", "/jsonrpc", 200),
        ("OPTIONS", "/no/such", 200),
    ],
)
def test_http_that_is_no_call(master: Host, verb: str, path: str, status: int) -> None:
    answer = master.request(verb, path)
    assert answer.status == status
    if verb == "OPTIONS":
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.section("1.1")
def test_a_body_just_above_the_limit(master: Host, session: Session) -> None:
    body = b"x" * TOO_LARGE
    assert master.request("POST", "/", body, {"Content-Type": "text/xml"}).status == 500
    assert session.call("host.get_all")


@pytest.mark.section("1.1")
@pytest.mark.parametrize("path", ["/", "/jsonrpc"])
@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"<a><b/></a>", b'{"method": ', b"<methodCall>" + NAMED + b"</methodCall>"],
)
def test_bodies_that_are_no_call(master: Host, path: str, body: bytes) -> None:
    answer = master.request("POST", path, body)
    assert answer.status == 500
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["connection"] == "close"


@pytest.mark.section("1.1")
def test_headers_of_an_answer(master: Host, session: Session) -> None:
    asked = {"method": "host.get_all", "params": [session.ref], "id": 1}
    for answer, kind in (
        (master.json(asked), "application/json"),
        (
            master.request(
                "POST", "/", b"<methodCall><methodName>x</methodName><params/></methodCall>"
            ),
            "text/xml",
        ),
    ):
        assert answer.headers["content-type"] == kind
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-headers"] == "X-Requested-With"


def of_each_type(session: Session) -> dict[str, tuple[str, tuple[str, ...], str]]:
    """By type: method, parameters, and what the value looks like in XML-RPC."""
    host, pool = session.master, session.pool
    network = session.call("network.get_all")[0]
    task = session.call("task.create", "conformance", "")
    text = r"<value>[^<]*</value>"
    return {
        "string": ("host.get_hostname", (host,), text),
        "int": ("network.get_MTU", (network,), r"<value>\d+</value>"),
        "bool": ("host.get_enabled", (host,), r"<value><boolean>[01]</boolean></value>"),
        "float": ("task.get_progress", (task,), r"<value><double>[^<]+</double></value>"),
        "datetime": (
            "host.get_servertime",
            (host,),
            r"<value><dateTime.iso8601>\d{8}T\d\d:\d\d:\d\dZ</dateTime.iso8601></value>",
        ),
        "set": ("host.get_all", (), rf"<value><array><data>({text})*</data></array></value>"),
        "map": ("host.get_software_version", (host,), r"<value><struct>.*</struct></value>"),
        "ref": ("pool.get_master", (pool,), r"<value>OpaqueRef:[^<]+</value>"),
        "void": ("task.destroy", (task,), r"<value></value>"),
    }


TYPES = ["string", "int", "bool", "float", "datetime", "set", "map", "ref", "void"]


@pytest.mark.section("1.2")
@pytest.mark.parametrize("kind", TYPES)
def test_xml_values(master: Host, session: Session, kind: str) -> None:
    method, params, shape = of_each_type(session)[kind]
    text = master.xml(method, session.ref, *params)
    envelope = (
        r'<\?xml version="1.0"\?><methodResponse><params><param><value><struct><member>'
        r"<name>Status</name><value>Success</value></member><member><name>Value</name>"
        + shape
        + r"</member></struct></value></param></params></methodResponse>"
    )
    assert re.fullmatch(envelope, text), text


JSON_SHAPES: dict[str, type] = {
    "string": str,
    "int": int,
    "bool": bool,
    "float": float,
    "datetime": str,
    "set": list,
    "map": dict,
    "ref": str,
    "void": str,
}


@pytest.mark.section("1.3")
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("kind", TYPES)
def test_json_values(master: Host, session: Session, kind: str, version: int) -> None:
    method, params, _ = of_each_type(session)[kind]
    asked: dict[str, Any] = {"method": method, "params": [session.ref, *params], "id": 7}
    if version == 2:
        asked["jsonrpc"] = "2.0"
    answer = master.json(asked).json
    assert answer["id"] == 7
    assert type(answer["result"]) is JSON_SHAPES[kind]
    assert set(answer) == (
        {"result", "error", "id"} if version == 1 else {"jsonrpc", "result", "id"}
    )


@pytest.mark.section("1.3")
def test_json_failures(master: Host, session: Session) -> None:
    asked = {"method": "host.get_record", "params": [session.ref, BOGUS], "id": "text"}
    assert master.json(asked).json == {
        "result": None,
        "error": ["HANDLE_INVALID", "host", BOGUS],
        "id": "text",
    }
    assert master.json({"jsonrpc": "2.0", **asked}).json == {
        "jsonrpc": "2.0",
        "error": {"code": 1, "message": "HANDLE_INVALID", "data": ["host", BOGUS]},
        "id": "text",
    }


@pytest.mark.section("1.3")
@pytest.mark.parametrize(
    "request_",
    [
        {"method": "host.get_all", "params": []},
        {"method": "host.get_all", "params": [], "id": None},
        {"method": "host.get_all", "params": "x", "id": 1},
        {"method": "host.get_all", "id": 1},
        {"jsonrpc": "1.1", "method": "host.get_all", "params": [], "id": 1},
        [{"method": "host.get_all", "params": [], "id": 1}],
    ],
    ids=["no id", "null id", "no array", "no params", "version 1.1", "batch"],
)
def test_json_that_is_refused(master: Host, request_: Any) -> None:
    assert master.json(request_).status == 500


@pytest.mark.section("1.3")
def test_version_2_needs_no_params(master: Host) -> None:
    answer = master.json({"jsonrpc": "2.0", "method": "host.get_all", "id": 1}).json
    assert answer["error"]["message"] == "MESSAGE_PARAMETER_COUNT_MISMATCH"


@pytest.mark.section("1.2")
def test_list_methods_has_no_envelope(master: Host) -> None:
    names = master.call("system.listMethods")
    assert {"pool.join", "host.evacuate", "event.from"} <= set(names)
    assert not any(name.startswith("Async.") for name in names)
