"""Who may see and steer operations."""

from __future__ import annotations

from nova_aggregates.api.policies.base import OPERATOR_RULE, documented

PREFIX = "os_compute_api:os-operations"
INDEX = f"{PREFIX}:index"
SHOW = f"{PREFIX}:show"
EVENTS = f"{PREFIX}:events"
CANCEL = f"{PREFIX}:cancel"
RETRY = f"{PREFIX}:retry"
ABANDON = f"{PREFIX}:abandon"
PAUSE = f"{PREFIX}:pause"
RESUME = f"{PREFIX}:resume"
ABORT = f"{PREFIX}:abort"
START = f"{PREFIX}:start"

_ACTION = "POST /os-operations/{uuid}/action"

RULES = (
    documented(
        INDEX, "List operations.", "GET /os-operations", "GET /os-aggregates/{id}/operations"
    ),
    documented(SHOW, "Show an operation.", "GET /os-operations/{uuid}"),
    documented(
        EVENTS,
        "See what operations did, afterwards or as it happens.",
        "GET /os-operations/{uuid}/events",
        "GET /os-operations/events",
    ),
    documented(CANCEL, "End an operation that has not succeeded yet, and undo it.", _ACTION),
    documented(RETRY, "Let an operation that did not succeed try again.", _ACTION),
    documented(ABANDON, "Give up an operation that ended half-way.", _ACTION),
    documented(
        PAUSE, "Let a rolling update rest after the hosts under way.", _ACTION, who=OPERATOR_RULE
    ),
    documented(RESUME, "Let a paused rolling update go on.", _ACTION, who=OPERATOR_RULE),
    documented(
        ABORT, "End a rolling update after the hosts under way.", _ACTION, who=OPERATOR_RULE
    ),
    documented(
        START, "Begin the rolling update whose plan an operation was.", _ACTION, who=OPERATOR_RULE
    ),
)
