"""Times as Nova writes them: UTC with microseconds and without a zone."""

from __future__ import annotations

import datetime


def render(moment: datetime.datetime | None) -> str | None:
    return moment.isoformat(timespec="microseconds") if moment else None
