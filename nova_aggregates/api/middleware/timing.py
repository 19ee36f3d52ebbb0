"""Times every request for /metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from nova_aggregates import metrics
from nova_aggregates.api import router

# The label is one of these, so that no caller can make up new ones.
RESOURCES = frozenset(
    part
    for template, _ in router.COMPUTE
    for part in template.split("/")
    if part and not part.startswith("{")
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
OTHER = "other"


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], Timing]:
    return Timing


class Timing:
    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        since = time.perf_counter()
        method = environ["REQUEST_METHOD"]
        labels = (method if method in METHODS else OTHER, _resource(environ["PATH_INFO"]))

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            seconds = time.perf_counter() - since
            metrics.REQUESTS.labels(*labels, status[:3]).observe(seconds)
            return start_response(status, headers, exc_info)

        return self._application(environ, start)


def _resource(path: str) -> str:
    return next((part for part in path.split("/")[1:4] if part in RESOURCES), OTHER)
