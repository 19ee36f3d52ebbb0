"""/os-services: the compute service of every host."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.call import Call, Reply, accepted
from nova_aggregates.api.controllers.ids import service_key, zone_rule
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import Version
from nova_aggregates.api.policies import services as policies
from nova_aggregates.api.schemas import services as schemas
from nova_aggregates.api.schemas.types import TRUE
from nova_aggregates.api.text import is_name
from nova_aggregates.api.views import services as views
from nova_aggregates.exceptions import HostNotFound
from nova_aggregates.manager.services import ServiceChange
from nova_aggregates.objects import HostStatus, ServiceGoal

BY_UUID = Version(2, 53)
FORCED_DOWN = Version(2, 11)


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    binary = call.query("binary")
    found = []
    if binary in (None, "", views.BINARY):
        found = call.deployment.services.index(zone_rule(call), host=call.query("host") or None)
    return Reply(views.index(found, call.version))


def update(call: Call) -> Reply:
    call.authorize(policies.UPDATE)
    if call.version >= BY_UUID:
        return _update_by_uuid(call)
    return _update_by_name(call)


def delete(call: Call) -> Reply:
    call.authorize(policies.DELETE)
    call.deployment.services.delete(call.requester, service_key(call))
    return Reply(None, 204)


def _update_by_uuid(call: Call) -> Reply:
    key = service_key(call)
    body = call.body(schemas.UPDATE)
    status, reason = body.get("status"), body.get("disabled_reason")
    if status is None and "forced_down" not in body:
        raise Fault(400, "Nothing is asked for: give status, forced_down or both.")
    if status != HostStatus.DISABLED and reason:
        raise Fault(400, "disabled_reason goes with the status disabled only.")
    change = ServiceChange(
        status=HostStatus(status) if status else None,
        reason=reason,
        forced_down=_flag(body["forced_down"]) if "forced_down" in body else None,
    )
    goal = _set(call, key, change, body)
    return accepted(views.show(goal.service, call.version), goal.operation)


def _update_by_name(call: Call) -> Reply:
    action = call.params["id"]
    body = call.body(schemas.UPDATE)
    change = _change(action, body, call.version)
    if body["binary"] != views.BINARY:
        raise Fault(400, f"Only {views.BINARY} services can be changed.")
    if not is_name(body["host"]):
        raise HostNotFound(host=body["host"])
    host = call.deployment.hosts.show(body["host"])
    goal = _set(call, host.id, change, body)
    view = views.forced_down if action == "force-down" else views.status_set
    return accepted(view(goal.service), goal.operation)


def _set(call: Call, key: int | str, change: ServiceChange, body: dict[str, Any]) -> ServiceGoal:
    return call.deployment.services.change(
        call.requester, zone_rule(call), key, change, once=call.once(body)
    )


def _change(action: str, body: dict[str, Any], version: Version) -> ServiceChange:
    if action == "enable":
        return ServiceChange(HostStatus.ENABLED)
    if action == "disable":
        return ServiceChange(HostStatus.DISABLED)
    if action == "disable-log-reason":
        if "disabled_reason" not in body:
            raise Fault(400, "The body lacks disabled_reason.")
        return ServiceChange(HostStatus.DISABLED, body["disabled_reason"])
    if action == "force-down" and version >= FORCED_DOWN:
        if "forced_down" not in body:
            raise Fault(400, "The body lacks forced_down.")
        return ServiceChange(forced_down=_flag(body["forced_down"]))
    raise Fault(404, f"Services have no action {action[:64]}.")


def _flag(value: bool | str) -> bool:
    return str(value).lower() in TRUE
