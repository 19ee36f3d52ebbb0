"""The body of every error answer."""

from __future__ import annotations

from nova_aggregates.api.faults import NAMES, OTHER_NAME
from nova_aggregates.api.schemas.exchange import Schema
from nova_aggregates.api.schemas.types import INTEGER, TEXT, answer

NAMESPACE = "http://docs.openstack.org/compute/api/v1.1"

DETAIL: Schema = {
    **answer({"code": {**INTEGER, "xml": {"attribute": True}}, "message": TEXT}),
    "xml": {"namespace": NAMESPACE},
}
DETAIL["properties"]["retryAfter"] = INTEGER

FAULT: Schema = {
    "type": "object",
    "properties": dict.fromkeys((*NAMES.values(), OTHER_NAME), DETAIL),
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
