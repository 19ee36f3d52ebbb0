"""Who may do what with aggregates. Names as in Nova, so that its policy files fit."""

from __future__ import annotations

from nova_aggregates.api.policies.base import documented

PREFIX = "os_compute_api:os-aggregates"
INDEX = f"{PREFIX}:index"
CREATE = f"{PREFIX}:create"
SHOW = f"{PREFIX}:show"
UPDATE = f"{PREFIX}:update"
DELETE = f"{PREFIX}:delete"
ADD_HOST = f"{PREFIX}:add_host"
REMOVE_HOST = f"{PREFIX}:remove_host"
SET_METADATA = f"{PREFIX}:set_metadata"
SET_HOSTS = f"{PREFIX}:set_hosts"
PREFLIGHT = f"{PREFIX}:preflight"
IMAGES = "compute:aggregates:images"
DRIFT = f"{PREFIX}:drift"
HEADROOM = f"{PREFIX}:headroom"
ROLLING_UPDATE = f"{PREFIX}:rolling_update"

_ACTION = "POST /os-aggregates/{id}/action"

RULES = (
    documented(INDEX, "List the aggregates.", "GET /os-aggregates"),
    documented(CREATE, "Create an aggregate.", "POST /os-aggregates"),
    documented(SHOW, "Show an aggregate.", "GET /os-aggregates/{id}"),
    documented(UPDATE, "Rename an aggregate or change its zone.", "PUT /os-aggregates/{id}"),
    documented(DELETE, "Delete an empty aggregate.", "DELETE /os-aggregates/{id}"),
    documented(ADD_HOST, "Make a host a member of an aggregate's pool.", _ACTION),
    documented(REMOVE_HOST, "Take a host out of an aggregate's pool.", _ACTION),
    documented(SET_METADATA, "Set or remove metadata of an aggregate.", _ACTION),
    documented(
        SET_HOSTS,
        "Say which hosts an aggregate's pool shall have, and its master.",
        "PUT /os-aggregates/{id}/hosts",
    ),
    documented(PREFLIGHT, "See what speaks against adding or removing a host.", _ACTION),
    documented(
        IMAGES,
        "Ask the hosts of an aggregate to fetch images beforehand.",
        "POST /os-aggregates/{id}/images",
    ),
    documented(
        DRIFT,
        "List the differences between an aggregate and its pool.",
        "GET /os-aggregates/{id}/drift",
    ),
    documented(
        ROLLING_UPDATE, "Update the hosts of an aggregate one after the other, or plan it.", _ACTION
    ),
    documented(
        HEADROOM,
        "See how many hosts an aggregate's pool can lose.",
        "GET /os-aggregates/{id}/headroom",
    ),
)
