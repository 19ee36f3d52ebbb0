"""/os-hosts: status, maintenance and power of a host."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.call import Call, Reply, accepted
from nova_aggregates.api.controllers.actions import Handlers, dispatch
from nova_aggregates.api.controllers.preflight import await_end
from nova_aggregates.api.policies import hosts as policies
from nova_aggregates.api.schemas import maintenance as schemas
from nova_aggregates.api.text import is_name
from nova_aggregates.api.views import maintenance as views
from nova_aggregates.api.views import operations as operation_views
from nova_aggregates.exceptions import HostNotFound
from nova_aggregates.objects import Action, GuestPolicy, MaintenanceWish, Once


def update(call: Call) -> Reply:
    """Answers at once with the goal; the operation does the work."""
    call.authorize(policies.UPDATE)
    body = call.body(schemas.UPDATE)
    goal = call.deployment.maintenance.set(
        call.requester,
        _name(call),
        maintenance=_switch(body.get("maintenance_mode")),
        enabled=_switch(body.get("status")),
        wish=_wish(body),
        once=call.once(body),
    )
    return accepted(views.goal(goal), goal.operation)


def reboot(call: Call) -> Reply:
    call.authorize(policies.REBOOT)
    return _power(call, Action.REBOOT_HOST, "reboot")


def shutdown(call: Call) -> Reply:
    call.authorize(policies.SHUTDOWN)
    return _power(call, Action.SHUTDOWN_HOST, "shutdown")


def startup(call: Call) -> Reply:
    call.authorize(policies.STARTUP)
    return _power(call, Action.STARTUP_HOST, "startup")


def action(call: Call) -> Reply:
    return dispatch(call, HANDLERS, schemas.ACTIONS)


def _plan(call: Call, arguments: dict[str, Any], once: Once | None) -> Reply:
    """The plan; 202 with its operation when it takes long."""
    name = _name(call)
    queued = call.deployment.maintenance.plan(call.requester, name, _wish(arguments), once=once)
    operation = await_end(call, queued.uuid)
    headers = {"X-Operation-Id": operation.uuid}
    if not operation.state.ended:
        return Reply(operation_views.show(operation), 202, headers)
    return Reply(views.plan(operation, name), headers=headers)


HANDLERS: Handlers = {"plan_maintenance": (policies.PLAN, _plan)}


def _power(call: Call, verb: Action, told: str) -> Reply:
    name = _name(call)
    operation = call.deployment.maintenance.power(call.requester, name, verb, once=call.once())
    return accepted({"host": name, "power_action": told}, operation)


def _name(call: Call) -> str:
    name = call.params["name"]
    if not is_name(name):
        raise HostNotFound(host=name)
    return name


def _switch(value: str | None) -> bool | None:
    return None if value is None else value.lower() == "enable"


def _wish(body: dict[str, Any]) -> MaintenanceWish:
    return MaintenanceWish(
        concurrency=body.get("concurrency"),
        network=body.get("network", ""),
        policy=GuestPolicy(body.get("policy", GuestPolicy.REFUSE)),
    )
