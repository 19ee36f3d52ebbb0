"""Bodies about maintenance and rolling updates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.microversion import LEGACY, MINIMUM, Versioned
from nova_aggregates.api.schemas.actions import Actions
from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.operations import FAILURE, FINDING, SHOWN_OPERATION
from nova_aggregates.api.schemas.types import (
    ATTRIBUTE,
    BOOLEAN,
    INTEGER,
    NAME,
    TEXT,
    answer,
    closed,
    nullable_object,
    only,
)
from nova_aggregates.api.validation import Validator
from nova_aggregates.objects import HostStatus, MaintenanceMode

# As nova/api/openstack/compute/schemas/hosts.py has them; Essex took any case, too.
SWITCH: dict[str, Any] = {
    "enum": ["enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE"],
    "description": "enable or disable",
}
CONCURRENCY: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": 64,
    "description": "a number from 1 to 64",
}
POLICY: dict[str, Any] = {
    "enum": ["refuse", "skip", "shutdown_and_restart"],
    "description": "refuse, skip or shutdown_and_restart",
}
WISH: dict[str, Any] = {"concurrency": CONCURRENCY, "network": NAME, "policy": POLICY}


def _update(more: dict[str, Any], told: str) -> Validator:
    return Validator(
        {
            **closed({"status": SWITCH, "maintenance_mode": SWITCH, **more}, required=[]),
            "anyOf": [{"required": ["status"]}, {"required": ["maintenance_mode"]}],
            "description": f"an object with status, maintenance_mode or both{told}",
            "xml": {"name": "updates"},
        }
    )


# Nova's own body has no room for more, and from 2.43 on it is gone.
UPDATE = Versioned(
    {
        LEGACY: _update(WISH, "; concurrency, network and policy may be there, too"),
        MINIMUM: _update({}, ""),
    }
)


def _attribute(values: Iterable[str]) -> Schema:
    return {"enum": list(values), "xml": {"attribute": True}}


PLAN = Validator(
    only(
        "plan_maintenance",
        {
            **closed(WISH, required=[]),
            "description": "an object with, if need be, concurrency, network and policy",
        },
    )
)
ACTIONS = Actions({"plan_maintenance": PLAN})

GOAL: Schema = {
    **answer(
        {
            "host": ATTRIBUTE,
            "status": _attribute(status.value for status in HostStatus),
            "maintenance_mode": _attribute(mode.value for mode in MaintenanceMode),
        }
    ),
    "xml": {"name": "host"},
}
POWER: Schema = {
    **answer({"host": ATTRIBUTE, "power_action": _attribute(("reboot", "shutdown", "startup"))}),
    "xml": {"name": "host"},
}
MOVE: Schema = answer({"guest": TEXT, "name": TEXT, "to": TEXT, "memory_mb": INTEGER})
BLOCKER: Schema = answer({"guest": TEXT, "name": TEXT, "code": TEXT, "message": TEXT, "cure": TEXT})
LOAD: Schema = answer(
    {
        "host": TEXT,
        "guests": INTEGER,
        "vcpus": INTEGER,
        "memory_mb": INTEGER,
        "memory_mb_free": INTEGER,
    }
)
PLANNED: Schema = answer(
    {
        "plan": answer(
            {
                "host": TEXT,
                "ok": BOOLEAN,
                "guests": {"type": "array", "items": MOVE},
                "blockers": {"type": "array", "items": BLOCKER},
                "seconds": {"type": ["number", "null"]},
                "load": {"type": "array", "items": LOAD},
                "findings": {"type": "array", "items": FINDING},
                "error": nullable_object(FAILURE),
            }
        )
    }
)

EXCHANGES = {
    "PUT /os-hosts/{name}": Exchange(
        "Enable or disable a host; put it into maintenance or end that.", {200: GOAL}, UPDATE
    ),
    "POST /os-hosts/{name}/action": Exchange(
        "See where the guests of a host would go.",
        {200: PLANNED, 202: SHOWN_OPERATION},
        ACTIONS.whole,
    ),
    "GET /os-hosts/{name}/reboot": Exchange("Reboot a host in maintenance.", {200: POWER}),
    "GET /os-hosts/{name}/shutdown": Exchange("Shut a host in maintenance down.", {200: POWER}),
    "GET /os-hosts/{name}/startup": Exchange("Start a host in maintenance.", {200: POWER}),
}
