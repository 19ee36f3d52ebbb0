"""Who may see operations."""

from __future__ import annotations

from nova_aggregates.api.policies.base import documented

PREFIX = "os_compute_api:os-operations"
INDEX = f"{PREFIX}:index"
SHOW = f"{PREFIX}:show"

RULES = (
    documented(
        INDEX, "List operations.", "GET /os-operations", "GET /os-aggregates/{id}/operations"
    ),
    documented(SHOW, "Show an operation.", "GET /os-operations/{uuid}"),
)
