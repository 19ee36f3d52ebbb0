"""The WSGI application below the middleware: finds the controller, renders its reply."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import webob

from nova_aggregates.api import serialization
from nova_aggregates.api.answers import Ready
from nova_aggregates.api.call import CONTEXT, Call, Reply
from nova_aggregates.api.deployment import Deployment
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import ECHO, LEGACY, VERSION, Version, at, version_of
from nova_aggregates.api.query import NONE
from nova_aggregates.api.router import (
    ABOUT_THE_API,
    FIRST_PARTS,
    NO_RESOURCE,
    Match,
    Router,
    Table,
    first_part,
)
from nova_aggregates.api.schemas import EXCHANGES, Exchange
from nova_aggregates.api.text import ILLEGAL

OPTIONS = Exchange("Tell which methods a path has.", {200: None})


class Application:
    """Serves one route table. Faults are raised, for the middleware ``faults`` to answer."""

    def __init__(self, deployment: Deployment, table: Table) -> None:
        self._deployment = deployment
        self._router = Router(table)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, version = environ["REQUEST_METHOD"], version_of(environ)
        project, path = _split(_path(environ), project_optional=VERSION in environ)
        if method == "OPTIONS":
            reply = Reply(None, headers={"Allow": self._router.allowed(path, version)})
            return _response(reply, OPTIONS, version, environ)(environ, start_response)
        match = self._router.find(path, method, version)
        exchange = _exchange(match, method)
        serialization.negotiate(environ, streams=exchange.streams)
        if project is not None:
            self._check_project(environ, project)
        request = webob.Request(environ)
        query = at(exchange.query, version) or NONE
        call = Call(request, match.params, self._deployment, query.read(request))
        reply = match.handler(call)
        if reply.ready is not None:
            return _send(reply.ready, environ, start_response)
        response = _response(reply, exchange, version, environ)
        if reply.keep is not None:
            reply.keep(response.headerlist, response.body)
        return response(environ, start_response)

    def _check_project(self, environ: dict[str, Any], project: str) -> None:
        context = environ[CONTEXT]
        if context.project_id == project or self._deployment.policy.is_reader(context):
            return
        raise Fault(403, f"Your credentials are not for the project {project}.")


def _path(environ: dict[str, Any]) -> str:
    try:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise Fault(400, "The path is not UTF-8.") from None
    if ILLEGAL.search(path):
        raise Fault(404, NO_RESOURCE)
    return serialization.without_suffix(environ, path) or "/"


def _split(path: str, *, project_optional: bool) -> tuple[str | None, str]:
    """The project, and the rest of the path, which the route table knows."""
    first = first_part(path)
    if path in ABOUT_THE_API or (project_optional and first in FIRST_PARTS):
        return None, path
    rest = path[len(first) + 1 :]
    if len(rest) < 2:
        raise Fault(404, NO_RESOURCE)
    return first, rest


def _exchange(match: Match, method: str) -> Exchange:
    return EXCHANGES[f"{'GET' if method == 'HEAD' else method} {match.template}"]


def _send(ready: Ready, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response(ready.status, list(ready.headers))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [ready.body]


def _response(
    reply: Reply, exchange: Exchange, version: Version, environ: dict[str, Any]
) -> webob.Response:
    if reply.stream is not None:
        # eventlet would collect 4 KiB before it sends.
        environ["eventlet.minimum_write_chunk_size"] = 0
        response = webob.Response(
            app_iter=reply.stream, content_type=serialization.EVENT_STREAM, charset=""
        )
    elif reply.document is None:
        response = webob.Response(status=reply.status, content_type=serialization.JSON)
        if version == LEGACY or reply.status != 200:
            # Since v2.1 Nova names a type even where there is nothing.
            del response.content_type
    else:
        media_type, body = serialization.render(
            reply.document, environ, exchange.answer(reply.status, version)
        )
        response = webob.Response(body, reply.status, content_type=media_type)
    response.headerlist.extend(environ.get(ECHO, ()))
    response.headers.update(reply.headers)
    return response
