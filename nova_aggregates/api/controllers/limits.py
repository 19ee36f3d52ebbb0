"""/limits: what dashboards ask for first."""

from __future__ import annotations

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.policies import limits as policies
from nova_aggregates.api.views import limits as views


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    return Reply(views.index(call.version))
