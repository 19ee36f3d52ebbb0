"""/os-operations: what became of the requests that change a pool."""

from __future__ import annotations

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.actions import Handlers, dispatch
from nova_aggregates.api.controllers.ids import UUID, aggregate_id, limit, operation_uuid
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.policies import operations as policies
from nova_aggregates.api.schemas import operations as schemas
from nova_aggregates.api.views import operations as views
from nova_aggregates.objects import Once, OperationState

LIMIT = 100
LARGEST_LIMIT = 1000


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
    return Reply(views.show(call.deployment.operations.show(operation_uuid(call))))


def action(call: Call) -> Reply:
    return dispatch(call, HANDLERS, schemas.ACTIONS)


def _cancel(call: Call, _nothing: None, once: Once | None) -> Reply:
    uuid = operation_uuid(call)
    operation = call.deployment.operations.cancel(call.requester, uuid, once=once)
    return Reply(views.show(operation), 202)


def _retry(call: Call, _nothing: None, once: Once | None) -> Reply:
    uuid = operation_uuid(call)
    operation = call.deployment.operations.retry(call.requester, uuid, once=once)
    return Reply(views.show(operation), 202)


def _abandon(call: Call, _nothing: None, once: Once | None) -> Reply:
    uuid = operation_uuid(call)
    operation = call.deployment.operations.abandon(call.requester, uuid, once=once)
    return Reply(views.show(operation), 202)


HANDLERS: Handlers = {
    "cancel": (policies.CANCEL, _cancel),
    "retry": (policies.RETRY, _retry),
    "abandon": (policies.ABANDON, _abandon),
}


def _state(call: Call) -> OperationState | None:
    value = call.query("state")
    if value is None:
        return None
    if value not in list(OperationState):
        raise Fault(400, f"The parameter state must be one of: {', '.join(OperationState)}.")
    return OperationState(value)


def _limit(call: Call) -> int:
    return limit(call, default=LIMIT, largest=LARGEST_LIMIT)


def _marker(call: Call) -> str | None:
    value = call.query("marker")
    if value is not None and not UUID.match(value):
        raise Fault(400, "The parameter marker must be the uuid of an operation.")
    return value
