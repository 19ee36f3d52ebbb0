"""The headers Forwarded and X-Forwarded-*, when [oslo_middleware] enable_proxy_headers_parsing
says that a proxy in front of us overwrites them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oslo_middleware import HTTPProxyToWSGI

from nova_aggregates.api.deployment import current


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], Any]:
    return _wrap


def _wrap(application: Any) -> Any:
    conf = current().conf
    middleware = HTTPProxyToWSGI(application, conf)
    # It would ask its option at each request.
    return middleware if conf.oslo_middleware.enable_proxy_headers_parsing else application
