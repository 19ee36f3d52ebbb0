"""Identifiers in paths, and what depends on the version of the API."""

from __future__ import annotations

import re

from nova_aggregates.api.call import Call
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import LEGACY
from nova_aggregates.api.validation import is_uuid
from nova_aggregates.exceptions import AggregateNotFound, OperationNotFound
from nova_aggregates.objects import ZoneRule

_INTEGER = re.compile(r"-?[0-9]+\Z")
_ID = re.compile(r"[1-9][0-9]{0,9}\Z")
LARGEST = 2**31 - 1  # what an INTEGER column holds everywhere


def aggregate_id(call: Call) -> int:
    """The aggregate that the path names.

    :raises AggregateNotFound: it is no number that an aggregate can have.
    :raises Fault: 400, it is no number at all; from v2.1 on only.
    """
    text = call.params["id"]
    if call.version > LEGACY and not _INTEGER.match(text):
        raise Fault(400, "The id of an aggregate must be an integer.")
    if not _ID.match(text) or int(text) > LARGEST:
        raise AggregateNotFound(aggregate_id=text)
    return int(text)


def zone_rule(call: Call) -> ZoneRule:
    """Which rule for zones the version of the API has."""
    return ZoneRule.HOSTS if call.version == LEGACY else ZoneRule.AGGREGATES


def operation_uuid(call: Call) -> str:
    """The operation that the path names.

    :raises OperationNotFound: it is no uuid.
    """
    uuid = call.params["uuid"]
    if not is_uuid(uuid):
        raise OperationNotFound(uuid=uuid)
    return uuid
