"""The action preflight: a look that a manager takes while the caller waits."""

from __future__ import annotations

import time

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.ids import aggregate_id, zone_rule
from nova_aggregates.api.views import operations as operation_views
from nova_aggregates.api.views import preflight as views
from nova_aggregates.objects import Action, Once, Operation

WAIT_SECONDS = 10.0
POLL_SECONDS = 0.1


def preflight(call: Call, wish: dict[str, str], once: Once | None) -> Reply:
    """The answer of the look; 202 with its operation when it takes longer than WAIT_SECONDS."""
    action, host = next((Action(name), host) for name, host in wish.items())
    queued = call.deployment.aggregates.preflight(
        call.requester, aggregate_id(call), action, host, zones=zone_rule(call), once=once
    )
    operation = await_end(call, queued.uuid)
    headers = {"X-Operation-Id": operation.uuid}
    if not operation.state.ended:
        return Reply(operation_views.show(operation), 202, headers)
    holdings = None
    if action is Action.REMOVE_HOST:
        holdings = call.deployment.hosts.show(host).holdings
    return Reply(views.show(operation, host, action, holdings), headers=headers)


def await_end(call: Call, uuid: str) -> Operation:
    """The operation once it has ended, or as it is when the time is over."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        operation = call.deployment.operations.show(uuid)
        if operation.state.ended or time.monotonic() >= deadline or not call.pause(POLL_SECONDS):
            return operation
