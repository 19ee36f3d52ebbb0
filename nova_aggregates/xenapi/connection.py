"""Sessions on a host or on the master of a pool, through the official SDK."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import XenAPI

from nova_aggregates.xenapi import errors, transport
from nova_aggregates.xenapi.types import Endpoint, Timeouts, canonical_address

LOG = logging.getLogger(__name__)

# Told of every call: its method, how many seconds it took, and "ok" or the error code.
observers: list[Callable[[str, float, str], None]] = []

DEFAULT_ORIGINATOR = "nova-aggregates"
DEFAULT_TIMEOUTS = Timeouts()

_API_VERSION = "1.0"  # xapi ignores it (ocaml/xapi/xapi_session.ml), the originator comes after it
_LOGOUT_TIMEOUT_SECONDS = 5.0
_READING_PREFIXES = ("get_", "assert_", "retrieve_")
_READING = frozenset(
    {
        "event.from",
        "host.is_in_emergency_mode",
        "host.local_assert_healthy",
        "pool.is_slave",
        "session.local_logout",
        "session.login_with_password",
        "session.logout",
        "session.slave_local_login_with_password",
        "system.listMethods",
    }
)


def is_reading(method: str) -> bool:
    """Whether a call may be repeated without changing anything."""
    if method.startswith("Async."):
        return False
    return method in _READING or method.rpartition(".")[2].startswith(_READING_PREFIXES)


class _Session(XenAPI.Session):
    """The SDK's session without its hidden second login.

    On SESSION_INVALID the SDK logs in again with the remembered password and repeats the call.
    After a join, an eject or a restart that is another pool behind the same address, and nobody
    would notice.
    """

    def _login(self, method: str, params: tuple[str, ...]) -> None:
        if self._session is not None:
            raise XenAPI.Failure(["SESSION_INVALID"])
        super()._login(method, params)
        self.last_login_params = ()


class Connection:
    """A session. Use as a context manager; leaving it logs out and never raises.

    One call at a time: calls of several threads wait for each other.
    """

    def __init__(self, endpoint: Endpoint, timeouts: Timeouts) -> None:
        self.endpoint = endpoint
        self.timeouts = timeouts
        self._secrets = {endpoint.password}
        self._lock = threading.Lock()
        self._transport = transport.Transport(endpoint, timeouts)
        self._sdk = _Session(f"https://{endpoint.where}", transport=self._transport)
        self._alive = False

    def __repr__(self) -> str:
        return f"<Connection to {self.endpoint.where}>"

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def log_in(self, originator: str) -> None:
        """A normal session; only a master gives one."""
        password = self.endpoint.password
        self._open(
            "login_with_password", self.endpoint.username, password, _API_VERSION, originator
        )

    def log_in_locally(self) -> None:
        """A local session, which every host gives, also one that is a member or is starting."""
        self._open(
            "slave_local_login_with_password", self.endpoint.username, self.endpoint.password
        )

    def call(self, method: str, *args: Any, timeout: float | None = None) -> Any:
        """Makes one call, once, and returns its value as the SDK decodes it.

        ``timeout`` in seconds replaces the connection's. Whole numbers go over as text, which
        xapi takes for its 64-bit integers. Raises XenError; for a changing call whose answer was
        lost that is OutcomeUnknown.
        """
        params = tuple(_wire(arg) for arg in args)
        return self._run(method, timeout, lambda: self._sdk.xenapi_request(method, params))

    def keep_secret(self, *texts: str) -> None:
        """Blots these out of every later error of this connection."""
        self._secrets.update(texts)

    def blotted(self, texts: Iterable[str]) -> tuple[str, ...]:
        """The texts without any secret that this connection knows."""
        return tuple(self._blot(text) for text in texts)

    def close(self) -> None:
        """Logs out, unless the last call broke the connection: a toolstack that restarts forgets
        its sessions, and a dead host would hold us up."""
        if self._alive:
            with contextlib.suppress(errors.XenError):
                self._run("session.logout", _LOGOUT_TIMEOUT_SECONDS, self._sdk._logout)
        self._alive = False
        self._transport.close()

    def _open(self, method: str, *params: str) -> None:
        self._run(f"session.{method}", None, lambda: self._sdk._login(method, params))
        self._secrets.add(str(self._sdk.handle))

    def _run(self, method: str, timeout: float | None, send: Any) -> Any:
        started = time.monotonic()
        outcome = "ok"
        with self._lock:
            self._transport.call_timeout = timeout or self.timeouts.call
            try:
                value = send()
                self._alive = self._sdk.handle is not None
                return value
            except XenAPI.Failure as failure:
                error = self._failed(failure, method)
                outcome = error.code
            except errors.CertificateRefused as refused:
                error, outcome = refused, refused.code
                self._alive = False
            except _TRANSPORT_TROUBLE as trouble:
                error = self._broken(trouble, method)
                outcome = error.code
            finally:
                seconds = time.monotonic() - started
                for observe in observers:
                    observe(method, seconds, outcome)
                LOG.debug(
                    "xenapi call",
                    extra={
                        "where": self.endpoint.where,
                        "method": method,
                        "seconds": round(seconds, 3),
                        "outcome": outcome,
                    },
                )
        raise error from None

    def _failed(self, failure: XenAPI.Failure, method: str) -> errors.XenError:
        details = self.blotted(str(item) for item in failure.details)
        error = errors.from_description(details, where=self.endpoint.where, method=method)
        if isinstance(error, errors.SessionInvalid):
            self._alive = False
        return error

    def _broken(self, trouble: Exception, method: str) -> errors.XenError:
        """The fact behind a transport's trouble: whether anything may have been carried out."""
        self._alive = False
        where = self.endpoint.where
        reason = self._blot(str(trouble))
        if isinstance(trouble, transport.ConnectFailed):
            return errors.Unreachable("UNREACHABLE", (where, reason), method=method)
        timed_out = isinstance(trouble, transport.ExchangeFailed) and trouble.timed_out
        if not is_reading(method):
            return errors.OutcomeUnknown("OUTCOME_UNKNOWN", (method, reason), where=where)
        if timed_out:
            limit = f"{self._transport.call_timeout:g}"
            return errors.TimedOut("TIMED_OUT", (method, limit), where=where)
        if isinstance(trouble, transport.ExchangeFailed):
            return errors.ConnectionLost("CONNECTION_LOST", (method, reason), where=where)
        return errors.MalformedAnswer("MALFORMED_ANSWER", (method, reason), where=where)

    def _blot(self, text: str) -> str:
        for secret in filter(None, self._secrets):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
        return text


# What the SDK itself raises for an answer without Status, Value or ErrorDescription is a Fault, a
# TypeError (a defect of its _parse_result) or a lookup in an empty list.
_TRANSPORT_TROUBLE = (
    transport.ConnectFailed,
    transport.ExchangeFailed,
    transport.AnswerUnusable,
    xmlrpc.client.Fault,
    TypeError,
    LookupError,
)


def connect(
    endpoint: Endpoint,
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    originator: str = DEFAULT_ORIGINATOR,
) -> Connection:
    """Logs in at exactly this host, which must be a master (a standalone host is one).

    Raises Unreachable, CertificateRefused, AuthenticationFailed, IsSlave, StillBooting, TimedOut,
    ConnectionLost, MalformedAnswer.
    """
    connection = Connection(endpoint, timeouts)
    try:
        connection.log_in(originator)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_local(endpoint: Endpoint, *, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Connection:
    """A local session, for emergency calls at a member or a starting host.

    Calls that need the database hang while the pool's master is away (observed on xapi 26.17).
    Raises as connect() does, but never IsSlave or StillBooting.
    """
    connection = Connection(endpoint, timeouts)
    try:
        connection.log_in_locally()
    except BaseException:
        connection.close()
        raise
    return connection


def connect_pool(
    candidates: Sequence[Endpoint],
    *,
    pool_uuid: str | None = None,
    host_uuid: str | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    originator: str = DEFAULT_ORIGINATOR,
) -> Connection:
    """Logs in at the master of a pool of which the candidates are the known members.

    Tries them in order. A member's word about its master is followed only to an address among the
    candidates, each of which is tried once; so neither a loop nor a stray address can lead
    elsewhere, and the credentials go only where they belong. With ``pool_uuid`` the pool that
    answers must be that one, with ``host_uuid`` it must contain that host.

    Raises the error of the only candidate, or NoMasterFound with the ``problems`` of all.
    """
    waiting = list(candidates)
    problems: list[errors.XenError] = []
    while waiting:
        endpoint = waiting.pop(0)
        try:
            connection = connect(endpoint, timeouts=timeouts, originator=originator)
        except errors.IsSlave as slave:
            problems.append(slave)
            _move_to_front(waiting, slave.master_address)
        except errors.XenError as problem:
            problems.append(problem)
        else:
            mismatch = _misfit(connection, pool_uuid, host_uuid)
            if mismatch is None:
                return connection
            connection.close()
            problems.append(mismatch)
    raise _no_master(problems)


def _move_to_front(waiting: list[Endpoint], address: str) -> None:
    try:
        wanted = canonical_address(address)
    except ValueError:
        return
    for index, endpoint in enumerate(waiting):
        if endpoint.address == wanted:
            waiting.insert(0, waiting.pop(index))
            return


def _misfit(
    connection: Connection, pool_uuid: str | None, host_uuid: str | None
) -> errors.XenError | None:
    """Why this is not the pool that was meant; None when it is, or nothing was asked."""
    where = connection.endpoint.where
    try:
        if pool_uuid is not None:
            records = connection.call("pool.get_all_records")
            found = ", ".join(sorted(str(record["uuid"]) for record in records.values()))
            if found != pool_uuid:
                return errors.IdentityMismatch(
                    "IDENTITY_MISMATCH", (f"The pool at {where}", pool_uuid, found)
                )
        if host_uuid is not None:
            connection.call("host.get_by_uuid", host_uuid)
    except errors.ObjectGone:
        return errors.IdentityMismatch(
            "IDENTITY_MISMATCH",
            (f"The pool at {where}", f"one with the host {host_uuid}", "one without it"),
        )
    except errors.XenError as problem:
        return problem
    return None


def _no_master(problems: Sequence[errors.XenError]) -> errors.XenError:
    if len(problems) == 1:
        return problems[0]
    told = "; ".join(str(problem) for problem in problems) or "no candidate was given"
    error = errors.NoMasterFound("NO_MASTER_FOUND", (told,))
    error.problems = tuple(problems)
    error.retry_helps = any(problem.retry_helps for problem in problems)
    return error


def _wire(value: Any) -> Any:
    """A number as text (xmlrpc.client refuses those beyond 32 bits), everything else unchanged."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_wire(item) for item in value]
    return value
