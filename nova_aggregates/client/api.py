"""The service's resources, for the commands."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from nova_aggregates.client.errors import ClientError, Refused

RECONNECTS = 3
PAGE = 1000
OPERATION_HEADER = "X-Operation-Id"


class Answer:
    """A document, and the operation (its uuid) that makes it true."""

    def __init__(self, document: Any, operation: str | None, status: int) -> None:
        self.document = document
        self.operation = operation
        self.status = status


class Api:
    """:param adapter: of keystoneauth1; paths begin at the project's root.

    Its methods raise Refused for an error answer, and what keystoneauth1 raises.
    """

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        tail = f"?{urlencode(given)}" if given else ""
        return self._send("GET", path + tail).document

    def send(self, method: str, path: str, body: Any = None, *, once: bool = True) -> Answer:
        """A change.

        :param once: the resource knows the header Idempotency-Key, so that the request is sent
            again when its answer is lost.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4())} if once else {}
        return self._send(method, path, body, headers, reconnects=RECONNECTS if once else 0)

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        reconnects: int = RECONNECTS,
    ) -> Answer:
        arguments = {"json": body} if body is not None else {}
        response = self._adapter.request(
            path,
            method,
            headers={"Accept": "application/json", **(headers or {})},
            connect_retries=reconnects,
            **arguments,
        )
        if response.status_code >= 400:
            request_id = response.headers.get("x-openstack-request-id")
            raise Refused(response.status_code, response.text, request_id)
        operation = response.headers.get(OPERATION_HEADER)
        if not response.text:
            return Answer(None, operation, response.status_code)
        try:
            return Answer(response.json(), operation, response.status_code)
        except ValueError:
            raise ClientError(
                "What answered is not this service: check the endpoint (--os-endpoint)."
            ) from None

    def aggregates(self, zone: str | None = None) -> list[dict[str, Any]]:
        return self.get("/os-aggregates", availability_zone=zone)["aggregates"]

    def aggregate(self, name: str) -> dict[str, Any]:
        """The aggregate with this id or name; an id is tried first.

        :raises ClientError: there is none.
        """
        known = self.aggregates()
        for key in ("id", "name"):
            for each in known:
                if str(each[key]) == name:
                    return each
        raise ClientError(
            f"There is no aggregate with the id or name {name}: aggregate-list shows them."
        )

    def act(self, aggregate: dict[str, Any], action: str, arguments: dict[str, Any]) -> Answer:
        return self.send("POST", f"/os-aggregates/{aggregate['id']}/action", {action: arguments})

    def host_path(self, name: str, tail: str = "") -> str:
        return f"/os-hosts/{quote(name, safe='')}{tail}"

    def operation(self, name: str) -> dict[str, Any]:
        return self.get(f"/os-operations/{quote(name, safe='')}")["operation"]

    def operations(self, path: str, limit: int, **filters: Any) -> Iterator[dict[str, Any]]:
        """Operations, newest first, page by page."""
        marker = None
        while limit > 0:
            size = min(limit, PAGE)
            page = self.get(path, limit=size, marker=marker, **filters)["operations"]
            yield from page
            if len(page) < size:
                return
            limit -= size
            marker = page[-1]["uuid"]
