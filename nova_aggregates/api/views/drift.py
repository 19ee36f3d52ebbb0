"""Differences between an aggregate and its pool."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.views import times
from nova_aggregates.objects import Drift


def index(found: Iterable[Drift]) -> dict[str, Any]:
    return {"drift": [_drift(drift) for drift in found]}


def _drift(drift: Drift) -> dict[str, Any]:
    finding = drift.finding
    return {
        "host": finding.host,
        "kind": finding.kind,
        "expected": finding.expected,
        "found": finding.found,
        "message": finding.message,
        "cure": finding.cure,
        "policy": finding.policy.value,
        "first_seen": times.render(drift.first_seen),
        "last_seen": times.render(drift.last_seen),
    }
