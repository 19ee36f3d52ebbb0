"""A request id for every request, in the log and in the answer.

oslo.middleware's own filter parses each answer again; this one only adds headers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from oslo_context.context import generate_request_id
from oslo_middleware import request_id

# The second one is Nova's own, which its clients show.
HEADERS = (request_id.HTTP_RESP_HEADER_REQUEST_ID, "x-compute-request-id")
INBOUND = "HTTP_X_OPENSTACK_REQUEST_ID"

_FORMAT = re.compile(request_id.ID_FORMAT)


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], RequestId]:
    return RequestId


class RequestId:
    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        inbound = environ.get(INBOUND, "")
        if _FORMAT.match(inbound):
            environ[request_id.GLOBAL_REQ_ID] = inbound
        own = generate_request_id()
        environ[request_id.ENV_REQUEST_ID] = own

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            named = [*headers, *((name, own) for name in HEADERS)]
            return start_response(status, named, exc_info)

        return self._application(environ, start)
