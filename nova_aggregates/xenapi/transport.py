"""The transport under the SDK's session: one HTTPS connection, time limits, no resend.

The transport of the standard library (CPython ``Lib/xmlrpc/client.py``) sends a request again
when the connection breaks before the answer, which runs a call such as pool.join twice. This one
sends once and says how far it came; whether a call may be repeated is for the caller to decide.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import io
import socket
import ssl
import time
import xml.parsers.expat
import xmlrpc.client
from collections.abc import Callable
from typing import Any

from nova_aggregates.xenapi.errors import CertificateRefused
from nova_aggregates.xenapi.types import Endpoint, Timeouts, Trust

# The records of all guests of a big pool are the largest answers: some 10 kB each.
ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
# A connection that was idle for longer is not reused: firewalls drop such without a word.
IDLE_LIMIT_SECONDS = 30.0

_HEADERS_ALLOWANCE_BYTES = 64 * 1024
_NOT_XMLRPC = (
    xml.parsers.expat.ExpatError,
    xmlrpc.client.ResponseError,
    xmlrpc.client.Fault,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)


# Whether this peer (an IP address) may be talked to; a name may lead elsewhere today than it did
# when it was registered.
permitted: Callable[[str], bool] = lambda _address: True  # noqa: E731 - replaced by the process


class ConnectFailed(Exception):
    """No connection: nothing was sent."""


class ExchangeFailed(Exception):
    """The request was sent, wholly or in part, and no whole answer came."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class AnswerUnusable(Exception):
    """A whole answer came and it is not XML-RPC."""


class _AnswerTooLarge(Exception):
    pass


class Transport:
    """What ``XenAPI.Session(uri, transport=...)`` needs: request() and close().

    Not thread-safe; the connection above it holds a lock.
    """

    def __init__(
        self, endpoint: Endpoint, timeouts: Timeouts, *, answer_limit: int = ANSWER_LIMIT_BYTES
    ) -> None:
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._answer_limit = answer_limit
        self._http: _Connection | None = None
        self._used_at = 0.0
        self.call_timeout = timeouts.call

    def request(
        self, host: str, handler: str, request_body: bytes, verbose: bool = False
    ) -> tuple[Any, ...]:
        """Sends once. Raises ConnectFailed, ExchangeFailed, AnswerUnusable, CertificateRefused."""
        connection = self._connection()
        try:
            body = self._exchange(connection, handler, request_body)
        except TimeoutError:
            self.close()
            raise ExchangeFailed("no answer in time", timed_out=True) from None
        except _AnswerTooLarge:
            self.close()
            raise AnswerUnusable(f"more than {self._answer_limit} bytes") from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ExchangeFailed(_reason(error)) from None
        except BaseException:
            # A green thread may be killed here; its half-read connection must not be used again.
            self.close()
            raise
        self._used_at = time.monotonic()
        return _parse(body)

    def close(self) -> None:
        connection, self._http = self._http, None
        if connection is not None:
            connection.close()

    def _connection(self) -> _Connection:
        if self._http is not None and not self._still_usable(self._http):
            self.close()
        if self._http is None:
            connection = _Connection(self._endpoint, self._timeouts.connect)
            connection.connect()
            self._http = connection
        return self._http

    def _still_usable(self, connection: _Connection) -> bool:
        if time.monotonic() - self._used_at > IDLE_LIMIT_SECONDS:
            return False
        return connection.quiet()

    def _exchange(self, connection: _Connection, handler: str, request_body: bytes) -> bytes:
        connection.answer_by(
            time.monotonic() + self.call_timeout, self._answer_limit + _HEADERS_ALLOWANCE_BYTES
        )
        connection.request(
            "POST",
            handler,
            body=request_body,
            headers={"Content-Type": "text/xml", "User-Agent": "nova-aggregates"},
        )
        answer = connection.getresponse()
        _check_headers(answer, self._answer_limit, self.close)
        return answer.read()


class _Connection(http.client.HTTPConnection):
    """HTTPS whose certificate is judged before anything is sent, with one limit for the answer."""

    sock: Any
    auto_open = 0  # a request never opens a connection by itself

    def __init__(self, endpoint: Endpoint, connect_timeout: float) -> None:
        super().__init__(endpoint.address, endpoint.port, timeout=connect_timeout)
        self._endpoint = endpoint
        self._connect_timeout = connect_timeout

    def connect(self) -> None:
        deadline = time.monotonic() + self._connect_timeout
        try:
            plain = socket.create_connection(
                (self._endpoint.address, self._endpoint.port), self._connect_timeout
            )
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(_reason(error)) from None
        try:
            if not permitted(plain.getpeername()[0]):
                raise ConnectFailed("its address is not in the networks that are allowed")
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(max(0.01, deadline - time.monotonic()))
            self.sock = _context(self._endpoint.trust).wrap_socket(
                plain, server_hostname=self._endpoint.address
            )
            self._judge_certificate()
        except ssl.SSLCertVerificationError as error:
            raise CertificateRefused(
                "CERTIFICATE_NOT_TRUSTED", (error.verify_message,), where=self._endpoint.where
            ) from None
        except OSError as error:
            raise ConnectFailed(_reason(error, "the TLS handshake failed: ")) from None
        finally:
            if self.sock is None:
                plain.close()

    def _judge_certificate(self) -> None:
        expected = self._endpoint.trust.fingerprint
        if expected is None:
            return
        presented = hashlib.sha256(self.sock.getpeercert(binary_form=True) or b"").hexdigest()
        if presented != expected:
            self.close()
            raise CertificateRefused(
                "CERTIFICATE_REFUSED", (expected, presented), where=self._endpoint.where
            )

    def quiet(self) -> bool:
        """Whether the other side has neither closed an idle connection nor sent anything."""
        if self.sock is None:
            return False
        # Not settimeout(0): eventlet's sockets would then wait, for no time at all, and fail.
        self.sock.setblocking(False)
        try:
            self.sock.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        finally:
            self.sock.setblocking(True)
        return False

    def answer_by(self, deadline: float, limit: int) -> None:
        """Sets the end of the wait (monotonic seconds) and the size limit of the next answer."""
        self.sock.settimeout(max(0.01, deadline - time.monotonic()))
        self.response_class = functools.partial(  # type: ignore[assignment]
            _BoundedAnswer, deadline=deadline, limit=limit
        )


class _BoundedAnswer(http.client.HTTPResponse):
    """An answer whose headers and body together obey one deadline and one size limit."""

    def __init__(self, sock: Any, *args: Any, deadline: float, limit: int, **kwargs: Any) -> None:
        super().__init__(_Bounded(sock, deadline, limit), *args, **kwargs)  # type: ignore[arg-type]


class _Bounded:
    """Stands in for the socket where HTTPResponse asks for a file."""

    def __init__(self, sock: Any, deadline: float, limit: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._limit = limit

    def makefile(self, mode: str) -> io.BufferedReader:
        raw = self._sock.makefile(mode, buffering=0)
        return io.BufferedReader(_BoundedReader(raw, self._sock, self._deadline, self._limit))


class _BoundedReader(io.RawIOBase):
    """A socket's file that counts bytes and shortens the socket's timeout before each read.

    The timeout of a socket starts anew with every byte that arrives; a server that sends one
    every few seconds could hold a caller for ever.
    """

    def __init__(self, raw: Any, sock: Any, deadline: float, limit: int) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no answer in time")
        self._sock.settimeout(remaining)
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise _AnswerTooLarge
        return count

    def close(self) -> None:
        if not self.closed:
            with contextlib.suppress(OSError):
                self._raw.close()
        super().close()


def _context(trust: Trust) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust.ca is None:
        # With a pinned fingerprint the leaf certificate itself is compared, after the handshake.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    # A certificate given as the authority need not be a root: the host's own may be given.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=trust.ca)
    except (ssl.SSLError, ValueError):
        raise CertificateRefused(
            "CERTIFICATE_NOT_TRUSTED", ("the given authority is not a certificate in PEM form",)
        ) from None
    return context


def _check_headers(answer: http.client.HTTPResponse, limit: int, close: Any) -> None:
    kind = (answer.headers.get_content_type() or "").lower()
    length = answer.headers.get("Content-Length", "")
    problem = ""
    if answer.status != http.client.OK:
        problem = f"HTTP status {answer.status}"
    elif kind not in ("text/xml", "application/xml"):
        problem = f"content type {kind!r}"
    elif length.isdecimal() and int(length) > limit:
        problem = f"{length} bytes"
    if problem:
        close()
        raise AnswerUnusable(problem)


def _parse(body: bytes) -> tuple[Any, ...]:
    try:
        return xmlrpc.client.loads(body)[0]
    except _NOT_XMLRPC as error:
        raise AnswerUnusable(f"not XML-RPC ({type(error).__name__})") from None


def _reason(error: BaseException, prefix: str = "") -> str:
    if isinstance(error, TimeoutError):
        return prefix + "timed out"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return prefix + str(text)
