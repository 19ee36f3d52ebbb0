"""Answers of /limits."""

from __future__ import annotations

from nova_aggregates.api.microversion import LEGACY, Version, Versioned
from nova_aggregates.api.query import NONE, Query
from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.extensions import NAMESPACE
from nova_aggregates.api.schemas.types import INTEGER, TEXT, answer

MOST = (
    "maxServerMeta",
    "maxTotalInstances",
    "maxPersonality",
    "maxPersonalitySize",
    "maxImageMeta",
    "maxTotalCores",
    "maxTotalRAMSize",
    "maxTotalKeypairs",
    "maxServerGroups",
    "maxServerGroupMembers",
    "maxTotalFloatingIps",
    "maxSecurityGroups",
    "maxSecurityGroupRules",
)
USED = (
    "totalCoresUsed",
    "totalInstancesUsed",
    "totalRAMUsed",
    "totalFloatingIpsUsed",
    "totalSecurityGroupsUsed",
    "totalServerGroupsUsed",
)
NETWORKS = frozenset(
    (
        "maxTotalFloatingIps",
        "maxSecurityGroups",
        "maxSecurityGroupRules",
        "totalFloatingIpsUsed",
        "totalSecurityGroupsUsed",
    )
)
IMAGES = frozenset(("maxImageMeta",))
FILES = frozenset(("maxPersonality", "maxPersonalitySize"))

# Which limits are not told any more.
GONE: Versioned[frozenset[str]] = Versioned(
    {
        LEGACY: frozenset(),
        Version(2, 36): NETWORKS,
        Version(2, 39): NETWORKS | IMAGES,
        Version(2, 57): NETWORKS | IMAGES | FILES,
    }
)


def _limits(gone: frozenset[str]) -> Schema:
    known = [name for name in (*MOST, *USED) if name not in gone]
    rate = {"type": "array", "items": {}, "maxItems": 0, "xml": {"name": "rates"}}
    absolute = {**answer(dict.fromkeys(known, INTEGER)), "xml": {"x-entries": "limit"}}
    limits = {**answer({"rate": rate, "absolute": absolute}), "xml": {"namespace": NAMESPACE}}
    return answer({"limits": limits})


EXCHANGES = {
    "GET /limits": Exchange(
        "Show the limits of the project.",
        {200: GONE.map(_limits)},
        query=Versioned({LEGACY: NONE, Version(2, 75): Query({"tenant_id": TEXT}, closed=True)}),
    )
}
