"""What can go wrong towards XenServer, as exceptions named after the fact.

Every one carries the error code, its parameters and, from the catalogue, words for a person. None
ever carries a password or a session reference.
"""

from __future__ import annotations

from collections.abc import Sequence

from nova_aggregates.xenapi import catalogue
from nova_aggregates.xenapi.catalogue import Resolver, Situation


class XenError(Exception):
    """Base of all; see the class for the fact and ``code`` for the detail.

    ``where`` is the address:port that was talked to, ``method`` the call. ``retry_helps`` says
    that the same call may succeed later without anybody having done anything.
    """

    def __init__(
        self,
        code: str,
        params: Sequence[str] = (),
        *,
        where: str = "",
        method: str = "",
        resolver: Resolver | None = None,
    ) -> None:
        self.code = code
        self.params = tuple(params)
        self.where = where
        self.method = method
        words = catalogue.explain(code, self.params, method=method, resolver=resolver)
        self.message = words.message
        self.cause = words.cause
        self.cure = words.cure
        self.retry_helps = words.retry_helps
        self.situation = words.situation
        super().__init__(f"{where}: {words.message}" if where else words.message)

    def with_names(self, resolver: Resolver) -> XenError:
        """The same error with the names of objects in its message instead of references."""
        named = type(self)(
            self.code, self.params, where=self.where, method=self.method, resolver=resolver
        )
        named.__cause__ = self.__cause__
        return named


class Unreachable(XenError):
    """No connection could be made; nothing was sent."""


class TimedOut(XenError):
    """A reading call was not answered in time."""


class ConnectionLost(XenError):
    """The connection broke while a reading call was being answered."""


class MalformedAnswer(XenError):
    """What came back for a reading call is not a XenAPI answer."""


class OutcomeUnknown(XenError):
    """A changing call may or may not have been carried out: look at the pool."""


class CertificateRefused(XenError):
    """The certificate is not the trusted one. Nothing was sent, credentials least of all."""


class AuthenticationFailed(XenError):
    """The login was refused."""


class SessionInvalid(XenError):
    """The session has ended, so the call was not carried out. Nobody logs in again by himself."""


class StillBooting(XenError):
    """The toolstack is not in service yet (xapi's emergency mode)."""


class IsSlave(XenError):
    """The host is a member; only its master takes logins."""

    @property
    def master_address(self) -> str:
        """As the host gave it: without port, IPv6 without brackets."""
        return self.params[0] if self.params else ""


class IdentityMismatch(XenError):
    """Another pool or host answers than the one that was meant."""


class NoMasterFound(XenError):
    """None of several candidates let us in; ``problems`` says why, one each."""

    problems: tuple[XenError, ...] = ()


class ApiFailure(XenError):
    """The call was understood and failed; the code says how."""


class ObjectGone(ApiFailure):
    """The object is not in this pool's database (any more)."""


class MethodUnknown(ApiFailure):
    """The release of the host does not have the call, or not with these parameters."""


class Busy(ApiFailure):
    """Something else is under way on the object."""


class PreconditionFailed(ApiFailure):
    """Refused before anything was changed."""


class HostOffline(ApiFailure):
    """The master cannot reach the member that the call is about, or counts it as dead."""


class TargetRefused(ApiFailure):
    """pool.join: the pool's master did not let the joining host in (credentials, or no master)."""


_BY_CODE: dict[str, type[XenError]] = {
    "HOST_IS_SLAVE": IsSlave,
    "SESSION_AUTHENTICATION_FAILED": AuthenticationFailed,
    "SESSION_AUTHORIZATION_FAILED": AuthenticationFailed,
    "SESSION_INVALID": SessionInvalid,
    "HOST_OFFLINE": HostOffline,
    "CANNOT_CONTACT_HOST": HostOffline,
    "HOST_NOT_LIVE": HostOffline,
    "MESSAGE_METHOD_UNKNOWN": MethodUnknown,
    "MESSAGE_PARAMETER_COUNT_MISMATCH": MethodUnknown,
    "MESSAGE_REMOVED": MethodUnknown,
    "Fault": MethodUnknown,
}

_BY_SITUATION: dict[Situation, type[XenError]] = {
    Situation.STARTING: StillBooting,
    Situation.GONE: ObjectGone,
    Situation.BUSY: Busy,
    Situation.PRECONDITION: PreconditionFailed,
}


def from_description(details: Sequence[str], *, where: str, method: str) -> XenError:
    """The exception for an ErrorDescription that a call itself was answered with."""
    code, params = _split(details)
    entry = catalogue.find(code, params, method)
    situation = entry.situation if entry else Situation.UNKNOWN
    fact = _BY_CODE.get(code) or _BY_SITUATION.get(situation, ApiFailure)
    return fact(code, params, where=where, method=method)


def from_task(details: Sequence[str], *, where: str, method: str) -> ApiFailure:
    """The exception for the error_info of a task.

    There HOST_IS_SLAVE, SESSION_AUTHENTICATION_FAILED and HOST_STILL_BOOTING speak of the other
    host that the task talked to, never of the session that watches the task.
    """
    error = from_description(details, where=where, method=method)
    if isinstance(error, ApiFailure):
        return error
    fact = TargetRefused if isinstance(error, IsSlave | AuthenticationFailed) else ApiFailure
    return fact(error.code, error.params, where=where, method=method)


def _split(details: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    texts = [str(item) for item in details]
    if not texts:
        return "UNKNOWN_FAILURE", ()
    code, params = texts[0], tuple(texts[1:])
    if code == "SESSION_INVALID" or (code == "HANDLE_INVALID" and params[:1] == ("session",)):
        params = params[:1] if code == "HANDLE_INVALID" else ()  # a session's reference is a secret
    return code, params
