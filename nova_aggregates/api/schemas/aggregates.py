"""Requests and answers of /os-aggregates."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.microversion import LEGACY, MINIMUM, Version, Versioned
from nova_aggregates.api.query import CLOSED, NONE, Query
from nova_aggregates.api.schemas.actions import Actions
from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.operations import (
    FAILURE,
    FINDING,
    OPERATION,
    OPERATIONS,
    OPERATIONS_QUERY,
    SHOWN_OPERATION,
)
from nova_aggregates.api.schemas.rolling import ROLLING_UPDATE
from nova_aggregates.api.schemas.types import (
    BOOLEAN,
    CLEAN,
    INTEGER,
    LIMIT,
    LINKS,
    NAME,
    NAME_V21,
    OPTIONAL_TEXT,
    OPTIONAL_TIME,
    SPACED_NAME_V21,
    STRINGS,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    ZONE,
    ZONE_V21,
    answer,
    answers,
    closed,
    either,
    nullable,
    nullable_object,
    only,
    without,
)
from nova_aggregates.api.validation import Validator
from nova_aggregates.objects import AggregateState, DriftPolicy, PlannedAction, SortKey

FIELDS: dict[str, Any] = {"name": NAME, "availability_zone": ZONE}

METADATA: dict[str, Any] = {
    "type": "object",
    "description": "an object of strings (null removes a key)",
    "propertyNames": {
        "minLength": 1,
        "maxLength": 255,
        "format": "clean",
        "description": f"an object whose keys have 1 to 255 characters, {CLEAN}",
    },
    "additionalProperties": {
        "type": ["string", "null"],
        "maxLength": 255,
        "format": "text",
        "description": "null or a string of up to 255 characters without control characters",
    },
}

# Since v2.1 a zone is what an aggregate says, and a name is what Nova's database can hold.
METADATA_V21: dict[str, Any] = {
    **METADATA,
    "propertyNames": {
        "pattern": "^[a-zA-Z0-9_:. -]{1,255}$",
        "description": "an object whose keys have 1 to 255 letters, digits, '_', ':', '.', ' ' "
        "and '-'",
    },
}


def _create(fields: dict[str, Any], required: list[str]) -> Validator:
    return Validator(only("aggregate", closed(fields, required=required)))


def _update(fields: dict[str, Any]) -> Validator:
    wanted = {
        **closed(fields, required=[]),
        "minProperties": 1,
        "description": "an object with name, availability_zone or both",
    }
    return Validator(only("aggregate", wanted))


CREATE = Versioned(
    {
        LEGACY: _create(FIELDS, required=["name", "availability_zone"]),
        MINIMUM: _create(
            {"name": NAME_V21, "availability_zone": nullable(ZONE_V21)}, required=["name"]
        ),
    }
)
UPDATE = Versioned(
    {
        LEGACY: _update(FIELDS),
        MINIMUM: _update({"name": SPACED_NAME_V21, "availability_zone": ZONE_V21}),
    }
)

MOST_HOSTS = 256  # one request is one transaction

FORGET: dict[str, Any] = {"type": "boolean", "description": "true or false"}

REMOVAL: dict[str, Any] = {
    **closed({"host": NAME, "forget": FORGET, "confirm": NAME}, required=["host"]),
    "description": "an object with host and, if need be, forget and confirm",
}

LOOK: dict[str, Any] = {
    **closed({"add_host": NAME, "remove_host": NAME}, required=[]),
    "minProperties": 1,
    "maxProperties": 1,
    "description": "an object with either add_host or remove_host",
}

HOSTS = Validator(
    {
        **closed(
            {
                "hosts": {
                    "type": "array",
                    "items": NAME,
                    "uniqueItems": True,
                    "maxItems": MOST_HOSTS,
                    "description": f"a list of up to {MOST_HOSTS} different names of hosts",
                },
                "master": NAME,
            },
            required=["hosts"],
        ),
        "description": "an object with hosts and, if need be, master",
        "xml": {"name": "membership"},
    }
)
ADD_HOST = Validator(only("add_host", only("host", NAME)))
REMOVE_HOST = Validator(only("remove_host", REMOVAL))
PREFLIGHT = Validator(only("preflight", LOOK))
SET_METADATA = Versioned(
    {
        LEGACY: Validator(only("set_metadata", only("metadata", METADATA))),
        MINIMUM: Validator(only("set_metadata", only("metadata", METADATA_V21))),
    }
)

# The answers. From v2.1 on they are closed: what is ours alone is not in them.
UNDER_V21: Schema = {
    "id": INTEGER,
    "name": TEXT,
    "hosts": TEXTS,
    "metadata": STRINGS,
    "created_at": TIME,
    "updated_at": OPTIONAL_TIME,
    "deleted_at": OPTIONAL_TIME,
    "deleted": BOOLEAN,
    "availability_zone": OPTIONAL_TEXT,
}
WITH_UUID: Schema = {**UNDER_V21, "uuid": UUID}
STATES = {"enum": [state.value for state in AggregateState]}

AGGREGATE = Versioned(
    {
        LEGACY: answer({**UNDER_V21, "operational_state": STATES}),
        MINIMUM: answer(UNDER_V21),
        Version(2, 41): answer(WITH_UUID),
    }
)
ONE = AGGREGATE.map(lambda aggregate: answer({"aggregate": aggregate}))
ALL = AGGREGATE.map(lambda aggregate: answers("aggregates", aggregate))
# Only on request, by limit.
ALL[LEGACY]["properties"]["aggregates_links"] = LINKS
CREATED = Versioned(
    {
        LEGACY: ONE[LEGACY],
        MINIMUM: answer({"aggregate": without(UNDER_V21, "hosts", "metadata")}),
        Version(2, 41): answer({"aggregate": without(WITH_UUID, "hosts", "metadata")}),
    }
)

DRIFT: Schema = answer(
    {
        "host": OPTIONAL_TEXT,
        "kind": TEXT,
        "expected": TEXT,
        "found": TEXT,
        "message": TEXT,
        "cure": TEXT,
        "policy": {"enum": [policy.value for policy in DriftPolicy]},
        "first_seen": TIME,
        "last_seen": TIME,
    }
)
DRIFTS: Schema = answer(
    {"drift": {"type": "array", "items": {**DRIFT, "xml": {"name": "difference"}}}}
)

STEP: Schema = answer(
    {
        "host": TEXT,
        "action": {"enum": [action.value for action in PlannedAction]},
        "operation": nullable_object(OPERATION),
    }
)
PLAN = AGGREGATE.map(
    lambda aggregate: {
        **answer({"aggregate": aggregate, "steps": {"type": "array", "items": STEP}}),
        "xml": {"name": "plan"},
    }
)

LOOKED: Schema = answer(
    {
        "host": TEXT,
        "action": TEXT,
        "ok": BOOLEAN,
        "findings": {"type": "array", "items": FINDING},
        "error": nullable_object(FAILURE),
        "holdings": answer(
            {"digest": OPTIONAL_TEXT, "guests": TEXTS, "disks": TEXTS, "storage": TEXTS}
        ),
    }
)
HEADROOM: Schema = answer(
    {
        "headroom": answer(
            {
                "hosts": {"type": ["integer", "null"]},
                "first_guest": OPTIONAL_TEXT,
                "reason": OPTIONAL_TEXT,
                "lost": {**TEXTS, "type": ["array", "null"]},
                "at": OPTIONAL_TIME,
            }
        )
    }
)
ACTED = AGGREGATE.map(lambda aggregate: either({"aggregate": aggregate, "preflight": LOOKED}))

IMAGES = Validator(
    only(
        "cache",
        {
            "type": "array",
            "items": {
                **only("id", {**UUID, "description": "the uuid of an image"}),
            },
            "minItems": 1,
            "description": "a list with at least one image",
        },
    )
)

SEARCH: dict[str, Schema] = {
    "name": TEXT,
    "availability_zone": TEXT,
    "host": {**TEXT, "description": "the name of a host: aggregates that it is in"},
    "operational_state": {
        **STATES,
        "description": f"one of: {', '.join(AggregateState)}",
    },
    "metadata_key": TEXT,
    "metadata_value": TEXT,
    "changes-since": {
        **TEXT,
        "format": "moment",
        "description": "a time in ISO 8601; what was deleted since then is listed as well",
    },
    "sort_key": {
        "enum": [key.value for key in SortKey],
        "description": f"one of: {', '.join(SortKey)}",
    },
    "sort_dir": {"enum": ["asc", "desc"], "description": "asc or desc"},
    "limit": LIMIT,
    "marker": {
        "type": "integer",
        "minimum": 1,
        "description": "the id of the last aggregate of the page before",
    },
}
LIST_QUERY = Versioned(
    {
        LEGACY: Query(SEARCH),
        MINIMUM: NONE,
        Version(2, 102): CLOSED,
    }
)
SHOW_QUERY = Versioned({LEGACY: NONE, Version(2, 102): CLOSED})

ACTIONS = Actions(
    {
        "add_host": ADD_HOST,
        "remove_host": REMOVE_HOST,
        "set_metadata": SET_METADATA,
        "preflight": PREFLIGHT,
        "rolling_update": ROLLING_UPDATE,
    }
)

EXCHANGES = {
    "GET /os-aggregates": Exchange("List the aggregates.", {200: ALL}, query=LIST_QUERY),
    "POST /os-aggregates": Exchange("Create an aggregate.", {200: CREATED}, CREATE),
    "GET /os-aggregates/{id}": Exchange("Show an aggregate.", {200: ONE}, query=SHOW_QUERY),
    "PUT /os-aggregates/{id}": Exchange("Rename an aggregate or move it.", {200: ONE}, UPDATE),
    "DELETE /os-aggregates/{id}": Exchange("Delete an aggregate without hosts.", {200: None}),
    "POST /os-aggregates/{id}/action": Exchange(
        "Add or remove a host, set metadata, or look what would stop a change.",
        {200: ACTED, 202: SHOWN_OPERATION},
        ACTIONS.whole,
    ),
    "POST /os-aggregates/{id}/images": Exchange(
        "Ask the hosts to fetch images beforehand.", {202: None}, IMAGES
    ),
    "PUT /os-aggregates/{id}/hosts": Exchange(
        "Say which hosts the pool shall have.", {200: PLAN}, HOSTS
    ),
    "GET /os-aggregates/{id}/drift": Exchange(
        "List the differences between the aggregate and its pool.", {200: DRIFTS}
    ),
    "GET /os-aggregates/{id}/headroom": Exchange(
        "See how many hosts the pool can lose.", {200: HEADROOM}
    ),
    "GET /os-aggregates/{id}/operations": Exchange(
        "List the operations of the aggregate, newest first.",
        {200: OPERATIONS},
        query=Query(OPERATIONS_QUERY),
    ),
}
