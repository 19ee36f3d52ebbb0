"""/os-availability-zone: the zones of the hosts."""

from __future__ import annotations

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.ids import zone_rule
from nova_aggregates.api.policies import availability_zones as policies
from nova_aggregates.api.views import availability_zones as views


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    return Reply(views.index(call.deployment.services.index(zone_rule(call))))


def detail(call: Call) -> Reply:
    call.authorize(policies.DETAIL)
    return Reply(views.detail(call.deployment.services.index(zone_rule(call))))
