"""The one clock of all records."""

from __future__ import annotations

import datetime


def utcnow() -> datetime.datetime:
    """Now, as the naive UTC time that the tables keep."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
