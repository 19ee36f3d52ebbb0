"""/healthcheck: whether this process lives, and whether it can serve, with the reasons.

``/healthcheck/live`` is for whoever restarts processes, ``/healthcheck/ready`` (and
``/healthcheck``) for whoever sends it requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import webob

from nova_aggregates.api.deployment import Deployment, current
from nova_aggregates.api.faults import Fault
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import NovaAggregatesError

JSON = "application/json"


def app_factory(_global_conf: dict[str, str], **_local_conf: str) -> Health:
    """paste.app_factory."""
    return Health(current())


class Health:
    def __init__(self, deployment: Deployment) -> None:
        self._checks: dict[str, Callable[[], Any]] = {
            "database": deployment.statistics.check,
            "credentials": lambda: SecretBox(deployment.conf.credentials.key_file),
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self._response(environ)(environ, start_response)

    def _response(self, environ: dict[str, Any]) -> webob.Response:
        """Not raised as a fault: the middleware for these puts every 503 in its own words."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _fault(Fault(405, "Only GET and HEAD are allowed here.", {"Allow": "GET, HEAD"}))
        path = environ["PATH_INFO"].rstrip("/")
        if path not in ("", "/live", "/ready"):
            return _fault(Fault(404, "There is no resource at this path."))
        reasons = [] if path == "/live" else list(self._reasons())
        response = webob.Response(
            json_body={"healthy": not reasons, "reasons": reasons}, content_type=JSON
        )
        response.status_int = 503 if reasons else 200
        response.headers["Cache-Control"] = "no-store"
        return response

    def _reasons(self) -> Iterable[dict[str, str]]:
        for name, check in self._checks.items():
            try:
                check()
            except NovaAggregatesError as fact:
                yield {"check": name, "reason": str(fact)}


def _fault(fault: Fault) -> webob.Response:
    response = webob.Response(json_body=fault.document, content_type=JSON)
    response.status_int = fault.status
    response.headers.update(fault.headers)
    return response
