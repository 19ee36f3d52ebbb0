"""/os-operations: what became of the requests that change a pool."""

from __future__ import annotations

import re

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.ids import aggregate_id
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.policies import operations as policies
from nova_aggregates.api.views import operations as views
from nova_aggregates.exceptions import OperationNotFound
from nova_aggregates.objects import OperationState

LIMIT = 100
LARGEST_LIMIT = 1000

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    operations = call.deployment.operations.index(
        host=call.query("host"), state=_state(call), limit=_limit(call), marker=_marker(call)
    )
    return Reply(views.index(operations))


def of_aggregate(call: Call) -> Reply:
    """Also for a deleted aggregate, whose last operations go on and stay visible."""
    call.authorize(policies.INDEX)
    operations = call.deployment.operations.index(
        aggregate_id=aggregate_id(call),
        state=_state(call),
        limit=_limit(call),
        marker=_marker(call),
    )
    return Reply(views.index(operations))


def show(call: Call) -> Reply:
    call.authorize(policies.SHOW)
    uuid = call.params["uuid"]
    if not _UUID.match(uuid):
        raise OperationNotFound(uuid=uuid)
    return Reply(views.show(call.deployment.operations.show(uuid)))


def _state(call: Call) -> OperationState | None:
    value = call.query("state")
    if value is None:
        return None
    if value not in list(OperationState):
        raise Fault(400, f"The parameter state must be one of: {', '.join(OperationState)}.")
    return OperationState(value)


def _limit(call: Call) -> int:
    value = call.query("limit")
    if value is None:
        return LIMIT
    if not re.fullmatch(r"[1-9][0-9]{0,3}", value) or int(value) > LARGEST_LIMIT:
        raise Fault(400, f"The parameter limit must be a number from 1 to {LARGEST_LIMIT}.")
    return int(value)


def _marker(call: Call) -> str | None:
    value = call.query("marker")
    if value is not None and not _UUID.match(value):
        raise Fault(400, "The parameter marker must be the uuid of an operation.")
    return value
