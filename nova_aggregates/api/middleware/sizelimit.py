"""Bounds the request body, so that everything below reads it whole and knows its length."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

from nova_aggregates.api.deployment import current
from nova_aggregates.api.faults import Fault


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], SizeLimit]:
    limit = current().conf.api.max_body_bytes
    return lambda application: SizeLimit(application, limit)


class SizeLimit:
    """:param limit: the largest body, in bytes."""

    def __init__(self, application: Any, limit: int) -> None:
        self._application = application
        self._limit = limit

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH")
        if length:
            self._check(_number(length))
        elif "HTTP_TRANSFER_ENCODING" in environ:
            self._collect(environ)
        return self._application(environ, start_response)

    def _collect(self, environ: dict[str, Any]) -> None:
        """A chunked body says its length at the end only."""
        try:
            raw = environ["wsgi.input"].read(self._limit + 1)
        except (OSError, ValueError):
            raise Fault(400, "The chunks of the body are malformed or ended early.") from None
        self._check(len(raw))
        environ["wsgi.input"] = io.BytesIO(raw)
        environ["CONTENT_LENGTH"] = str(len(raw))

    def _check(self, length: int) -> None:
        if length > self._limit:
            raise Fault(413, f"The body is too large: at most {self._limit} bytes.")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Fault(400, "Content-Length is no number.")
    return int(text)
