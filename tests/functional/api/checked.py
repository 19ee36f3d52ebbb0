"""Holds every answer of the service in tests against its schema, and every request that was good.

What does not fit is answered as 599 with the reason, so that the test that caused it fails.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

import jsonschema
from lxml import etree

from nova_aggregates.api.microversion import LEGACY, VERSION, Version, at
from nova_aggregates.api.router import COMPUTE, FIRST_PARTS, VERSIONS, Router, first_part
from nova_aggregates.api.schemas import EXCHANGES, Exchange, versions
from nova_aggregates.api.schemas.faults import FAULT
from nova_aggregates.api.serialization import JSON, XML, split_suffix
from nova_aggregates.api.validation import FORMATS

ROUTER, ROOT = Router(COMPUTE), Router(VERSIONS)
PREFIXES = ("/v1.1", "/v2.1", "/v2")
FOR_MACHINES = ("/healthcheck", "/metrics")  # no part of the API


class Checked:
    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, sent = environ["PATH_INFO"], _body(environ)
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            begun[:] = [(status, headers)]
            return lambda _data: None

        answer = self._application(environ, start)
        status, headers = begun[0]
        kind = {name.lower(): value for name, value in headers}.get("content-type", "")
        if kind.startswith("text/event-stream") or path.startswith(FOR_MACHINES):
            start_response(status, headers)
            return answer
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        try:
            _check(environ, path, sent, int(status[:3]), kind, body)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the test
            reason = f"{environ['REQUEST_METHOD']} {path} {status}: {error!r}\n{body!r}".encode()
            start_response("599 Against The Schema", [("Content-Type", "text/plain")])
            return [reason]
        start_response(status, headers)
        return [body]


def _body(environ: dict[str, Any]) -> bytes:
    """The body of the request, which the application may read as well."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or not 0 < int(length) < 200000:
        return b""
    try:
        raw = environ["wsgi.input"].read(int(length))
    except (OSError, ValueError):
        return b""
    environ["wsgi.input"] = io.BytesIO(raw)
    return raw


def _check(
    environ: dict[str, Any], path: str, sent: bytes, status: int, kind: str, body: bytes
) -> None:
    if environ["REQUEST_METHOD"] == "HEAD" or status in (204, 304):
        assert not body
        return
    if kind.startswith(XML):
        etree.fromstring(body)
        return
    if status >= 400:
        assert kind == JSON
        _fits(json.loads(body), FAULT)
        return
    if environ["REQUEST_METHOD"] == "OPTIONS":
        assert not body
        return
    version = environ.get(VERSION, LEGACY)
    exchange = _exchange(environ["REQUEST_METHOD"], path, version)
    schema = at(exchange.answers[status], version)  # type: ignore[type-var]
    if schema is None:
        assert not body, "a body where the schemas have none"
    else:
        _fits(json.loads(body), schema)
    if sent and exchange.body is not None and environ.get("CONTENT_TYPE", "").startswith(JSON):
        validator = at(exchange.body, version)
        assert validator is not None, "a body was read that the version does not have"
        validator.check(json.loads(sent))


def _exchange(method: str, path: str, version: Version) -> Exchange:
    prefix = next((each for each in PREFIXES if path.startswith(each)), None)
    if prefix is None:
        ROOT.find(path or "/", method, version)
        return Exchange("List the versions.", {200: versions.INDEX})
    path = path[len(prefix) :] or "/"
    if version == LEGACY:
        path = split_suffix(path)[0] or "/"
    first = first_part(path)
    if path != "/" and (version == LEGACY or first not in FIRST_PARTS):
        path = path[len(first) + 1 :]
    path = path.encode("latin-1").decode("utf-8")
    return EXCHANGES[f"{method} {ROUTER.find(path, method, version).template}"]


def _fits(document: Any, schema: Any) -> None:
    validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    assert not errors, "; ".join(errors)
