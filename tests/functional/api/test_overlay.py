"""The service as a filter over somebody else's application, loaded by PasteDeploy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import webob
from oslo_context.context import RequestContext
from paste import deploy

from nova_aggregates.exceptions import ConfigurationInvalid
from tests.functional.api.running import configuration

PASTE = """
[pipeline:main]
pipeline = authentication overlay theirs

[filter:authentication]
paste.filter_factory = {module}:authentication_factory

[filter:overlay]
use = egg:nova-aggregates#overlay
config_files = {configuration}
{options}

[app:theirs]
paste.app_factory = {module}:theirs_factory
"""


def authentication_factory(_global_conf: Any, **_local_conf: str) -> Any:
    """What the pipeline's own filters leave behind, by the token."""

    def wrap(application: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            token = environ.get("HTTP_X_AUTH_TOKEN")
            environ["SCRIPT_NAME"] = "/compute"
            if token == "keystone":
                environ["keystone.token_auth"] = object()
                environ["HTTP_X_USER_ID"] = environ["HTTP_X_PROJECT_ID"] = "jane"
                environ["HTTP_X_ROLES"] = "admin"
            elif token == "nova":
                environ["nova.context"] = RequestContext(user_id="joe", roles=["member"])
            return application(environ, start_response)

        return call

    return wrap


def theirs_factory(_global_conf: Any, **_local_conf: str) -> Any:
    def theirs(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"theirs {environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()]

    return theirs


def pipeline(tmp_path: Path, options: str = "") -> Any:
    paste = tmp_path / "paste.ini"
    text = PASTE.format(module=__name__, configuration=configuration(tmp_path), options=options)
    paste.write_text(text, encoding="utf-8")
    return deploy.loadapp(f"config:{paste}")


def ask(app: Any, method: str, path: str, body: Any = None, **headers: str) -> webob.Response:
    request = webob.Request.blank(path, method=method, headers={"X-Auth-Token": "keystone"})
    request.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    if body is not None:
        request.json = body
    return request.get_response(app)


@pytest.fixture
def app(tmp_path: Path) -> Any:
    return pipeline(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/servers",
        "/jane/servers/os-aggregates",
        "/jane",
        "/extensions",
        "/jane/extensions/os-aggregates",
        "/os-aggregatesx",
        "/os-keypairs",
        "/jane/os-aggregates.xml",
    ],
)
def test_the_rest_goes_on_as_it_came(app: Any, path: str) -> None:
    assert ask(app, "PATCH", path).text == f"theirs PATCH {path}"


def test_our_paths_are_ours(app: Any) -> None:
    created = ask(app, "POST", "/os-aggregates", {"aggregate": {"name": "blue"}})
    assert created.status_int == 200, created.text
    assert created.json["aggregate"]["name"] == "blue"
    assert created.headers["X-OpenStack-Nova-API-Version"] == "2.1"
    assert created.headers["X-Compute-Request-Id"].startswith("req-")
    for path in ("/os-aggregates", "/jane/os-aggregates"):
        listed = ask(app, "GET", path, OpenStack_API_Version="compute 2.41").json["aggregates"]
        assert [aggregate["name"] for aggregate in listed] == ["blue"]
        assert "uuid" in listed[0]
    assert list(ask(app, "GET", "/os-aggregates/77").json) == ["itemNotFound"]
    assert list(ask(app, "PATCH", "/os-aggregates").json) == ["badMethod"]
    assert ask(app, "GET", "/jane/os-operations").json == {"operations": []}


def test_who_asks_is_known_by_the_pipeline_only(app: Any) -> None:
    forged = {"X_Roles": "admin", "X_User_Id": "mallory", "X_Project_Id": "mallory"}
    assert ask(app, "GET", "/os-aggregates", X_Auth_Token="x", **forged).status_int == 401
    assert ask(app, "GET", "/os-aggregates", X_Auth_Token="nova", **forged).status_int == 403


def test_over_the_old_api(tmp_path: Path) -> None:
    app = pipeline(tmp_path, "version = 1.1")
    for path in ("/jane/os-aggregates.xml", "/jane/os-aggregates"):
        answer = ask(app, "GET", path, Accept="application/xml")
        assert answer.content_type == "application/xml"
        assert answer.text.endswith("<aggregates/>")
    # There a path has a project.
    assert ask(app, "GET", "/os-aggregates").text == "theirs GET /os-aggregates"


def test_less_may_be_ours(tmp_path: Path) -> None:
    app = pipeline(tmp_path, "paths = os-aggregates os-operations")
    assert ask(app, "GET", "/os-hosts").text == "theirs GET /os-hosts"
    assert ask(app, "GET", "/os-aggregates").json == {"aggregates": []}


@pytest.mark.parametrize("options", ["version = 3", "paths = os-aggregates os-nothing"])
def test_options_that_cannot_be_used(tmp_path: Path, options: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        pipeline(tmp_path, options)
