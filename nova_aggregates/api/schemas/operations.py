"""Requests and answers of /os-operations."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.query import Query
from nova_aggregates.api.schemas.actions import Actions
from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.types import (
    BOOLEAN,
    INTEGER,
    LIMIT,
    OPTIONAL_TEXT,
    OPTIONAL_TIME,
    TEXT,
    TIME,
    UUID,
    answer,
    answers,
    nullable_object,
    only,
)
from nova_aggregates.api.validation import Validator
from nova_aggregates.objects import Action, Directive, OperationState, Severity

NOTHING: dict[str, Any] = {
    "type": ["object", "null"],
    "maxProperties": 0,
    "description": "null or an empty object",
}

CANCEL = Validator(only("cancel", NOTHING))
RETRY = Validator(only("retry", NOTHING))
ABANDON = Validator(only("abandon", NOTHING))
PAUSE = Validator(only("pause", NOTHING))
RESUME = Validator(only("resume", NOTHING))
ABORT = Validator(only("abort", NOTHING))
START = Validator(only("start", NOTHING))
ACTIONS = Actions(
    {
        "cancel": CANCEL,
        "retry": RETRY,
        "abandon": ABANDON,
        "pause": PAUSE,
        "resume": RESUME,
        "abort": ABORT,
        "start": START,
    }
)

STATES: Schema = {"enum": [state.value for state in OperationState]}
# Maps with keys and values of many kinds; what is in them depends on the action.
OPEN: Schema = {"type": "object", "additionalProperties": {}}

FINDING: Schema = answer(
    {
        "check": TEXT,
        "code": TEXT,
        "severity": {"enum": [severity.value for severity in Severity]},
        "message": TEXT,
        "cure": TEXT,
        "ours": TEXT,
        "theirs": TEXT,
    }
)
FAILURE: Schema = answer({"code": TEXT, "message": TEXT, "cure": TEXT})
OPERATION: Schema = answer(
    {
        "uuid": UUID,
        "aggregate_id": INTEGER,
        "host": OPTIONAL_TEXT,
        "action": {"enum": [action.value for action in Action]},
        "parameters": OPEN,
        "state": STATES,
        "step": OPTIONAL_TEXT,
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "attempts": INTEGER,
        "not_before": OPTIONAL_TIME,
        "cancel_requested": BOOLEAN,
        "uncancellable_reason": OPTIONAL_TEXT,
        "findings": {"type": "array", "items": FINDING},
        "details": nullable_object(OPEN),
        "directive": {"enum": [*(directive.value for directive in Directive), None]},
        "error": nullable_object(FAILURE),
        "requested_by": answer({"user_id": TEXT, "project_id": TEXT, "request_id": TEXT}),
        "created_at": TIME,
        "started_at": OPTIONAL_TIME,
        "updated_at": OPTIONAL_TIME,
        "finished_at": OPTIONAL_TIME,
    }
)
EVENT: Schema = answer(
    {
        "id": INTEGER,
        "operation": TEXT,
        "aggregate_id": INTEGER,
        "at": TIME,
        "kind": TEXT,
        "data": OPEN,
    }
)

EVENT_ID: Schema = {
    "type": "integer",
    "minimum": 0,
    "description": "the id of an event: a number of up to 18 digits",
}

SHOWN_OPERATION = answer({"operation": OPERATION})
OPERATIONS = answers("operations", OPERATION)

OPERATIONS_QUERY: dict[str, Schema] = {
    "state": {**STATES, "description": f"one of: {', '.join(OperationState)}"},
    "limit": LIMIT,
    "marker": {**UUID, "description": "the uuid of an operation"},
}

EXCHANGES = {
    "GET /os-operations": Exchange(
        "List operations, newest first.",
        {200: OPERATIONS},
        query=Query({**OPERATIONS_QUERY, "host": TEXT}),
    ),
    "GET /os-operations/events": Exchange(
        "Follow what operations do, as server-sent events.", {200: None}, streams=True
    ),
    "GET /os-operations/{uuid}": Exchange("Show an operation.", {200: SHOWN_OPERATION}),
    "POST /os-operations/{uuid}/action": Exchange(
        "Cancel, retry, abandon or steer an operation.", {202: SHOWN_OPERATION}, ACTIONS.whole
    ),
    "GET /os-operations/{uuid}/events": Exchange(
        "List what an operation did.",
        {200: answers("events", EVENT)},
        query=Query({"after": EVENT_ID, "limit": LIMIT}),
    ),
}
