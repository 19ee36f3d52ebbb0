"""Who may ask for the limits."""

from __future__ import annotations

from nova_aggregates.api.policies.base import ANYBODY, documented

INDEX = "os_compute_api:limits"

RULES = (documented(INDEX, "Show the limits of the project.", "GET /limits", who=ANYBODY),)
