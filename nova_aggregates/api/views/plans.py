"""How the hosts of an aggregate become those that were asked for."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.microversion import Version
from nova_aggregates.api.views import aggregates, operations
from nova_aggregates.objects import PlannedHosts


def show(planned: PlannedHosts, version: Version) -> dict[str, Any]:
    return {
        **aggregates.show(planned.aggregate, version),
        "steps": [
            {
                "host": step.host,
                "action": step.action.value,
                "operation": step.operation and operations.one(step.operation),
            }
            for step in planned.steps
        ],
    }
