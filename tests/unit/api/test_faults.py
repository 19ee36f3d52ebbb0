"""Which fault an exception becomes, and what it never tells."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import webob.exc
from lxml import etree

from nova_aggregates import exceptions
from nova_aggregates.api.faults import NAMES, STATUS, Fault, fault_of
from nova_aggregates.api.middleware.faults import Faults
from tests.unit.api.site import application, ask

FACTS = {
    fact
    for _, fact in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(fact, exceptions.NovaAggregatesError)
}
# What no caller can cause: defects of ours, or of the installation.
INTERNAL = {
    exceptions.NovaAggregatesError,
    exceptions.LockLost,
    exceptions.OperationLost,
    exceptions.IllegalMove,
    exceptions.ConfigurationInvalid,
}
NAMESPACE = "{http://docs.openstack.org/compute/api/v1.1}"


def test_every_fact_has_a_status_or_is_internal() -> None:
    assert set(STATUS) | INTERNAL == FACTS
    assert not set(STATUS) & INTERNAL


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (400, "badRequest"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "itemNotFound"),
        (405, "badMethod"),
        (409, "conflictingRequest"),
        (413, "overLimit"),
        (415, "badMediaType"),
        (422, "unprocessableEntity"),
        (501, "notImplemented"),
        (503, "serviceUnavailable"),
        (500, "computeFault"),
        (418, "computeFault"),
    ],
)
def test_names_of_the_contract(code: int, name: str) -> None:
    assert list(Fault(code, "x").document) == [name]


@pytest.mark.parametrize("code", [*NAMES, 500])
@pytest.mark.parametrize("accept", ["application/json", "application/xml"])
def test_both_formats(code: int, accept: str) -> None:
    def app(_environ: Any, _start_response: Any) -> Any:
        raise Fault(code, "a\x00b <&> ü\ud800", {"X-Extra": "1"})

    answer = ask(Faults(app), "GET", "/", Accept=accept)
    assert answer.status_int == code
    assert answer.headers["X-Extra"] == "1"
    name = NAMES.get(code, "computeFault")
    message = "a\ufffdb <&> ü\ufffd"
    if accept == "application/json":
        extra = {"retryAfter": 0} if code == 413 else {}
        assert json.loads(answer.body) == {name: {"code": code, "message": message, **extra}}
        return
    root = etree.fromstring(answer.body)
    assert (root.tag, root.attrib) == (NAMESPACE + name, {"code": str(code)})
    assert root.findtext(f"{NAMESPACE}message") == message
    assert root.findtext(f"{NAMESPACE}retryAfter") == ("0" if code == 413 else None)


def test_retry_after_is_told_in_the_body_too() -> None:
    assert Fault(413, "x", {"Retry-After": "7"}).document["overLimit"]["retryAfter"] == 7


@pytest.mark.parametrize(
    "error",
    [
        KeyError("add_host"),
        AttributeError("s3cret"),
        RuntimeError("s3cret"),
        RecursionError(),
        exceptions.OperationLost(uuid="s3cret", fence=1),
        exceptions.ConfigurationInvalid(what="s3cret", cure="s3cret"),
    ],
    ids=repr,
)
def test_e17_a_defect_of_ours_is_a_500_without_details(tmp_path: Path, error: Exception) -> None:
    """The old service told "no such action" when a KeyError happened inside an action."""
    app = application(tmp_path, error)
    for method, path, body in (
        ("POST", "/v1.1/demo/os-aggregates/1/action", {"add_host": {"host": "host1"}}),
        ("GET", "/v1.1/demo/os-aggregates", None),
    ):
        answer = ask(app, method, path, body)
        assert answer.status_int == 500
        assert list(answer.json) == ["computeFault"]
        assert answer.headers["X-Openstack-Request-Id"] in answer.json["computeFault"]["message"]
        for detail in ("s3cret", "Traceback", "KeyError", "action"):
            assert detail not in answer.text


def test_database_that_does_not_answer(tmp_path: Path) -> None:
    error = exceptions.DatabaseUnavailable(reason="it is full", retry_after=7)
    answer = ask(application(tmp_path, error), "GET", "/v1.1/demo/os-aggregates")
    assert answer.status_int == 503
    assert answer.headers["Retry-After"] == "7"
    assert list(answer.json) == ["serviceUnavailable"]


@pytest.mark.parametrize("fact", sorted(STATUS, key=repr))
def test_subclasses_share_the_status(fact: type[Exception]) -> None:
    narrower = type("Narrower", (fact,), {"template": "x"})
    assert fault_of(narrower(), "-").status == STATUS[fact]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 500, 502, 503])
def test_answers_of_libraries_are_put_in_our_words(code: int) -> None:
    def answering(environ: Any, start_response: Any) -> Any:
        headers = [("Content-Type", "text/html"), ("WWW-Authenticate", "X"), ("Set-Cookie", "a=b")]
        start_response(f"{code} Whatever", headers)
        return [b"<html>s3cret</html>"]

    def raising(_environ: Any, _start_response: Any) -> Any:
        raise webob.exc.status_map[code]("s3cret", headers=[("WWW-Authenticate", "X")])

    for app in (answering, raising):
        answer = ask(Faults(app), "GET", "/")
        assert answer.status_int == code
        assert list(answer.json) == [NAMES.get(code, "computeFault")]
        assert "s3cret" not in answer.text
        assert answer.headers["WWW-Authenticate"] == "X"
        assert "Set-Cookie" not in answer.headers


def test_good_answers_pass_untouched() -> None:
    body = [b"as it is"]

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("302 Found", [("Location", "/x")])
        return body

    started: list[Any] = []
    result = Faults(app)({"REQUEST_METHOD": "GET"}, lambda *arguments: started.append(arguments))
    assert result is body
    assert started[0][:2] == ("302 Found", [("Location", "/x")])
