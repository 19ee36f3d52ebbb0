"""Who may do what with hosts."""

from __future__ import annotations

from nova_aggregates.api.policies.base import OPERATOR_RULE, documented

PREFIX = "os_compute_api:os-hosts"
INDEX = f"{PREFIX}:list"
SHOW = f"{PREFIX}:show"
REGISTER = f"{PREFIX}:register"
REGISTRATION = f"{PREFIX}:registration"
DELETE = f"{PREFIX}:delete"
UPDATE = f"{PREFIX}:update"
REBOOT = f"{PREFIX}:reboot"
SHUTDOWN = f"{PREFIX}:shutdown"
STARTUP = f"{PREFIX}:startup"
PLAN = f"{PREFIX}:plan_maintenance"

RULES = (
    documented(INDEX, "List the hosts.", "GET /os-hosts"),
    documented(SHOW, "Show the resources of a host.", "GET /os-hosts/{name}"),
    documented(REGISTER, "Register a host with its credentials.", "POST /os-hosts"),
    documented(
        REGISTRATION,
        "Show how a host is registered (never its password).",
        "GET /os-hosts/{name}/registration",
    ),
    documented(DELETE, "Forget a host that is in no aggregate.", "DELETE /os-hosts/{name}"),
    documented(
        UPDATE,
        "Enable or disable a host; put it into maintenance or end that.",
        "PUT /os-hosts/{name}",
        who=OPERATOR_RULE,
    ),
    documented(
        REBOOT, "Reboot a host in maintenance.", "GET /os-hosts/{name}/reboot", who=OPERATOR_RULE
    ),
    documented(
        SHUTDOWN,
        "Shut a host in maintenance down.",
        "GET /os-hosts/{name}/shutdown",
        who=OPERATOR_RULE,
    ),
    documented(
        STARTUP, "Start a host in maintenance.", "GET /os-hosts/{name}/startup", who=OPERATOR_RULE
    ),
    documented(
        PLAN,
        "See where the guests of a host would go.",
        "POST /os-hosts/{name}/action",
        who=OPERATOR_RULE,
    ),
)
