"""Errors that end a command with one line and an exit code."""

from __future__ import annotations

import json
from typing import Any

from nova_aggregates.client.exits import Exit


class ClientError(Exception):
    """:param message: one line that says what happened and what to do."""

    code = Exit.REFUSED

    def __init__(self, message: str, code: Exit | None = None) -> None:
        super().__init__(" ".join(message.split()))
        if code is not None:
            self.code = code


class Refused(ClientError):
    """The service answered with an error."""

    def __init__(self, status: int, text: str, request_id: str | None) -> None:
        self.status = status
        code = Exit.UNREACHABLE if status in (401, 407) else Exit.REFUSED
        where = f" (HTTP {status}, request {request_id})" if request_id else f" (HTTP {status})"
        super().__init__(_fault_message(status, text) + where, code)


def _fault_message(status: int, text: str) -> str:
    """The message of a fault document, or what else there is to say."""
    try:
        document: Any = json.loads(text)
        return str(next(iter(document.values()))["message"])
    except (ValueError, AttributeError, StopIteration, TypeError, KeyError):
        return {
            401: "The log-in was refused: check the user, the password or the token.",
            404: "The service has no such resource: check the endpoint and its version.",
        }.get(status, "The service answered with an error and no explanation: see its log.")


def from_library(error: Exception) -> ClientError | None:
    """The one line for an exception of keystoneauth1; None for any other exception."""
    from keystoneauth1 import exceptions

    for kinds, cure in (
        (
            (exceptions.Unauthorized,),
            "check the user name, the password or the token, the project and the domains.",
        ),
        ((exceptions.SSLError,), "name the authority's certificate with --os-cacert."),
        (
            (exceptions.ConnectionError, exceptions.DiscoveryFailure),
            "check the address, and that the service runs.",
        ),
        (
            (exceptions.EndpointNotFound, exceptions.EmptyCatalog),
            "check --os-service-type, --os-interface and --os-region-name, or give --os-endpoint.",
        ),
        (
            (exceptions.AuthPluginException, exceptions.NoMatchingPlugin),
            "check the --os-auth options, the OS_* variables or clouds.yaml.",
        ),
        ((exceptions.ClientException,), "see the log of the identity service."),
    ):
        if isinstance(error, kinds):
            # Behind this the HTTP library's own words for the same begin.
            what = str(error).split(": HTTP")[0].rstrip(".")
            return ClientError(f"{what}: {cure}", Exit.UNREACHABLE)
    return None
