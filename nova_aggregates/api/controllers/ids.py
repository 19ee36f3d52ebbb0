"""Identifiers in paths, and sizes of pages."""

from __future__ import annotations

import re

from nova_aggregates.api.call import Call
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import LEGACY
from nova_aggregates.exceptions import AggregateNotFound, OperationNotFound
from nova_aggregates.objects import ZoneRule

_INTEGER = re.compile(r"-?[0-9]+\Z")
_ID = re.compile(r"[1-9][0-9]{0,9}\Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
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
    if not UUID.match(uuid):
        raise OperationNotFound(uuid=uuid)
    return uuid


def limit(call: Call, *, default: int, largest: int) -> int:
    """How many the caller wants at most.

    :raises Fault: 400, the parameter limit is no number or too large.
    """
    value = call.query("limit")
    if value is None:
        return default
    if not re.fullmatch(r"[1-9][0-9]{0,3}", value) or int(value) > largest:
        raise Fault(400, f"The parameter limit must be a number from 1 to {largest}.")
    return int(value)
