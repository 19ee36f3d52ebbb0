"""The version documents: at the root of the server, and at the root of each version.

The keys, and the order of the list, are those that nova/api/openstack/compute/versions.py has.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.microversion import MAXIMUM, MINIMUM

DOCUMENTATION = "http://docs.openstack.org/"
MEDIA_TYPE = "application/vnd.openstack.compute"


@dataclasses.dataclass(frozen=True, slots=True)
class Root:
    id: str
    path: str  # below the root of the server
    status: str
    updated: str
    media_types: tuple[tuple[str, str], ...]
    # Of the microversions; empty where there are none.
    newest: str = ""
    oldest: str = ""


LEGACY_MEDIA_TYPES = (
    ("application/json", f"{MEDIA_TYPE}+json;version=2"),
    ("application/xml", f"{MEDIA_TYPE}+xml;version=2"),
)
ROOTS = (
    Root("v2.0", "v2", "SUPPORTED", "2011-01-21T11:33:21Z", LEGACY_MEDIA_TYPES),
    Root(
        "v2.1",
        "v2.1",
        "CURRENT",
        "2013-07-23T11:33:21Z",
        (("application/json", f"{MEDIA_TYPE}+json;version=2.1"),),
        str(MAXIMUM),
        str(MINIMUM),
    ),
    Root("v1.1", "v1.1", "SUPPORTED", "2011-01-21T11:33:21Z", LEGACY_MEDIA_TYPES),
)
BY_PATH = {root.path: root for root in ROOTS}


def index(call: Call) -> Reply:
    """All versions, at the root of the server."""
    base = call.request.application_url.rstrip("/")
    return Reply({"versions": [_document(root, f"{base}/{root.path}/") for root in ROOTS]})


def show(call: Call) -> Reply:
    """The version at whose root the caller asks."""
    base, _, path = call.request.application_url.rstrip("/").rpartition("/")
    # An operator's paste file may have the version elsewhere.
    root = BY_PATH.get(path) or BY_PATH["v2.1" if call.version >= MINIMUM else "v1.1"]
    document = _document(root, f"{base}/{path}/")
    document["links"].append({"rel": "describedby", "type": "text/html", "href": DOCUMENTATION})
    document["media-types"] = [{"base": kind, "type": full} for kind, full in root.media_types]
    return Reply({"version": document})


def _document(root: Root, url: str) -> dict[str, Any]:
    return {
        "id": root.id,
        "status": root.status,
        "version": root.newest,
        "min_version": root.oldest,
        "updated": root.updated,
        "links": [{"rel": "self", "href": url}],
    }
