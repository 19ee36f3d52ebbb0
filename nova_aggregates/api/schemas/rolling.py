"""The body of the action rolling_update."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.schemas.maintenance import CONCURRENCY, POLICY
from nova_aggregates.api.schemas.types import NAME, closed, only
from nova_aggregates.api.validation import Validator

NOTHING: dict[str, Any] = {
    "type": ["object", "null"],
    "maxProperties": 0,
    "description": "null or an empty object",
}
HOSTS: dict[str, Any] = {
    "type": "array",
    "items": NAME,
    "minItems": 1,
    "maxItems": 256,
    "uniqueItems": True,
    "description": "a list of different names of hosts",
}
SECONDS: dict[str, Any] = {
    "type": "number",
    "minimum": 1,
    "maximum": 86400,
    "description": "seconds, from 1 to 86400",
}
SWITCH: dict[str, Any] = {"type": "boolean", "description": "true or false"}
ARGUMENTS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": 65535, "description": "a string"},
    "description": "an object of strings",
}
URL: dict[str, Any] = {
    "type": "string",
    "maxLength": 2048,
    "pattern": "^https?://[^\\s/]+\\S*$",
    "description": "an http or https URL",
}


def _choice(*values: str) -> dict[str, Any]:
    return {"enum": list(values), "description": f"one of {', '.join(values)}"}


# What is done to each host: exactly one of these.
DEED: dict[str, Any] = {
    **closed(
        {
            "reboot": NOTHING,
            "restart_toolstack": NOTHING,
            "pool_update": NAME,
            "apply_updates": NAME,
            "plugin": closed(
                {"plugin": NAME, "function": NAME, "arguments": ARGUMENTS},
                required=["plugin", "function"],
            ),
            "webhook": closed({"url": URL, "timeout": SECONDS}, required=["url"]),
        },
        required=[],
    ),
    "minProperties": 1,
    "maxProperties": 1,
    "description": "an object with exactly one of reboot, restart_toolstack, pool_update (uuid), "
    "apply_updates (hash), plugin and webhook",
}

ROLLING_UPDATE = Validator(
    only(
        "rolling_update",
        {
            **closed(
                {
                    "action": DEED,
                    "dry_run": SWITCH,
                    "hosts": HOSTS,
                    "canary": HOSTS,
                    "pause_after_canary": SWITCH,
                    "max_unavailable": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 32,
                        "description": "a number from 1 to 32",
                    },
                    "order": _choice("master_first", "master_last"),
                    "master": _choice("hand_over", "in_place"),
                    "guests_back": _choice("after_each", "at_end", "never"),
                    "reboot_after": _choice("never", "required", "always"),
                    "retries": {
                        "type": "integer",
                        "minimum": 0,
                        "maximum": 20,
                        "description": "a number from 0 to 20",
                    },
                    "retry_delay": SECONDS,
                    "deadline": SECONDS,
                    "concurrency": CONCURRENCY,
                    "network": NAME,
                    "policy": POLICY,
                },
                required=["action"],
            ),
            "description": "an object with action and, if need be, what limits it",
        },
    )
)
