"""/os-aggregates"""

from __future__ import annotations

from typing import Any

from oslo_log import log

from nova_aggregates.api.call import Call, Reply, accepted
from nova_aggregates.api.controllers.actions import Handlers, dispatch
from nova_aggregates.api.controllers.ids import aggregate_id, zone_rule
from nova_aggregates.api.controllers.paging import next_page, search
from nova_aggregates.api.controllers.preflight import preflight
from nova_aggregates.api.controllers.rolling import rolling_update
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import LEGACY
from nova_aggregates.api.policies import aggregates as policies
from nova_aggregates.api.schemas import aggregates as schemas
from nova_aggregates.api.views import aggregates as views
from nova_aggregates.api.views import drift as drift_views
from nova_aggregates.api.views import maintenance as maintenance_views
from nova_aggregates.api.views import plans
from nova_aggregates.objects import Once

LOG = log.getLogger(__name__)


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    manager = call.deployment.aggregates

    def build() -> Reply:
        page = manager.search(search(call))
        document = views.index(page.aggregates, call.version)
        if not page.more:
            return Reply(document)
        following = next_page(call, page.aggregates[-1].id)
        document["aggregates_links"] = [{"rel": "next", "href": following}]
        return Reply(document, headers={"Link": f'<{following}>; rel="next"'})

    return call.unless_unchanged(manager.generation, build)


def create(call: Call) -> Reply:
    call.authorize(policies.CREATE)
    body = call.body(schemas.CREATE)
    wanted = body["aggregate"]
    aggregate = call.deployment.aggregates.create(
        call.requester,
        name=wanted["name"],
        availability_zone=wanted.get("availability_zone"),
        zones=zone_rule(call),
        once=call.once(body),
    )
    return Reply(views.created(aggregate, call.version))


def show(call: Call) -> Reply:
    call.authorize(policies.SHOW)
    manager, number = call.deployment.aggregates, aggregate_id(call)
    return call.unless_unchanged(
        lambda: manager.generation_of(number),
        lambda: Reply(views.show(manager.show(number), call.version)),
    )


def update(call: Call) -> Reply:
    call.authorize(policies.UPDATE)
    body = call.body(schemas.UPDATE)
    wanted = body["aggregate"]
    if "name" in wanted:
        wanted["name"] = wanted["name"].strip()
    result = call.deployment.aggregates.update(
        call.requester,
        aggregate_id(call),
        name=wanted.get("name"),
        availability_zone=wanted.get("availability_zone"),
        zones=zone_rule(call),
        expected=call.expected,
        once=call.once(body),
    )
    return accepted(views.show(result.aggregate, call.version), result.operation)


def delete(call: Call) -> Reply:
    call.authorize(policies.DELETE)
    call.deployment.aggregates.delete(
        call.requester, aggregate_id(call), expected=call.expected, once=call.once()
    )
    return Reply(None)


def images(call: Call) -> Reply:
    """As Nova on a hypervisor without an image cache: what was asked for is noted, that is all."""
    call.authorize(policies.IMAGES)
    wanted = [image["id"] for image in call.body(schemas.IMAGES)["cache"]]
    if len(set(wanted)) < len(wanted):
        raise Fault(400, "An image is in the request twice.")
    aggregate = call.deployment.aggregates.show(aggregate_id(call))
    LOG.info(
        "images not cached, XenServer hosts have no cache for them: aggregate=%s images=%s",
        aggregate.id,
        ",".join(wanted),
    )
    return Reply(None, 202)


def set_hosts(call: Call) -> Reply:
    call.authorize(policies.SET_HOSTS)
    body = call.body(schemas.HOSTS)
    planned = call.deployment.aggregates.set_hosts(
        call.requester,
        aggregate_id(call),
        body["hosts"],
        body.get("master"),
        zones=zone_rule(call),
        expected=call.expected,
        once=call.once(body),
    )
    return Reply(plans.show(planned, call.version))


def drift(call: Call) -> Reply:
    """Also of a deleted aggregate, whose pool may still be there."""
    call.authorize(policies.DRIFT)
    return Reply(drift_views.index(call.deployment.drift.index(aggregate_id(call))))


def headroom(call: Call) -> Reply:
    call.authorize(policies.HEADROOM)
    return Reply(maintenance_views.headroom(call.deployment.upkeep.headroom(aggregate_id(call))))


def action(call: Call) -> Reply:
    return dispatch(call, HANDLERS, schemas.ACTIONS)


def _add_host(call: Call, arguments: dict[str, Any], once: Once | None) -> Reply:
    result = call.deployment.aggregates.add_host(
        call.requester,
        aggregate_id(call),
        arguments["host"],
        zones=zone_rule(call),
        expected=call.expected,
        once=once,
    )
    return accepted(views.show(result.aggregate, call.version), result.operation)


def _remove_host(call: Call, arguments: dict[str, Any], once: Once | None) -> Reply:
    manager = call.deployment.aggregates
    result = manager.remove_host(
        call.requester,
        aggregate_id(call),
        arguments["host"],
        forget=arguments.get("forget", False),
        confirm=arguments.get("confirm"),
        expected=call.expected,
        once=once,
    )
    return accepted(views.show(result.aggregate, call.version), result.operation)


def _set_metadata(call: Call, arguments: dict[str, Any], once: Once | None) -> Reply:
    metadata = arguments["metadata"]
    if call.version == LEGACY:
        # There "" removes a key, as null does everywhere.
        metadata = {key: value or None for key, value in metadata.items()}
    aggregate = call.deployment.aggregates.set_metadata(
        call.requester,
        aggregate_id(call),
        metadata,
        zones=zone_rule(call),
        expected=call.expected,
        once=once,
    )
    return Reply(views.show(aggregate, call.version))


HANDLERS: Handlers = {
    "add_host": (policies.ADD_HOST, _add_host),
    "remove_host": (policies.REMOVE_HOST, _remove_host),
    "set_metadata": (policies.SET_METADATA, _set_metadata),
    "preflight": (policies.PREFLIGHT, preflight),
    "rolling_update": (policies.ROLLING_UPDATE, rolling_update),
}
