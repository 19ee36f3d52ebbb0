"""The shape of an entry of the error catalogue."""

from __future__ import annotations

import dataclasses
import enum


class Situation(enum.StrEnum):
    """The class of situation that an error belongs to."""

    REACH = "reach"  # the host could not be talked to
    STARTING = "starting"  # its toolstack is starting or restarting
    CREDENTIALS = "credentials"  # who asked, or the certificate
    IDENTITY = "identity"  # another host or pool than the one that was meant
    GONE = "gone"  # the object is not in this pool's database (any more)
    PRECONDITION = "precondition"  # refused before anything was changed
    BUSY = "busy"  # something else is under way
    HOST = "host"  # the state of a host
    GUEST = "guest"  # the state of a guest
    STORAGE = "storage"
    CAPACITY = "capacity"
    REQUEST = "request"  # the call itself is wrong for this release
    OUTCOME = "outcome"  # nobody knows yet whether it happened
    INTERNAL = "internal"  # a failure inside the toolstack
    UNKNOWN = "unknown"  # not in the catalogue


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """``message`` is a format string: {0} to {3} are the error's parameters, {params} all."""

    code: str
    situation: Situation
    message: str
    cause: str
    cure: str
    retry_helps: bool = False
    pattern: str | None = None  # only when this is found in the parameters
