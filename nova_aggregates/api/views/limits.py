"""Limits: guests are none of our business, so there are none, and nothing is used."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.microversion import Version
from nova_aggregates.api.schemas.limits import GONE, MOST, USED

UNLIMITED = -1


def index(version: Version) -> dict[str, Any]:
    everything = {**dict.fromkeys(MOST, UNLIMITED), **dict.fromkeys(USED, 0)}
    gone = GONE[version]
    absolute = {name: value for name, value in everything.items() if name not in gone}
    return {"limits": {"rate": [], "absolute": absolute}}
