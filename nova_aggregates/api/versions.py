"""The version documents: at the root of the server, and at the root of each version."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.call import Call, Reply

ID = "v1.1"
UPDATED = "2011-01-21T11:33:21Z"  # as nova/api/openstack/compute/versions.py has it


def index(call: Call) -> Reply:
    base = call.request.application_url.rstrip("/")
    return Reply({"versions": [_document(f"{base}/{ID}/")]})


def show(call: Call) -> Reply:
    return Reply({"version": _document(call.request.application_url.rstrip("/") + "/")})


def _document(url: str) -> dict[str, Any]:
    return {
        "id": ID,
        "status": "CURRENT",
        # No microversions.
        "version": "",
        "min_version": "",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": url}],
    }
