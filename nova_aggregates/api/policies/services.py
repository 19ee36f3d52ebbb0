"""Who may do what with services."""

from __future__ import annotations

from nova_aggregates.api.policies.base import OPERATOR_RULE, documented

PREFIX = "os_compute_api:os-services"
INDEX = f"{PREFIX}:list"
UPDATE = f"{PREFIX}:update"
DELETE = f"{PREFIX}:delete"

RULES = (
    documented(INDEX, "List the compute services.", "GET /os-services"),
    documented(
        UPDATE,
        "Enable, disable or force down a compute service.",
        "PUT /os-services/{id}",
        who=OPERATOR_RULE,
    ),
    documented(DELETE, "Delete a compute service.", "DELETE /os-services/{id}"),
)
