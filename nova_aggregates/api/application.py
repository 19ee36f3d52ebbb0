"""The WSGI application below the middleware: finds the controller, renders its reply."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import webob

from nova_aggregates.api import serialization
from nova_aggregates.api.call import CONTEXT, Call, Reply
from nova_aggregates.api.deployment import Deployment
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.router import Router, Table
from nova_aggregates.api.text import ILLEGAL

EVENT_STREAM = "text/event-stream"


class Application:
    """Serves one route table. Faults are raised, for the middleware ``faults`` to answer."""

    def __init__(self, deployment: Deployment, table: Table) -> None:
        self._deployment = deployment
        self._router = Router(table)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        handler, params = self._router.find(_path(environ), environ["REQUEST_METHOD"])
        call = Call(webob.Request(environ), params, self._deployment)
        if "project" in params:
            self._check_project(environ, params["project"])
        return _response(handler(call), environ)(environ, start_response)

    def _check_project(self, environ: dict[str, Any], project: str) -> None:
        context = environ[CONTEXT]
        if context.project_id == project or self._deployment.policy.is_admin(context):
            return
        raise Fault(403, f"Your credentials are not for the project {project}.")


def _path(environ: dict[str, Any]) -> str:
    try:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise Fault(400, "The path is not UTF-8.") from None
    if ILLEGAL.search(path):
        raise Fault(404, "There is no resource at this path.")
    return serialization.split_suffix(path)[0] or "/"


def _response(reply: Reply, environ: dict[str, Any]) -> webob.Response:
    if reply.stream is not None:
        # eventlet would collect 4 KiB before it sends.
        environ["eventlet.minimum_write_chunk_size"] = 0
        response = webob.Response(app_iter=reply.stream, content_type=EVENT_STREAM, charset="")
    elif reply.document is None:
        response = webob.Response(status=reply.status)
        del response.content_type
    else:
        media_type, body = serialization.render(reply.document, environ)
        response = webob.Response(body, reply.status, content_type=media_type)
    response.headers.update(reply.headers)
    return response
