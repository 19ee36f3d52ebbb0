"""Which microversion a request below /v2.1 asks for; everything below this filter knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nova_aggregates.api import microversion


def filter_factory(
    _global_conf: dict[str, str], **_local_conf: str
) -> Callable[[Any], Microversion]:
    return Microversion


class Microversion:
    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        microversion.negotiate(environ)
        return self._application(environ, start_response)
