"""/os-operations: what became of the requests that change a pool."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.actions import Handlers, dispatch
from nova_aggregates.api.controllers.ids import aggregate_id, operation_uuid
from nova_aggregates.api.policies import operations as policies
from nova_aggregates.api.schemas import operations as schemas
from nova_aggregates.api.views import operations as views
from nova_aggregates.objects import Once, OperationState

LIMIT = 100


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    operations = call.deployment.operations.index(host=call.query("host"), **_page(call))
    return Reply(views.index(operations))


def of_aggregate(call: Call) -> Reply:
    """Also for a deleted aggregate, whose last operations go on and stay visible."""
    call.authorize(policies.INDEX)
    operations = call.deployment.operations.index(aggregate_id=aggregate_id(call), **_page(call))
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


def _pause(call: Call, _nothing: None, once: Once | None) -> Reply:
    uuid = operation_uuid(call)
    operation = call.deployment.steering.pause(call.requester, uuid, once=once)
    return Reply(views.show(operation), 202)


def _resume(call: Call, _nothing: None, once: Once | None) -> Reply:
    uuid = operation_uuid(call)
    operation = call.deployment.steering.resume(call.requester, uuid, once=once)
    return Reply(views.show(operation), 202)


def _abort(call: Call, _nothing: None, once: Once | None) -> Reply:
    uuid = operation_uuid(call)
    operation = call.deployment.steering.abort(call.requester, uuid, once=once)
    return Reply(views.show(operation), 202)


def _start(call: Call, _nothing: None, once: Once | None) -> Reply:
    """Of a plan: the operation that does what it says."""
    uuid = operation_uuid(call)
    operation = call.deployment.maintenance.start(call.requester, uuid, once=once)
    return Reply(views.show(operation), 202, {"X-Operation-Id": operation.uuid})


HANDLERS: Handlers = {
    "cancel": (policies.CANCEL, _cancel),
    "retry": (policies.RETRY, _retry),
    "abandon": (policies.ABANDON, _abandon),
    "pause": (policies.PAUSE, _pause),
    "resume": (policies.RESUME, _resume),
    "abort": (policies.ABORT, _abort),
    "start": (policies.START, _start),
}


def _page(call: Call) -> dict[str, Any]:
    state = call.query("state")
    return {
        "state": state and OperationState(state),
        "limit": call.query("limit") or LIMIT,
        "marker": call.query("marker"),
    }
