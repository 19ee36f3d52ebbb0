"""Who may ask for the extensions."""

from __future__ import annotations

from nova_aggregates.api.policies.base import ANYBODY, documented

PREFIX = "os_compute_api:extensions"
INDEX = f"{PREFIX}:index"
SHOW = f"{PREFIX}:show"

RULES = (
    documented(INDEX, "List the extensions.", "GET /extensions", who=ANYBODY),
    documented(SHOW, "Show an extension.", "GET /extensions/{alias}", who=ANYBODY),
)
