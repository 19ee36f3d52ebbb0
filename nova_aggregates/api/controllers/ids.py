"""Identifiers in paths, and what depends on the version of the API."""

from __future__ import annotations

import re

from nova_aggregates.api.call import Call
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import LEGACY, Version
from nova_aggregates.api.validation import is_uuid
from nova_aggregates.api.views import times
from nova_aggregates.exceptions import (
    AggregateNotFound,
    HypervisorNotFound,
    MarkerNotFound,
    OperationNotFound,
)
from nova_aggregates.objects import Host, ZoneRule

BY_UUID = Version(2, 53)

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


def service_key(call: Call) -> int | str:
    """The service that the path names: a number, from 2.53 on a uuid.

    :raises Fault: 400, it is none.
    """
    text = call.params["id"]
    if call.version >= BY_UUID:
        if not is_uuid(text.lower()):
            raise Fault(400, "The id of a service must be a uuid.")
        return text.lower()
    if not _INTEGER.match(text):
        raise Fault(400, "The id of a service must be an integer.")
    return _number(text)


def hypervisor_key(call: Call) -> int | str:
    """The hypervisor that the path names: a number, from 2.53 on a uuid.

    :raises Fault: 400, it is no uuid; from 2.53 on only.
    :raises HypervisorNotFound: it is no number; before only.
    """
    text = call.params["id"]
    if call.version >= BY_UUID:
        if not is_uuid(text.lower()):
            raise Fault(400, "The id of a hypervisor must be a uuid.")
        return text.lower()
    if not _INTEGER.match(text):
        raise HypervisorNotFound(hypervisor=text)
    return _number(text)


def marker_key(call: Call) -> int | str | None:
    """The hypervisor before the page.

    :raises MarkerNotFound: it can be none.
    """
    text = call.query("marker")
    if text is None:
        return None
    if call.version >= BY_UUID:
        return text.lower()
    if not _INTEGER.match(text):
        raise MarkerNotFound(marker=text)
    return _number(text)


def seen(host: Host) -> dict[str, str]:
    """The header that tells how old an answer about a host is; the bodies of v2.1 are closed."""
    return {"X-Last-Seen": times.render(host.last_seen) or "never"}


def _number(text: str) -> int:
    # A longer one is no number of a row.
    return int(text[:20])


def operation_uuid(call: Call) -> str:
    """The operation that the path names.

    :raises OperationNotFound: it is no uuid.
    """
    uuid = call.params["uuid"]
    if not is_uuid(uuid):
        raise OperationNotFound(uuid=uuid)
    return uuid
