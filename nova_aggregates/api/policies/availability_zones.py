"""Who may see the availability zones."""

from __future__ import annotations

from nova_aggregates.api.policies.base import ANYBODY, documented

PREFIX = "os_compute_api:os-availability-zone"
INDEX = f"{PREFIX}:list"
DETAIL = f"{PREFIX}:detail"

RULES = (
    documented(INDEX, "List the availability zones.", "GET /os-availability-zone", who=ANYBODY),
    documented(
        DETAIL, "List the availability zones with hosts.", "GET /os-availability-zone/detail"
    ),
)
