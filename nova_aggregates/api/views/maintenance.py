"""What a host was asked to become, and what its maintenance would mean."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.views import operations, times
from nova_aggregates.objects import HeadroomFigure, HostGoal, Operation, OperationState, Severity


def goal(wanted: HostGoal) -> dict[str, Any]:
    return {
        "host": wanted.host,
        "status": wanted.status.value,
        "maintenance_mode": wanted.maintenance_mode.value,
    }


def plan(operation: Operation, host: str) -> dict[str, Any]:
    """Of one host."""
    blocked = any(finding.severity is Severity.BLOCKING for finding in operation.findings)
    found = (operation.details or {}).get("plan", {})
    return {
        "plan": {
            "host": host,
            "ok": operation.state is OperationState.SUCCEEDED and not blocked,
            "guests": found.get("guests", []),
            "blockers": found.get("blockers", []),
            "seconds": found.get("seconds"),
            "load": found.get("load", []),
            "findings": [operations.finding(each) for each in operation.findings],
            "error": operation.failure and operations.failure(operation.failure),
        }
    }


def headroom(figure: HeadroomFigure | None) -> dict[str, Any]:
    """Nulls while nobody has looked yet."""
    if figure is None:
        return {"headroom": dict.fromkeys(("hosts", "first_guest", "reason", "lost", "at"))}
    return {
        "headroom": {
            "hosts": figure.hosts,
            "first_guest": figure.guest or None,
            "reason": figure.reason or None,
            "lost": list(figure.lost),
            "at": times.render(figure.computed_at),
        }
    }
