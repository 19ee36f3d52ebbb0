"""The rules that all others refer to: who counts as what.

The role "reader" alone is not enough to read: Keystone gives it to every member of every project.
"""

from __future__ import annotations

from oslo_policy import policy

ADMIN = "context_is_admin"
ADMIN_RULE = f"rule:{ADMIN}"

OPERATOR = "context_is_operator"
OPERATOR_RULE = f"rule:{OPERATOR}"
READER = "context_is_reader"
READER_RULE = f"rule:{READER}"
ANYBODY = "@"  # whose credentials are valid

RULES = (
    policy.RuleDefault(ADMIN, "role:admin", "Who counts as an administrator."),
    policy.RuleDefault(
        OPERATOR,
        f"{ADMIN_RULE} or role:aggregates_operator",
        "Who may take hosts in and out of service.",
    ),
    policy.RuleDefault(
        READER,
        f"{OPERATOR_RULE} or role:aggregates_reader or (role:reader and system_scope:all)",
        "Who may see everything and change nothing.",
    ),
)


def documented(
    name: str, description: str, *operations: str, who: str | None = None
) -> policy.DocumentedRuleDefault:
    """A rule for readers when it is about GET only, else for administrators.

    :param operations: each as ``METHOD /path`` below /v1.1/{project}.
    :param who: another check.
    """
    reads = all(operation.startswith("GET ") for operation in operations)
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=who or (READER_RULE if reads else ADMIN_RULE),
        description=description,
        operations=[
            {"method": method, "path": f"/v1.1/{{project}}{path}"}
            for method, path in (operation.split() for operation in operations)
        ],
    )
