"""Versions of the API, and what depends on them.

``/v1.1`` and ``/v2`` are one version, LEGACY; ``/v2.1`` has microversions, for which the request's
headers ask. All of them compare in the order of their age.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import microversion_parse

from nova_aggregates.api.faults import Fault

T = TypeVar("T")
R = TypeVar("R")


class Version(NamedTuple):
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


LEGACY = Version(1, 1)
MINIMUM = Version(2, 1)
MAXIMUM = Version(2, 104)  # of Nova 34
EVERY = (LEGACY, *(Version(2, minor) for minor in range(MINIMUM.minor, MAXIMUM.minor + 1)))

# Keys of the WSGI environment: the Version of a request below /v2.1, and the headers of its answer.
VERSION = "nova_aggregates.version"
ECHO = "nova_aggregates.echo"

SERVICE_TYPE = "compute"
HEADER = "OpenStack-API-Version"
LEGACY_HEADER = "X-OpenStack-Nova-API-Version"

_FORMAT = re.compile(r"([1-9][0-9]{0,8})\.([1-9][0-9]{0,8}|0)\Z")


class Versioned(Generic[T]):
    """A value that differs between versions.

    :param values: each value under the first version that has it. ``None`` means that the thing
        does not exist from that version on.
    """

    def __init__(self, values: Mapping[Version, T | None]) -> None:
        self.values = dict(sorted(values.items()))
        self._by_version = {version: self._find(version) for version in EVERY}

    def __getitem__(self, version: Version) -> T:
        """:raises KeyError: the thing does not exist in ``version``."""
        value = self._by_version[version]
        if value is None:
            raise KeyError(version)
        return value

    def at(self, version: Version) -> T | None:
        return self._by_version[version]

    def map(self, change: Callable[[T], R]) -> Versioned[R]:
        """What ``change`` makes of each value."""
        return Versioned(
            {
                first: None if value is None else change(value)
                for first, value in self.values.items()
            }
        )

    def _find(self, version: Version) -> T | None:
        past = [value for first, value in self.values.items() if first <= version]
        return past[-1] if past else None


def since(minor: int, value: T) -> Versioned[T]:
    """``value`` from microversion 2.``minor`` on; nothing before."""
    return Versioned({Version(2, minor): value})


def until(minor: int, value: T) -> Versioned[T]:
    """``value`` up to microversion 2.``minor``, and in LEGACY; nothing later."""
    return Versioned({LEGACY: value, Version(2, minor + 1): None})


def at(value: T | Versioned[T], version: Version) -> T | None:
    """``value``, or what it is in ``version``."""
    return value.at(version) if isinstance(value, Versioned) else value


def version_of(environ: dict[str, Any]) -> Version:
    return environ.get(VERSION, LEGACY)


def negotiate(environ: dict[str, Any]) -> None:
    """Note which microversion the request asks for, and what its answer says about that.

    :raises Fault: 400 for a malformed one, 406 for one that does not exist here.
    """
    wanted = _wanted(environ)
    # Faults know from it that they are about a request below /v2.1.
    environ[VERSION] = MINIMUM
    if wanted is None:
        environ[ECHO] = _ECHO[MINIMUM]
        return
    if wanted == "latest":
        version = MAXIMUM
    elif match := _FORMAT.match(wanted):
        version = Version(int(match[1]), int(match[2]))
    else:
        raise Fault(400, f"{wanted[:64]} is no version of the API: write 2.N.")
    if not MINIMUM <= version <= MAXIMUM:
        environ[ECHO] = _echo(version)
        raise Fault(
            406,
            f"Version {version} is not supported by the API. Minimum is {MINIMUM} and maximum is "
            f"{MAXIMUM}.",
        )
    environ[VERSION] = version
    environ[ECHO] = _ECHO[version]


def _wanted(environ: dict[str, Any]) -> str | None:
    if "HTTP_OPENSTACK_API_VERSION" not in environ and (
        "HTTP_X_OPENSTACK_NOVA_API_VERSION" not in environ
    ):
        return None
    return microversion_parse.get_version(
        microversion_parse.headers_from_wsgi_environ(environ), SERVICE_TYPE, [LEGACY_HEADER]
    )


def _echo(version: Version) -> tuple[tuple[str, str], ...]:
    return (
        (HEADER, f"{SERVICE_TYPE} {version}"),
        (LEGACY_HEADER, str(version)),
        ("Vary", f"{HEADER}, {LEGACY_HEADER}"),
    )


_ECHO = {version: _echo(version) for version in EVERY}
