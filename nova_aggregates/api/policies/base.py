"""The rule that all others refer to."""

from __future__ import annotations

from oslo_policy import policy

ADMIN = "context_is_admin"
ADMIN_RULE = f"rule:{ADMIN}"

RULES = (policy.RuleDefault(ADMIN, "role:admin", "Who counts as an administrator."),)


def documented(name: str, description: str, *operations: str) -> policy.DocumentedRuleDefault:
    """An admin-only rule. Operations are given as ``METHOD /path`` below /v1.1/{project}."""
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=ADMIN_RULE,
        description=description,
        operations=[
            {"method": method, "path": f"/v1.1/{{project}}{path}"}
            for method, path in (operation.split() for operation in operations)
        ],
    )
