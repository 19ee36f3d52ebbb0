"""Who may ask for the extensions."""

from __future__ import annotations

from nova_aggregates.api.policies.base import documented

PREFIX = "os_compute_api:extensions"
INDEX = f"{PREFIX}:index"
SHOW = f"{PREFIX}:show"

RULES = (
    documented(INDEX, "List the extensions.", "GET /extensions"),
    documented(SHOW, "Show an extension.", "GET /extensions/{alias}"),
)
