"""Identifiers in paths."""

from __future__ import annotations

import re

from nova_aggregates.api.call import Call
from nova_aggregates.exceptions import AggregateNotFound

_ID = re.compile(r"[1-9][0-9]{0,9}\Z")
LARGEST = 2**31 - 1  # what an INTEGER column holds everywhere


def aggregate_id(call: Call) -> int:
    """The aggregate that the path names.

    :raises AggregateNotFound: it is no number that an aggregate can have.
    """
    text = call.params["id"]
    if not _ID.match(text) or int(text) > LARGEST:
        raise AggregateNotFound(aggregate_id=text)
    return int(text)
