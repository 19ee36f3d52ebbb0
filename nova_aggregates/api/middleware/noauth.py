"""The strategy ``noauth``: whoever reaches the port is an administrator.

The token is ``user:project``; clients of 2012 get it by the handshake of
nova/api/openstack/auth.py at tag 2012.1, those without authentication send ``notused``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import webob

from nova_aggregates.api.call import CONTEXT
from nova_aggregates.api.deployment import current
from nova_aggregates.api.middleware.context import OPEN_PATHS, admin_context, project_in_path
from nova_aggregates.api.text import ILLEGAL
from nova_aggregates.exceptions import ConfigurationInvalid

NO_TOKEN = "notused"  # noqa: S105
DEFAULT_NAME = "admin"
# One of these makes a request without a token a handshake at the root, too.
LOGIN_HEADERS = ("HTTP_X_AUTH_USER", "HTTP_X_AUTH_KEY", "HTTP_X_AUTH_PROJECT_ID")


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], NoAuth]:
    """:raises ConfigurationInvalid: the server would listen beyond this machine."""
    host = str(current().conf.api.host)
    if not is_loopback(host):
        raise ConfigurationInvalid(
            what=f"[auth] strategy is noauth, but [api] host is {host}, which other machines reach",
            cure="set [api] host to 127.0.0.1, or [auth] strategy to keystone or http_basic.",
        )
    return NoAuth


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class NoAuth:
    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        token = environ.get("HTTP_X_AUTH_TOKEN")
        if not token and _asks_for_the_version(environ):
            return self._application(environ, start_response)
        if not token:
            return _handshake(environ)(environ, start_response)
        user, _, project = token.partition(":")
        if token == NO_TOKEN:
            user, project = DEFAULT_NAME, project_in_path(environ)
        environ[CONTEXT] = admin_context(environ, user, project or user)
        return self._application(environ, start_response)


def _asks_for_the_version(environ: dict[str, Any]) -> bool:
    return (
        environ["PATH_INFO"] in OPEN_PATHS
        and environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and not any(name in environ for name in LOGIN_HEADERS)
    )


def _handshake(environ: dict[str, Any]) -> webob.Response:
    user = ILLEGAL.sub("?", environ.get("HTTP_X_AUTH_USER", DEFAULT_NAME))
    project = ILLEGAL.sub("?", environ.get("HTTP_X_AUTH_PROJECT_ID", DEFAULT_NAME))
    root = webob.Request(environ).application_url.rstrip("/")
    response = webob.Response(status=204)
    del response.content_type
    response.headers["X-Auth-Token"] = f"{user}:{project}"
    # Headers are bytes read as latin-1 (PEP 3333); in a URL they are quoted.
    path = quote(project.encode("latin-1"), safe="")
    response.headers["X-Server-Management-Url"] = f"{root}/{path}"
    return response
