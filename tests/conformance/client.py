"""A client that knows URLs and credentials, and nothing of what answers there."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.parse
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NULL = "OpaqueRef:NULL"
BOGUS = "OpaqueRef:00000000-0000-0000-0000-000000000000"
NO_UUID = "00000000-0000-0000-0000-000000000000"
ORIGINATOR = "nova-aggregates-conformance"


class Failure(Exception):
    """The ErrorDescription of a failed call."""

    def __init__(self, description: list[str]) -> None:
        super().__init__(description)
        self.description = description

    @property
    def code(self) -> str:
        return self.description[0]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _context() -> ssl.SSLContext:
    """Hosts have certificates of their own making; who they are is not asked here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Host:
    """One endpoint. ``bare`` in its address, as in HOST_IS_SLAVE: no scheme, no port."""

    url: str
    user: str
    password: str = field(repr=False)
    timeout: float = 120.0
    _kept: threading.local = field(default_factory=threading.local, repr=False)

    @property
    def address(self) -> str:
        return urllib.parse.urlsplit(self.url).hostname or ""

    def connection(self, timeout: float | None = None) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self.url)
        host, seconds = parts.hostname or "", timeout or self.timeout
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=seconds)
        return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=_context())

    def request(
        self,
        verb: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Raises OSError and http.client.HTTPException."""
        connection, fresh = self._connection(timeout)
        try:
            return self._exchange(connection, verb, path, body, headers or {})
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
            self._drop()
            if fresh:
                raise
        except (OSError, http.client.HTTPException):
            self._drop()
            raise
        connection, _ = self._connection(timeout)
        return self._exchange(connection, verb, path, body, headers or {})

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        verb: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> Answer:
        connection.request(verb, path, body, headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, found, response.read())
        if verb == "HEAD" or found.get("connection") == "close":
            self._drop()  # after HEAD a host may send a body all the same
        return answer

    def _connection(self, timeout: float | None) -> tuple[http.client.HTTPConnection, bool]:
        """This thread's connection, and whether it is new: one that was idle may be closed."""
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is not None and timeout is None:
            return kept, False
        self._drop()
        self._kept.connection = self.connection(timeout)
        return self._kept.connection, True

    def _drop(self) -> None:
        kept = getattr(self._kept, "connection", None)
        if kept is not None:
            kept.close()
        self._kept.connection = None

    def xml(self, method: str, *params: Any, path: str = "/", timeout: float | None = None) -> str:
        """The body of an answer to an XML-RPC call, as text."""
        body = xmlrpc.client.dumps(params, method, allow_none=True).encode()
        headers = {"Content-Type": "text/xml"}
        return self.request("POST", path, body, headers, timeout).text

    def call(self, method: str, *params: Any, timeout: float | None = None) -> Any:
        """The value. Raises Failure."""
        (answer,), _ = xmlrpc.client.loads(self.xml(method, *params, timeout=timeout))
        if not isinstance(answer, dict):
            return answer
        if answer["Status"] == "Success":
            return answer["Value"]
        raise Failure(answer["ErrorDescription"])

    def failure(self, method: str, *params: Any, timeout: float | None = None) -> list[str]:
        """The ErrorDescription of a call that must fail."""
        try:
            value = self.call(method, *params, timeout=timeout)
        except Failure as error:
            return error.description
        raise AssertionError(f"{method} succeeded: {value!r}")

    def json(self, request: Any, path: str = "/jsonrpc") -> Answer:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        return self.request("POST", path, body, {"Content-Type": "application/json"})

    def log_in(self, originator: str = ORIGINATOR) -> Session:
        ref = self.call("session.login_with_password", self.user, self.password, "1.0", originator)
        return Session(self, ref)

    def log_in_locally(self) -> Session:
        ref = self.call("session.slave_local_login_with_password", self.user, self.password)
        return Session(self, ref)

    def standing(self) -> str:
        """``master``, ``slave of ADDRESS``, an error code, or ``down``."""
        try:
            self.log_in().call("session.logout")
        except Failure as error:
            if error.code == "HOST_IS_SLAVE":
                return f"slave of {error.description[1]}"
            return error.code
        except (OSError, http.client.HTTPException):
            return "down"
        return "master"


@dataclass(frozen=True)
class Session:
    host: Host
    ref: str

    def call(self, method: str, *params: Any, timeout: float | None = None) -> Any:
        return self.host.call(method, self.ref, *params, timeout=timeout)

    def failure(self, method: str, *params: Any, timeout: float | None = None) -> list[str]:
        return self.host.failure(method, self.ref, *params, timeout=timeout)

    @property
    def pool(self) -> str:
        return str(self.call("pool.get_all")[0])

    @property
    def master(self) -> str:
        return str(self.call("pool.get_master", self.pool))

    def live(self, host: str) -> bool:
        metrics = self.call("host.get_metrics", host)
        return bool(self.call("host_metrics.get_live", metrics))

    def finished(self, task: str) -> dict[str, Any]:
        """The task's record once it is no longer pending."""
        token = ""
        while True:
            answer = self.call("event.from", [f"task/{task}"], token, 30.0)
            token = answer["token"]
            record: dict[str, Any] = self.call("task.get_record", task)
            if record["status"] != "pending":
                return record


@dataclass
class Site:
    """The hosts that the suite may use. ``pause`` is how long to wait between two looks."""

    hosts: list[Host]
    pause: float
    patience: float  # seconds for anything that takes a host minutes

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Until the condition holds. Calls that fail on the way count as not yet."""
        end = time.monotonic() + self.patience
        ticks = threading.Event()
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except (Failure, OSError, http.client.HTTPException):
                pass
            ticks.wait(self.pause)
        raise AssertionError(f"not within {self.patience} s: {what}")
