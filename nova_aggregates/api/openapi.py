"""The OpenAPI 3.1 document of one version, made of the route table and EXCHANGES."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.microversion import (
    HEADER,
    LEGACY,
    MAXIMUM,
    MINIMUM,
    SERVICE_TYPE,
    Version,
    at,
)
from nova_aggregates.api.query import NONE
from nova_aggregates.api.schemas import EXCHANGES, Exchange
from nova_aggregates.api.schemas.faults import FAULT
from nova_aggregates.api.serialization import EVENT_STREAM, FORMAT, JSON, XML

# Whatever the table of a router is; it has this module's handler in it.
Table = Sequence[tuple[str, Mapping[str, Any]]]

OPENAPI = "3.1.0"
DESCRIPTION = (
    "Host aggregates that are XenServer resource pools. Requests that change a pool are answered "
    "at once; the header X-Operation-Id names the operation that does the work."
)
CHANGING = ("POST", "PUT", "DELETE")
TOKEN = "token"  # noqa: S105 - a name
FAULT_REFERENCE = {"$ref": "#/components/responses/Fault"}

Document = dict[str, Any]

_PARAMETER = re.compile(r"{(\w+)}")


def describing(table: Table) -> Callable[[Call], Reply]:
    """The handler that answers with the document of ``table`` in the version asked for."""

    def handler(call: Call) -> Reply:
        # A description has no XML.
        call.request.environ[FORMAT] = JSON

        def build() -> Reply:
            servers = [{"url": call.request.application_url}]
            return Reply({**document(table, call.version), "servers": servers})

        return call.unless_unchanged(lambda: 0, build)

    return handler


def document(table: Table, version: Version) -> Document:
    """Without ``servers``, which depend on the request."""
    paths: dict[str, dict[str, Any]] = {}
    for template, methods in table:
        path = template if template == "/" or version > LEGACY else "/{project}" + template
        for method, handler in methods.items():
            if at(handler, version) is not None:
                exchange = EXCHANGES[f"{method} {template}"]
                operation = _operation(method, path, exchange, version)
                paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "nova-aggregates",
            "version": str(version),
            "description": DESCRIPTION,
        },
        "paths": paths,
        "components": {
            "responses": {
                "Fault": {
                    "description": "What is wrong, and what can be done about it.",
                    "content": _content(FAULT, version),
                }
            },
            "securitySchemes": {
                TOKEN: {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            },
        },
        "security": [{TOKEN: []}],
    }


def _operation(method: str, path: str, exchange: Exchange, version: Version) -> Document:
    operation: Document = {
        "operationId": _operation_id(method, path),
        "summary": exchange.summary,
        "tags": [path.removeprefix("/{project}").split("/")[1] or "versions"],
        "parameters": _parameters(method, path, exchange, version),
        "responses": {
            **{str(status): _response(exchange, status, version) for status in exchange.answers},
            "default": FAULT_REFERENCE,
        },
    }
    body = at(exchange.body, version) if exchange.body else None
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _content(body.schema, version)}
    return operation


def _operation_id(method: str, path: str) -> str:
    words = [method.lower(), *re.findall(r"\w+", path.removeprefix("/{project}"))]
    return "_".join(words) if len(words) > 1 else f"{words[0]}_version"


def _response(exchange: Exchange, status: int, version: Version) -> Document:
    response: Document = {"description": exchange.summary}
    if exchange.streams:
        response["content"] = {EVENT_STREAM: {"schema": {"type": "string"}}}
    elif exchange.answers[status] is not None:
        response["content"] = _content(exchange.answer(status, version), version)
    return response


def _content(schema: Mapping[str, Any], version: Version) -> Document:
    formats = (JSON, XML) if version == LEGACY else (JSON,)
    return {media_type: {"schema": dict(schema)} for media_type in formats}


def _parameters(method: str, path: str, exchange: Exchange, version: Version) -> list[Document]:
    query = at(exchange.query, version) or NONE
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]
    found += [
        {"name": name, "in": "query", "schema": schema} for name, schema in query.parameters.items()
    ]
    if version > LEGACY:
        found.append(_header(HEADER, f"{SERVICE_TYPE} 2.N, from {MINIMUM} to {MAXIMUM}"))
    if method in CHANGING:
        found.append(_header("Idempotency-Key", "the same key with the same body acts once"))
    if method in CHANGING and "/os-aggregates/{id}" in path:
        found.append(_header("If-Match", "the ETag of the aggregate as it was read"))
    return found


def _header(name: str, description: str) -> Document:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
