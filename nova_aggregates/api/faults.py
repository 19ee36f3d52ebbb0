"""What a caller is told when a request fails: contract of Compute API v1.1.

``{"<name>": {"code": N, "message": "..."}}``, and the same in XML with ``code`` as an attribute
(nova/api/openstack/wsgi.py at tag 2012.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import webob.exc

from nova_aggregates import exceptions
from nova_aggregates.api.text import printable

NAMES: Mapping[int, str] = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    422: "unprocessableEntity",
    501: "notImplemented",
    503: "serviceUnavailable",
}
OTHER_NAME = "computeFault"

STATUS: Mapping[type[Exception], int] = {
    exceptions.AggregateNotFound: 404,
    exceptions.AggregateChanged: 412,
    exceptions.AggregateNameTaken: 409,
    exceptions.AggregateNotEmpty: 400,  # so Nova, from the first release to the last
    exceptions.AggregateKindFixed: 409,
    exceptions.ZoneUnknown: 409,
    exceptions.ZoneChangeRefused: 409,
    exceptions.ZoneRequired: 400,
    exceptions.HostNotFound: 404,
    exceptions.HostExists: 409,
    exceptions.HostInUse: 409,
    exceptions.HostBusy: 409,
    exceptions.HostInThisAggregate: 409,
    exceptions.HostInAnotherAggregate: 409,
    exceptions.HostNotInAggregate: 404,
    exceptions.HostZoneMismatch: 409,
    exceptions.ServiceNotFound: 404,
    exceptions.HypervisorNotFound: 404,
    exceptions.HypervisorNoMatch: 404,
    exceptions.MarkerNotFound: 400,
    exceptions.HostDown: 400,  # so Nova, when it cannot ask a hypervisor
    exceptions.AddressForbidden: 400,
    exceptions.OperationNotFound: 404,
    exceptions.OperationCannotBeCancelled: 409,
    exceptions.OperationCannotBeRetried: 409,
    exceptions.OperationCannotBeAbandoned: 409,
    exceptions.HoldingsNotEmpty: 409,
    exceptions.HostInNoPool: 409,
    exceptions.HostNotInMaintenance: 409,
    exceptions.HostGoalContradictory: 409,
    exceptions.AggregateHasNoPool: 409,
    exceptions.OperationCannotBeSteered: 409,
    exceptions.OperationCannotBeStarted: 409,
    exceptions.MasterUnfit: 409,
    exceptions.AggregateBusy: 409,
    exceptions.IdempotencyKeyReused: 422,
    exceptions.DatabaseUnavailable: 503,
    exceptions.SchemaMismatch: 503,
    exceptions.LockServiceUnavailable: 503,
}

# Answers of libraries carry texts of their own, often HTML; the caller gets these instead.
FOREIGN_MESSAGES: Mapping[int, str] = {
    400: "The request is malformed.",
    401: "This request needs valid credentials.",
    403: "You are not allowed to do this.",
    404: "There is no resource at this path.",
    408: "The request did not arrive in time.",
    413: "The request body is too large.",
    503: "A service that this request needs does not answer. Try again later.",
}
FOREIGN_HEADERS = frozenset({"allow", "retry-after", "www-authenticate"})


class Fault(Exception):
    """An answer with an HTTP error status, raised anywhere below the middleware ``faults``."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    @property
    def document(self) -> dict[str, Any]:
        detail: dict[str, Any] = {"code": self.status, "message": printable(self.message)}
        if self.status == 413:
            detail["retryAfter"] = int(self.headers.setdefault("Retry-After", "0"))
        return {NAMES.get(self.status, OTHER_NAME): detail}


def fault_of(error: Exception, request_id: str) -> Fault:
    """The fault for an exception; anything that is not in the table is a defect of ours (500)."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, webob.exc.HTTPException):
        return foreign_fault(error.status_int, list(error.headers.items()))
    for fact in type(error).__mro__:
        if fact in STATUS:
            return Fault(STATUS[fact], str(error), _retry_header(error))
    return Fault(
        500,
        "The service met an error of its own. Its log has the details under the request id "
        f"{request_id}.",
    )


def foreign_fault(status: int, headers: list[tuple[str, str]]) -> Fault:
    """The fault for an error answer that a library made."""
    message = FOREIGN_MESSAGES.get(status, "The request could not be served.")
    kept = {name: value for name, value in headers if name.lower() in FOREIGN_HEADERS}
    return Fault(status, message, kept)


def _retry_header(error: Exception) -> dict[str, str]:
    values = getattr(error, "values", {})
    if "retry_after" not in values:
        return {}
    return {"Retry-After": str(int(values["retry_after"]))}
