"""Whatever a caller sends, he gets the documented fault: no 500, no traceback, no secret."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import pytest
import requests

from tests.functional.api.conftest import Client
from tests.functional.api.running import PASSWORD, TOKEN, host_body

LONG = "x" * 256
BAD_NAMES = [
    None,
    "",
    " ",
    " x",
    "x ",
    "x\t",
    "x\n",
    "\u00a0x",
    "a\x00b",
    "a\x1fb",
    "a\x7fb",
    "a\u2028b",
    "\ud800",
    "a\uffffb",
    LONG,
    0,
    1.5,
    True,
    [],
    ["x"],
    {},
    {"x": "y"},
]
AGGREGATE = {"name": "blue", "availability_zone": "zone-a"}


def bad_request(client: Client, answer: requests.Response) -> str:
    return client.fault("badRequest", 400, answer)


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_name(client: Client, name: Any) -> None:
    bad_request(
        client, client.send("POST", "/os-aggregates", {"aggregate": {**AGGREGATE, "name": name}})
    )
    aggregate = client.create("blue")
    body = {"aggregate": {"name": name}}
    bad_request(client, client.send("PUT", f"/os-aggregates/{aggregate}", body))
    bad_request(client, client.act(aggregate, {"add_host": {"host": name}}))
    bad_request(client, client.act(aggregate, {"remove_host": {"host": name}}))
    assert [client.show(aggregate)] == client.good("GET", "/os-aggregates")["aggregates"]


def test_names_up_to_255_characters_are_kept_as_they_are(client: Client) -> None:
    for name in ("ü" * 255, "Ω b", "a:b/c?d#e%41", "😀", "'; DROP TABLE aggregates; --", "<&>"):
        assert client.show(client.create(name))["name"] == name


@pytest.mark.parametrize("zone", [*BAD_NAMES, "a:b", ":"], ids=ascii)
def test_zone(client: Client, zone: Any) -> None:
    body = {"aggregate": {**AGGREGATE, "availability_zone": zone}}
    bad_request(client, client.send("POST", "/os-aggregates", body))
    aggregate = client.create("blue")
    body = {"aggregate": {"availability_zone": zone}}
    bad_request(client, client.send("PUT", f"/os-aggregates/{aggregate}", body))
    if zone is not None:
        bad_request(client, client.send("POST", "/os-hosts", host_body("host9", 9, zone)))


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "aggregate",
        7,
        {},
        {"aggregate": None},
        {"aggregate": []},
        {"aggregate": {}},
        {"aggregate": {"name": "blue"}},
        {"aggregate": {"availability_zone": "zone-a"}},
        {"aggregate": {**AGGREGATE, "id": 7}},
        {"aggregate": {**AGGREGATE, "metadata": {}}},
        {"aggregate": AGGREGATE, "also": {}},
        {"Aggregate": AGGREGATE},
    ],
    ids=json.dumps,
)
def test_create_takes_exactly_two_keys(client: Client, body: Any) -> None:
    answer = client.send("POST", "/os-aggregates", data=json.dumps(body), headers=JSON)
    bad_request(client, answer)
    assert client.good("GET", "/os-aggregates") == {"aggregates": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"aggregate": {}},
        {"aggregate": {"name": "red", "hosts": []}},
        {"aggregate": {"metadata": {}}},
        {"aggregate": {"name": "red"}, "also": 1},
    ],
    ids=json.dumps,
)
def test_update_takes_name_and_zone_only(client: Client, body: Any) -> None:
    aggregate = client.create("blue")
    bad_request(client, client.send("PUT", f"/os-aggregates/{aggregate}", body))
    assert client.show(aggregate)["name"] == "blue"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"explode": {}},
        {"Add_host": {"host": "host1"}},
        {"add_host": None},
        {"add_host": "host1"},
        {"add_host": {}},
        {"add_host": {"host": ["host1"]}},
        {"add_host": {"host": "host1", "force": True}},
        {"add_host": {"host": "host1"}, "remove_host": {"host": "host1"}},
        {"add_host": {"host": "host1"}, "set_metadata": {"metadata": {"a": "b"}}},
        {"add_host": {"host": "host1"}, "also": 1},
        {"remove_host": {"host": "host1", "force": False}},
        {"set_metadata": {}},
        {"set_metadata": {"metadata": None}},
        {"set_metadata": {"metadata": []}},
        {"set_metadata": {"metadata": {"": "x"}}},
        {"set_metadata": {"metadata": {" a": "x"}}},
        {"set_metadata": {"metadata": {"a\u0000": "x"}}},
        {"set_metadata": {"metadata": {LONG: "x"}}},
        {"set_metadata": {"metadata": {"a": LONG}}},
        {"set_metadata": {"metadata": {"a": "\u0000"}}},
        {"set_metadata": {"metadata": {"a": 1}}},
        {"set_metadata": {"metadata": {"a": True}}},
        {"set_metadata": {"metadata": {"a": {"b": "c"}}}},
        {"set_metadata": {"metadata": {"a": "b"}, "also": 1}},
    ],
    ids=lambda body: json.dumps(body)[:80],
)
def test_action_is_exactly_one_and_known(client: Client, body: Any) -> None:
    aggregate = client.create("blue")
    before = client.show(aggregate)
    bad_request(client, client.act(aggregate, body))
    assert client.show(aggregate) == before


@pytest.mark.parametrize(
    "number",
    [
        *["0", "-1", "abc", "1.0", "01", "+1", "1e0", "1%20", "%D9%A1", "None", "1%00", "1%0A"],
        2**31,
        2**63,
        2**64,
        "9" * 400,
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"aggregate": {"name": "red"}}),
        ("DELETE", "", None),
        ("POST", "/action", {"add_host": {"host": "host1"}}),
        ("GET", "/operations", None),
    ],
)
def test_id_that_no_aggregate_can_have(
    shared: Client, number: str | int, method: str, path: str, body: Any
) -> None:
    answer = shared.send(method, f"/os-aggregates/{number}{path}", body)
    shared.fault("itemNotFound", 404, answer)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"nothing",
        b"{'aggregate': 1}",
        b'{"aggregate": {"name": "blue", "name": "red", "availability_zone": "zone-a"}}',
        b'{"aggregate": {"name": NaN, "availability_zone": "zone-a"}}',
        b'{"aggregate": {"name": Infinity, "availability_zone": "zone-a"}}',
        b'{"aggregate": {"name": 1e999, "availability_zone": "zone-a"}}',
        b'{"aggregate": ' + b"9" * 10000 + b"}",
        b'{"aggregate": ' + b"[" * 900 + b"]" * 900 + b"}",
        b"[" * 50000,
        b'{"a":' * 15000 + b"1" + b"}" * 15000,
        b'{"aggregate": {"name": "\xff\xfe", "availability_zone": "zone-a"}}',
        '{"aggregate": {"name": "blue", "availability_zone": "zone-a"}}'.encode("utf-16"),
        b'\xef\xbb\xbf{"aggregate": {"name": "blue", "availability_zone": "zone-a"}}',
        b'{"aggregate": {"name": "bl\x00ue", "availability_zone": "zone-a"}}',
        b'{"aggregate": {"name": "blue", "availability_zone": "zone-a"}} {}',
    ],
    ids=lambda raw: ascii(raw[:40]),
)
def test_body_that_is_no_json_document(shared: Client, raw: bytes) -> None:
    bad_request(shared, shared.send("POST", "/os-aggregates", data=raw, headers=JSON))
    assert shared.good("GET", "/os-aggregates") == {"aggregates": []}


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/yaml", "", "json", "é"],
)
def test_wrong_content_type(shared: Client, content_type: str) -> None:
    body = json.dumps({"aggregate": AGGREGATE})
    headers = {"Content-Type": content_type.encode("latin-1")}
    answer = shared.send("POST", "/os-aggregates", data=body, headers=headers)
    shared.fault("badMediaType", 415, answer)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.openstack.compute+json",
    ],
)
def test_content_type_with_parameters(client: Client, content_type: str) -> None:
    body = json.dumps({"aggregate": AGGREGATE})
    headers = {"Content-Type": content_type}
    assert client.send("POST", "/os-aggregates", data=body, headers=headers).status_code == 200


def test_body_over_112_kib(client: Client) -> None:
    limit = 112 * 1024
    body = json.dumps({"aggregate": AGGREGATE}).encode()
    fitting = body + b" " * (limit - len(body))
    answer = client.send("POST", "/os-aggregates", data=fitting + b" ", headers=JSON)
    client.fault("overLimit", 413, answer)
    assert answer.headers["Retry-After"] == "0"
    assert answer.json()["overLimit"]["retryAfter"] == 0
    assert client.good("GET", "/os-aggregates") == {"aggregates": []}
    assert client.send("POST", "/os-aggregates", data=fitting, headers=JSON).status_code == 200


def test_chunked_body(client: Client) -> None:
    body = json.dumps({"aggregate": AGGREGATE}).encode()
    answer = client.send("POST", "/os-aggregates", data=iter([b" " * 114000] * 3), headers=JSON)
    client.fault("overLimit", 413, answer)
    answer = client.send("POST", "/os-aggregates", data=iter([body[:9], body[9:]]), headers=JSON)
    assert answer.json()["aggregate"]["name"] == "blue"


@pytest.mark.parametrize("chunks", [b"zz\r\nabc\r\n", b"5\r\nab", b"-5\r\nabcde\r\n0\r\n\r\n"])
def test_malformed_chunks(shared: Client, chunks: bytes) -> None:
    head = f"X-Auth-Token: {TOKEN['X-Auth-Token']}\r\nContent-Type: application/json\r\n"
    status = raw_request(shared, head + "Transfer-Encoding: chunked\r\n", chunks)
    assert status == 400


def test_body_shorter_than_announced(shared: Client) -> None:
    head = f"X-Auth-Token: {TOKEN['X-Auth-Token']}\r\nContent-Type: application/json\r\n"
    assert raw_request(shared, head + "Content-Length: 100\r\n", b'{"aggregate":') == 400


MALFORMED: list[tuple[bytes, int, str]] = [
    (b"GARBAGE", 400, "badRequest"),
    (b'GET / "<b>%s HTTP/1.1', 400, "badRequest"),
    (b"GET / HTTP/9.9", 505, "computeFault"),
    (b"GET / HTTP/1.1\r\n" + b"\r\n".join(b"a%d: b" % n for n in range(300)), 431, "computeFault"),
]


@pytest.mark.parametrize(("head", "code", "name"), MALFORMED)
def test_what_no_application_sees_gets_a_fault_too(
    shared: Client, head: bytes, code: int, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", shared.api.port), timeout=10) as connection:
        connection.sendall(head + b"\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == code
        assert answer.headers["Content-Type"] == "application/json"
        assert "Python" not in str(answer.headers)
        document = json.loads(answer.read())
    assert list(document) == [name]
    assert document[name]["code"] == code
    assert set(document[name]) == {"code", "message"}
    # eventlet's own log would go there, past the configured one.
    assert "GET" not in capfd.readouterr().err


def raw_request(client: Client, head: str, body: bytes) -> int:
    with socket.create_connection(("127.0.0.1", client.api.port), timeout=10) as connection:
        line = "POST /v1.1/demo/os-aggregates HTTP/1.1\r\nHost: x\r\n"
        connection.sendall(f"{line}{head}\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert b"Traceback" not in answer.read()
        return answer.status


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/os-aggregates?availability_zone=%00", 400),
        ("/os-aggregates?availability_zone=%ff", 400),
        ("/os-aggregates?availability_zone=%ED%A0%80", 400),
        ("/os-aggregates?availability_zone=" + LONG, 200),
        ("/os-hosts?zone=%00", 400),
        ("/os-hosts/%00", 404),
        ("/os-hosts/%ff", 400),
        ("/os-hosts/%ED%A0%80", 400),
        ("/os-hosts/" + LONG, 404),
        ("/os-hosts/%20host1", 404),
        ("/os-hosts/h%0A/registration", 404),
        ("/os-operations?limit=0", 400),
        ("/os-operations?limit=1001", 400),
        ("/os-operations?limit=x", 400),
        ("/os-operations?limit=", 400),
        ("/os-operations?marker=x", 400),
        ("/os-operations?marker=00000000-0000-0000-0000-000000000000", 404),
        ("/os-operations?host=%00", 400),
        ("/os-operations?state=", 400),
        ("/extensions/%00", 404),
        ("/extensions/" + LONG, 404),
        ("", 404),
        ("/", 404),
        ("//os-aggregates", 404),
        ("/os-aggregates/", 404),
    ],
)
def test_path_and_query(shared: Client, path: str, code: int) -> None:
    answer = shared.send("GET", path)
    assert answer.status_code == code
    if code != 200:
        shared.fault({400: "badRequest", 404: "itemNotFound"}[code], code, answer)
        xml = shared.send("GET", path, headers={"Accept": "application/xml"})
        assert (xml.status_code, xml.headers["Content-Type"][:15]) == (code, "application/xml")


@pytest.mark.parametrize("accept", ["", "x", "*", ";;;,", "application/xml;q=two", "é"])
def test_accept_that_makes_no_sense_gets_json(shared: Client, accept: str) -> None:
    headers = {"Accept": accept.encode("latin-1")}
    answer = shared.send("GET", "/extensions/os-aggregates", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*"])
def test_accept_that_nothing_fits(shared: Client, accept: str) -> None:
    for path in ("/extensions", "/os-aggregates", "/os-operations/events"):
        shared.fault("computeFault", 406, shared.send("GET", path, headers={"Accept": accept}))


PEM_RUBBISH = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a/b"},
        {"name": "a b"},
        {"name": "host.json"},
        {"name": "host.xml"},
        {"name": ".."},
        {"name": LONG},
        {"name": 7},
        {"address": ""},
        {"address": "127.0.0.256"},
        {"address": "1.2.3"},
        {"address": "[::1]"},
        {"address": "fe80::1%eth0"},
        {"address": "http://x"},
        {"address": "a b"},
        {"address": "x" * 64},
        {"address": "x\n"},
        {"port": 0},
        {"port": 65536},
        {"port": "443"},
        {"port": 443.5},
        {"port": True},
        {"user": ""},
        {"user": " root"},
        {"user": ["root"]},
        {"password": ""},
        {"password": ["secret-list"]},
        {"password": "secret\x00zero"},
        {"password": "long-secret" * 100},
        {"fingerprint": "ab" * 31},
        {"fingerprint": "zz" * 32},
        {"fingerprint": "ab:" * 32},
        {"fingerprint": "ab" * 32 + "\n"},
        {"fingerprint": None},
        {"fingerprint": None, "insecure": False},
        {"fingerprint": None, "ca": ""},
        {"fingerprint": None, "ca": PEM_RUBBISH},
        {"insecure": True},
        {"ca": PEM_RUBBISH},
        {"verify": False},
        {"user": None},
        {"password": None},
        {"address": None},
        {"zone": None},
        {"name": None},
    ],
    ids=lambda changes: ascii(changes)[:60],
)
def test_registration(shared: Client, changes: dict[str, Any]) -> None:
    answer = shared.send("POST", "/os-hosts", host_body("host9", 9, "zone-a", **changes))
    bad_request(shared, answer)
    assert "secret" not in answer.text
    assert PASSWORD not in answer.text
    assert len(shared.good("GET", "/os-hosts")["hosts"]) == 0


def test_the_password_is_in_no_answer(client: Client) -> None:
    aggregate = client.create("blue")
    client.add(aggregate, "host1")
    for path in (
        "/os-hosts",
        "/os-hosts/host1",
        "/os-hosts/host1/registration",
        "/os-operations",
        f"/os-aggregates/{aggregate}",
    ):
        assert PASSWORD not in client.send("GET", path).text
    again = client.send("POST", "/os-hosts", host_body("host1", 1, "zone-a"))
    assert again.status_code == 409
    assert PASSWORD not in again.text


def test_a_token_longer_than_any_name(client: Client) -> None:
    aggregate = client.create("blue")
    client.session.headers["X-Auth-Token"] = f"{'u' * 3000}:{'p' * 3000}"
    uuid = client.add(aggregate, "host1").headers["X-Operation-Id"]
    asked = client.good("GET", f"/os-operations/{uuid}")["operation"]["requested_by"]
    assert (asked["user_id"], asked["project_id"]) == ("u" * 255, "p" * 255)


def test_the_connection_survives_faults(shared: Client) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.api.port, timeout=10)
    for _ in range(3):
        connection.request("POST", "/v1.1/demo/os-aggregates", b"{", {**JSON, **TOKEN})
        answer = connection.getresponse()
        assert answer.status == 400
        answer.read()
        assert not answer.will_close
        connection.request("POST", "/v1.1/demo/nothing", b"x" * 200000, {**JSON, **TOKEN})
        answer = connection.getresponse()
        assert answer.status == 413
        answer.read()
    connection.close()
