"""The action rolling_update of an aggregate."""

from __future__ import annotations

from typing import Any

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.ids import aggregate_id
from nova_aggregates.api.controllers.preflight import await_end
from nova_aggregates.api.views import operations as views
from nova_aggregates.objects import Once


def rolling_update(call: Call, arguments: dict[str, Any], once: Once | None) -> Reply:
    """Its operation; a dry run has the plan in its details as soon as it has ended."""
    wish = {key: value for key, value in arguments.items() if key not in ("action", "dry_run")}
    wish["do"] = arguments["action"]
    dry_run = arguments.get("dry_run", False)
    operation = call.deployment.maintenance.roll(
        call.requester, aggregate_id(call), wish, dry_run=dry_run, once=once
    )
    if dry_run:
        operation = await_end(call, operation.uuid)
    return Reply(views.show(operation), 202, {"X-Operation-Id": operation.uuid})
