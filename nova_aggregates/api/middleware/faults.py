"""Every error becomes the fault body of the contract, whoever raised or answered it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import webob
from oslo_log import log

from nova_aggregates.api import serialization
from nova_aggregates.api.faults import Fault, fault_of, foreign_fault
from nova_aggregates.api.microversion import ECHO
from nova_aggregates.api.schemas.faults import FAULT
from nova_aggregates.api.text import printable

LOG = log.getLogger(__name__)


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], Faults]:
    return Faults


class Faults:
    """Everything below it may raise; error answers of libraries below it are put in our words."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        foreign: list[Fault] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            code = int(status[:3])
            if code < 400:
                return start_response(status, headers, exc_info)
            foreign.append(foreign_fault(code, headers))
            return _discard

        try:
            body = self._application(environ, start)
            if not foreign:
                return body
            if hasattr(body, "close"):
                body.close()
            fault = foreign[-1]
        except Exception as error:  # noqa: BLE001 - the last place that can answer
            fault = fault_of(error, environ.get("openstack.request_id", "-"))
            _log(fault, error, environ)
        return _response(fault, environ)(environ, start_response)


def _response(fault: Fault, environ: dict[str, Any]) -> webob.Response:
    media_type, body = serialization.render(fault.document, environ, FAULT)
    response = webob.Response(body, fault.status, content_type=media_type)
    response.headerlist.extend(environ.get(ECHO, ()))
    response.headers.update(fault.headers)
    return response


def _log(fault: Fault, error: Exception, environ: dict[str, Any]) -> None:
    if fault.status >= 500:
        request = f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"
        # The caller can do nothing about a defect of ours, so the log needs all of it.
        exc_info = error if fault.status == 500 else None
        LOG.error("request failed: %s: %s", request, printable(str(error)), exc_info=exc_info)


def _discard(_data: bytes) -> None:
    """PEP 3333 wants a write function; the text of a foreign error is not for our callers."""
