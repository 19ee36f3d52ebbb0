"""Requests and answers of /os-services."""

from __future__ import annotations

from nova_aggregates.api.microversion import LEGACY, Version, Versioned
from nova_aggregates.api.query import Query
from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.types import (
    BOOLEAN,
    FLAG,
    INTEGER,
    NAME,
    OPTIONAL_TEXT,
    OPTIONAL_TIME,
    TEXT,
    UUID,
    answer,
    answers,
    attributes,
    closed,
)
from nova_aggregates.api.validation import Validator
from nova_aggregates.objects import HostStatus

STATUS: Schema = {"enum": [status.value for status in HostStatus]}
STATE: Schema = {"enum": ["up", "down"]}

REASON: Schema = {**NAME, "format": "text"}
REASON["description"] = "a string of 1 to 255 characters without control characters"
NAMED: Schema = {"host": NAME, "binary": NAME, "disabled_reason": REASON}

_BY_NAME: Schema = {
    **closed(NAMED, required=["host", "binary"]),
    "description": "an object with host, binary and, if need be, disabled_reason",
    "xml": {"name": "service"},
}
_BY_NAME_V211 = closed({**NAMED, "forced_down": FLAG}, required=["host", "binary"])
_BY_UUID = closed(
    {
        "status": {**STATUS, "description": "enabled or disabled"},
        "disabled_reason": REASON,
        "forced_down": FLAG,
    },
    required=[],
)
UPDATE = Versioned(
    {
        LEGACY: Validator(_BY_NAME),
        Version(2, 11): Validator(_BY_NAME_V211),
        Version(2, 53): Validator(_BY_UUID),
    }
)

_SERVICE: Schema = {
    "binary": TEXT,
    "host": TEXT,
    "id": INTEGER,
    "zone": TEXT,
    "status": STATUS,
    "state": STATE,
    "updated_at": OPTIONAL_TIME,
    "disabled_reason": OPTIONAL_TEXT,
}
_SERVICE_V211: Schema = {**_SERVICE, "forced_down": BOOLEAN}
_SERVICE_V253: Schema = {**_SERVICE_V211, "id": UUID}
LIST = Versioned(
    {
        LEGACY: answers("services", attributes(_SERVICE)),
        Version(2, 11): answers("services", answer(_SERVICE_V211)),
        Version(2, 53): answers("services", answer(_SERVICE_V253)),
    }
)

_SET: Schema = {"host": TEXT, "binary": TEXT, "status": STATUS, "disabled_reason": TEXT}
_CHANGED: Schema = {**attributes(_SET), "required": ["host", "binary", "status"]}
_FORCED: Schema = answer({"host": TEXT, "binary": TEXT, "forced_down": BOOLEAN})
CHANGED = Versioned(
    {
        LEGACY: answer({"service": _CHANGED}),
        Version(2, 11): answer({"service": {"oneOf": [_CHANGED, _FORCED]}}),
        Version(2, 53): answer({"service": answer(_SERVICE_V253)}),
    }
)

_QUERY: Schema = {"host": TEXT, "binary": TEXT}
QUERY = Versioned({LEGACY: Query(_QUERY), Version(2, 75): Query(_QUERY, closed=True)})

EXCHANGES = {
    "GET /os-services": Exchange("List the compute services.", {200: LIST}, query=QUERY),
    "PUT /os-services/{id}": Exchange("Change a compute service.", {200: CHANGED}, UPDATE),
    "DELETE /os-services/{id}": Exchange("Delete a compute service.", {204: None}),
}
