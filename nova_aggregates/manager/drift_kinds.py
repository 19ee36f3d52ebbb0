"""What can differ between an aggregate and its pool, and what may be done about it."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from nova_aggregates.exceptions import ConfigurationInvalid
from nova_aggregates.objects import DriftPolicy


class DriftKind(enum.StrEnum):
    POOL_NAME = "pool_name"  # the pool has another name than the aggregate
    MASTER = "master"  # another member is the master than the one that is recorded
    MEMBER_UNKNOWN = "member_unknown"  # a host is in the pool, but not in the aggregate
    MEMBER_MISSING = "member_missing"  # a host is in the aggregate, but not in the pool
    HOST_IDENTITY = "host_identity"  # a member was reinstalled or replaced
    HOST_NOT_LIVE = "host_not_live"  # the pool has no contact with a member
    POOL_IDENTITY = "pool_identity"  # another pool answers at the addresses of the members
    POOL_UNREACHABLE = "pool_unreachable"  # nobody answers as the pool's master


_REPORT = frozenset({DriftPolicy.REPORT})
_ALL = frozenset(DriftPolicy)

# To enforce that a stranger is no member would be to eject it, which wipes its disks: never.
POSSIBLE: Mapping[DriftKind, frozenset[DriftPolicy]] = {
    DriftKind.POOL_NAME: _ALL,
    DriftKind.MASTER: _ALL,
    DriftKind.MEMBER_UNKNOWN: frozenset({DriftPolicy.REPORT, DriftPolicy.ADOPT}),
    DriftKind.MEMBER_MISSING: _ALL,
    DriftKind.HOST_IDENTITY: _REPORT,
    DriftKind.HOST_NOT_LIVE: _REPORT,
    DriftKind.POOL_IDENTITY: _REPORT,
    DriftKind.POOL_UNREACHABLE: _REPORT,
}

Policies = Mapping[DriftKind, DriftPolicy]


def policies_of(told: Mapping[str, str]) -> Policies:
    """The policy of every kind; what is not told is only reported.

    :raises ConfigurationInvalid: there is no such kind, or no such policy for it.
    """
    chosen = dict.fromkeys(DriftKind, DriftPolicy.REPORT)
    for kind, policy in told.items():
        try:
            possible = POSSIBLE[DriftKind(kind)]
        except ValueError:
            raise ConfigurationInvalid(
                what=f"[audit] policies names {kind}, which is no kind of drift",
                cure=f"use some of {', '.join(DriftKind)}.",
            ) from None
        if policy not in possible:
            raise ConfigurationInvalid(
                what=f"[audit] policies has {policy} for {kind}",
                cure=f"use {' or '.join(sorted(possible))} for it.",
            )
        chosen[DriftKind(kind)] = DriftPolicy(policy)
    return chosen
