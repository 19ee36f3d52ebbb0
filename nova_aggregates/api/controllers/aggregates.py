"""/os-aggregates"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nova_aggregates.api.call import Call, Reply, accepted
from nova_aggregates.api.controllers.ids import aggregate_id
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.policies import aggregates as policies
from nova_aggregates.api.schemas import aggregates as schemas
from nova_aggregates.api.validation import Validator
from nova_aggregates.api.views import aggregates as views


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    zone = call.query("availability_zone")
    return Reply(views.index(call.deployment.aggregates.index(availability_zone=zone)))


def create(call: Call) -> Reply:
    call.authorize(policies.CREATE)
    wanted = call.body(schemas.CREATE)["aggregate"]
    aggregate = call.deployment.aggregates.create(
        call.requester, name=wanted["name"], availability_zone=wanted["availability_zone"]
    )
    return Reply(views.show(aggregate))


def show(call: Call) -> Reply:
    call.authorize(policies.SHOW)
    return Reply(views.show(call.deployment.aggregates.show(aggregate_id(call))))


def update(call: Call) -> Reply:
    call.authorize(policies.UPDATE)
    wanted = call.body(schemas.UPDATE)["aggregate"]
    result = call.deployment.aggregates.update(
        call.requester,
        aggregate_id(call),
        name=wanted.get("name"),
        availability_zone=wanted.get("availability_zone"),
    )
    return accepted(views.show(result.aggregate), result.operation)


def delete(call: Call) -> Reply:
    call.authorize(policies.DELETE)
    call.deployment.aggregates.delete(call.requester, aggregate_id(call))
    return Reply(None)


def action(call: Call) -> Reply:
    """Exactly one of ACTIONS, named by the body's only key."""
    body = call.body(schemas.ACTION)
    name = next(iter(body))
    if name not in ACTIONS:
        raise Fault(400, f"There is no such action. Known: {', '.join(ACTIONS)}.")
    rule, validator, handler = ACTIONS[name]
    call.authorize(rule)
    validator.check(body)
    return handler(call, body[name])


def _add_host(call: Call, arguments: dict[str, Any]) -> Reply:
    manager = call.deployment.aggregates
    result = manager.add_host(call.requester, aggregate_id(call), arguments["host"])
    return accepted(views.show(result.aggregate), result.operation)


def _remove_host(call: Call, arguments: dict[str, Any]) -> Reply:
    manager = call.deployment.aggregates
    result = manager.remove_host(call.requester, aggregate_id(call), arguments["host"])
    return accepted(views.show(result.aggregate), result.operation)


def _set_metadata(call: Call, arguments: dict[str, Any]) -> Reply:
    manager = call.deployment.aggregates
    aggregate = manager.set_metadata(call.requester, aggregate_id(call), arguments["metadata"])
    return Reply(views.show(aggregate))


ACTIONS: Mapping[str, tuple[str, Validator, Callable[[Call, dict[str, Any]], Reply]]] = {
    "add_host": (policies.ADD_HOST, schemas.ADD_HOST, _add_host),
    "remove_host": (policies.REMOVE_HOST, schemas.REMOVE_HOST, _remove_host),
    "set_metadata": (policies.SET_METADATA, schemas.SET_METADATA, _set_metadata),
}
