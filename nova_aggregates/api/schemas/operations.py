"""Bodies of /os-operations."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.schemas.types import only
from nova_aggregates.api.validation import Validator

NOTHING: dict[str, Any] = {
    "type": ["object", "null"],
    "maxProperties": 0,
    "description": "null or an empty object",
}

CANCEL = Validator(only("cancel", NOTHING))
RETRY = Validator(only("retry", NOTHING))
ABANDON = Validator(only("abandon", NOTHING))
