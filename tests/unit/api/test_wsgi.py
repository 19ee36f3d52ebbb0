"""Paste factories, prefixes and the filters that need no service."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import webob

from nova_aggregates.api import deployment as deployments
from nova_aggregates.api import wsgi
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import EVERY, LEGACY, MAXIMUM, at
from nova_aggregates.api.middleware.request_id import RequestId
from nova_aggregates.api.middleware.sizelimit import SizeLimit
from nova_aggregates.api.router import COMPUTE, Router
from nova_aggregates.exceptions import ConfigurationInvalid
from tests.unit.api.site import application, ask

UNREACHED = AssertionError("the manager was reached")


def echo(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", [])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/", "root:|/"),
        ("", "root:|"),
        ("/v1", "root:|/v1"),
        ("/v1.1", "v11:/v1.1|"),
        ("/v1.1/", "v11:/v1.1|/"),
        ("/v1.1/demo", "v11:/v1.1|/demo"),
        ("/v1.10", "root:|/v1.10"),
        ("/v1.1/beta", "beta:/v1.1/beta|"),
        ("/v1.1/beta/x", "beta:/v1.1/beta|/x"),
        ("/V1.1/demo", "root:|/V1.1/demo"),
        ("*", "root:|*"),
    ],
)
def test_the_longest_prefix_that_fits(path: str, seen: str) -> None:
    def named(name: str) -> Any:
        def app(environ: Any, start_response: Any) -> Any:
            return [f"{name}:".encode(), *echo(environ, start_response)]

        return app

    app = wsgi.Prefixes({"": named("root"), "/v1.1": named("v11"), "/v1.1/beta": named("beta")})
    environ = {"PATH_INFO": path, "SCRIPT_NAME": ""}
    assert b"".join(app(environ, lambda *_arguments: None)).decode() == seen


def test_prefixes_below_a_proxy_s_prefix() -> None:
    environ = {"PATH_INFO": "/v1.1/demo", "SCRIPT_NAME": "/compute"}
    body = wsgi.Prefixes({"": echo, "/v1.1": echo})(environ, lambda *_arguments: None)
    assert list(body) == [b"/compute/v1.1|/demo"]


def test_factories_need_a_deployment() -> None:
    with pytest.raises(LookupError):
        deployments.current()


def test_a_strategy_without_a_pipeline(tmp_path: Path) -> None:
    paste = tmp_path / "paste.ini"
    paste.write_text(
        "[composite:main]\nuse = egg:nova-aggregates#pipelines\nkeystone = app\n"
        "[app:app]\nuse = egg:nova-aggregates#compute\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationInvalid, match=r"no pipeline for .* noauth.*keystone"):
        application(tmp_path, UNREACHED, api={"paste_config": paste})


@pytest.mark.parametrize("content", [None, "", "nothing", "[app:main]\nuse = egg:nothing\n"])
def test_paste_file_that_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    paste = tmp_path / "paste.ini"
    if content is not None:
        paste.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationInvalid, match=str(paste)):
        application(tmp_path, UNREACHED, api={"paste_config": paste})


def test_an_operator_s_paste_file_comes_first(tmp_path: Path) -> None:
    """It stands beside the configuration file that names it relatively."""
    (tmp_path / "mine.ini").write_text(
        "[app:main]\nuse = egg:nova-aggregates#versions\n", encoding="utf-8"
    )
    app = application(tmp_path, UNREACHED, api={"paste_config": "mine.ini"})
    with pytest.raises(Fault):
        ask(app, "GET", "/v1.1/")


def test_forwarded_headers_when_a_proxy_is_configured(tmp_path: Path) -> None:
    option = {"enable_proxy_headers_parsing": True}
    app = application(tmp_path, UNREACHED, oslo_middleware=option)
    headers = {
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "api.example.org",
        "X_Forwarded_Prefix": "/compute",
    }
    below = "https://api.example.org/compute"
    listed = ask(app, "GET", "/", **headers).json["versions"]
    assert [link["href"] for version in listed for link in version["links"]] == [
        f"{below}/{path}/" for path in ("v2", "v2.1", "v1.1")
    ]
    for path in ("v2", "v2.1", "v1.1"):
        for slash in ("", "/"):
            document = ask(app, "GET", f"/{path}{slash}", **headers).json["version"]
            assert document["links"][0] == {"rel": "self", "href": f"{below}/{path}/"}


def test_handshake_behind_a_proxy(tmp_path: Path) -> None:
    app = application(tmp_path, UNREACHED)
    request = webob.Request.blank("/v1.1/", headers={"Host": "api:1", "X-Auth-User": "jane"})
    answer = request.get_response(app)
    assert answer.status_int == 204
    assert answer.headers["X-Auth-Token"] == "jane:admin"
    assert answer.headers["X-Server-Management-Url"] == "http://api:1/v1.1/admin"


@pytest.mark.parametrize(
    ("project", "path"),
    [
        ("a b", "a%20b"),
        ("a/b?c", "a%2Fb%3Fc"),
        ("\u00c3\u00a9", "%C3%A9"),  # the two bytes of an accented letter in UTF-8
        ("\x85", "%3F"),
        ("x\tX-Evil: 1", "x%3FX-Evil%3A%201"),
    ],
)
def test_handshake_with_odd_names(tmp_path: Path, project: str, path: str) -> None:
    request = webob.Request.blank("/v1.1/")
    request.environ["HTTP_X_AUTH_USER"] = request.environ["HTTP_X_AUTH_PROJECT_ID"] = project
    answer = request.get_response(application(tmp_path, UNREACHED))
    assert answer.headers["X-Server-Management-Url"] == f"http://localhost/v1.1/{path}"
    for value in answer.headers.values():
        assert value.encode("latin-1").decode("latin-1").isprintable()


@pytest.mark.parametrize("length", ["x", "-1", "1.0", "\u0663", "9" * 5000])
def test_content_length_that_is_no_number(length: str) -> None:
    environ = {"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO()}
    with pytest.raises(Fault) as caught:
        SizeLimit(echo, 1000)(environ, None)
    assert caught.value.status in (400, 413)


@pytest.mark.parametrize(
    ("inbound", "kept"),
    [
        ("req-00000000-0000-0000-0000-000000000000", True),
        ("req-1\r\nX: y", False),
        ("", False),
    ],
)
def test_request_ids(inbound: str, kept: bool) -> None:
    seen: dict[str, Any] = {}

    def app(environ: Any, start_response: Any) -> Any:
        seen.update(environ)
        return echo(environ, start_response)

    started: list[Any] = []
    environ = {"PATH_INFO": "/", "SCRIPT_NAME": "", "HTTP_X_OPENSTACK_REQUEST_ID": inbound}
    RequestId(app)(environ, lambda *arguments: started.append(arguments))
    headers = dict(started[0][1])
    assert headers["x-openstack-request-id"] == seen["openstack.request_id"]
    assert headers["x-compute-request-id"] == seen["openstack.request_id"]
    assert ("openstack.global_request_id" in seen) is kept


class Endless:
    """A chunked body without end; it must not be read without end."""

    taken = 0

    def read(self, length: int = -1) -> bytes:
        assert length >= 0
        self.taken += length
        return b"x" * length


def test_size_limit_stops_reading() -> None:
    stream = Endless()
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": stream}
    with pytest.raises(Fault) as caught:
        SizeLimit(echo, 1000)(environ, lambda *_arguments: None)
    assert caught.value.status == 413
    assert stream.taken == 1001


def test_size_limit_lets_the_largest_pass() -> None:
    def app(environ: Any, _start_response: Any) -> Any:
        return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]

    for environ in (
        {"CONTENT_LENGTH": "1000", "wsgi.input": io.BytesIO(b"x" * 1000)},
        {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(b"x" * 1000)},
    ):
        assert SizeLimit(app, 1000)(environ, None) == [b"x" * 1000]


@pytest.mark.parametrize(("template", "methods"), COMPUTE)
def test_every_route_is_found_by_its_methods_only(template: str, methods: Any) -> None:
    router = Router(COMPUTE)
    path = template.format(id="1", name="h.1", alias="x", uuid="y")
    for version in EVERY:
        for method, handler in methods.items():
            if at(handler, version) is None:
                with pytest.raises(Fault) as caught:
                    router.find(path, method, version)
                assert caught.value.status == 404
                continue
            match = router.find(path, method, version)
            assert match.handler is at(handler, version)
            assert match.template == template
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "get"} - set(methods):
        for version in (LEGACY, MAXIMUM):
            there = {name for name, handler in methods.items() if at(handler, version)}
            with pytest.raises(Fault) as caught:
                router.find(path, method, version)
            assert caught.value.status == (405 if there else 404)
            if there:
                allowed = set(caught.value.headers["Allow"].split(", "))
                assert allowed == {*there, "OPTIONS", *(["HEAD"] if "GET" in there else [])}
