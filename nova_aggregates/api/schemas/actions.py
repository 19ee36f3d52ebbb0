"""What the bodies of all actions have in common."""

from __future__ import annotations

from nova_aggregates.api.validation import Validator

ACTION = Validator(
    {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "description": "an object with exactly one action",
    }
)
