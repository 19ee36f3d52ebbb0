"""What speaks against adding or removing a host."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.views import operations
from nova_aggregates.objects import Action, Holdings, Operation, OperationState, Severity


def show(
    operation: Operation, host: str, action: Action, holdings: Holdings | None
) -> dict[str, Any]:
    """:param holdings: what the host would lose; None when it loses nothing."""
    blocked = any(finding.severity is Severity.BLOCKING for finding in operation.findings)
    return {
        "preflight": {
            "host": host,
            "action": action.value,
            "ok": operation.state is OperationState.SUCCEEDED and not blocked,
            "findings": [operations.finding(finding) for finding in operation.findings],
            # Set when nobody could look at all.
            "error": operation.failure and operations.failure(operation.failure),
            "holdings": _holdings(holdings),
        }
    }


def _holdings(holdings: Holdings | None) -> dict[str, Any]:
    found = holdings or Holdings(digest="")
    return {
        # What remove_host wants as confirm; null when there is nothing to confirm.
        "digest": None if found.empty else found.digest,
        "guests": list(found.guests),
        "disks": list(found.disks),
        "storage": list(found.storage),
    }
