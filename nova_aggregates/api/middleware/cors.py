"""Requests that browsers send from other origins, as [cors] allowed_origin allows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oslo_middleware import cors

from nova_aggregates.api.deployment import current
from nova_aggregates.api.microversion import HEADER, LEGACY_HEADER

ASKED = ("X-Auth-Token", "X-OpenStack-Request-ID", HEADER, LEGACY_HEADER, "Idempotency-Key")
CONDITIONS = ("If-Match", "If-None-Match", "Last-Event-ID")
TOLD = (
    "X-OpenStack-Request-ID",
    "X-Compute-Request-ID",
    "X-Operation-Id",
    "X-Last-Seen",
    HEADER,
    LEGACY_HEADER,
    "ETag",
    "Retry-After",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], Any]:
    return _wrap


def _wrap(application: Any) -> Any:
    conf = current().conf
    cors.set_defaults(
        allow_headers=[*ASKED, *CONDITIONS], expose_headers=list(TOLD), allow_methods=list(METHODS)
    )
    middleware = cors.CORS(application, conf)
    # It would parse every answer.
    return middleware if conf.cors.allowed_origin else application
