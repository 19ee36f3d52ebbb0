"""The application in this process, with managers that stand in for the real ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import webob
from oslo_config import cfg
from oslo_context.context import RequestContext

from nova_aggregates import conf as options
from nova_aggregates.api import wsgi
from nova_aggregates.api.answers import Answers
from nova_aggregates.api.deployment import Deployment
from nova_aggregates.api.feed import Feed
from nova_aggregates.api.policies import Policy

MEMBER = RequestContext(user_id="jane", project_id="demo", roles=["member"])


class Raising:
    """A manager all of whose methods raise the same exception."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def method(*_arguments: Any, **_options: Any) -> Any:
            raise self._error

        return method


def configuration(folder: Path, **sections: dict[str, Any]) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.register(conf)
    content = {"auth": {"strategy": "noauth"}, **sections}
    lines = []
    for name, values in content.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
    path = folder / "unit.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    conf([], project="nova-aggregates", default_config_files=[str(path)])
    return conf


def deployment(conf: cfg.ConfigOpts, error: BaseException) -> Deployment:
    manager: Any = Raising(error)
    parts = dict.fromkeys((field.name for field in dataclasses.fields(Deployment)), manager)
    parts |= {
        "conf": conf,
        "policy": Policy(conf),
        "feed": Feed(manager, most_readers=2),
        "answers": Answers(0),
    }
    return Deployment(**parts)


def application(folder: Path, error: BaseException, **sections: dict[str, Any]) -> Any:
    return wsgi.load(deployment(configuration(folder, **sections), error))


def ask(app: Any, method: str, path: str, body: Any = None, **headers: str) -> webob.Response:
    request = webob.Request.blank(path, method=method, headers={"X-Auth-Token": "a:demo"})
    request.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    if body is not None:
        request.json = body
        request.content_type = "application/json"
    return request.get_response(app)
