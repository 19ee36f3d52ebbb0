"""The policy: one documented rule a verb."""

from __future__ import annotations

import operator
import time
from typing import Any

from oslo_config import cfg
from oslo_context.context import RequestContext
from oslo_log import log
from oslo_policy import policy

from nova_aggregates.api.policies import (
    aggregates,
    availability_zones,
    base,
    extensions,
    hosts,
    hypervisors,
    limits,
    operations,
    services,
)
from nova_aggregates.exceptions import ConfigurationInvalid

LOG = log.getLogger(__name__)

RELOAD_SECONDS = 5.0
REMEMBERED = 4096  # decisions
# Rules that ask somebody else, whose answers may change at any time.
_REMOTE = ("http:", "https:")
# Everything that RequestContext.to_policy_values() tells a rule of the caller.
_facts = operator.attrgetter(
    "user_id",
    "user_domain_id",
    "system_scope",
    "domain_id",
    "project_id",
    "project_domain_id",
    "is_admin_project",
    "service_user_id",
    "service_user_domain_id",
    "service_project_id",
    "service_project_domain_id",
)


def list_rules() -> list[policy.RuleDefault]:
    """Every rule, for the generators of oslo.policy and for :class:`Policy`."""
    modules = (
        base,
        aggregates,
        hosts,
        services,
        hypervisors,
        availability_zones,
        operations,
        extensions,
        limits,
    )
    return [rule for module in modules for rule in module.RULES]


def get_enforcer() -> policy.Enforcer:
    """The rules as configured on this machine, for the tools of oslo.policy."""
    conf = cfg.ConfigOpts()
    conf([], project="nova-aggregates")
    return _enforcer(conf)


class Policy:
    """Answers whether a caller may do something.

    oslo.policy looks for its files at each question; here at most every RELOAD_SECONDS. Between two
    looks the same question has the same answer, which is remembered.

    :raises ConfigurationInvalid: the policy file cannot be used.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._enforcer = _enforcer(conf)
        self._enforcer.use_conf = False
        self._reload_at = 0.0
        self._decided: dict[Any, bool] = {}
        self._lasting = True
        try:
            self._reload()
        except (ValueError, OSError) as error:
            raise ConfigurationInvalid(
                what=f"The policy file {conf.oslo_policy.policy_file} cannot be used ({error})",
                cure="mend it, or remove it to get the defaults.",
            ) from None

    def allows(self, rule: str, context: RequestContext) -> bool:
        """:param rule: the name of one of :func:`list_rules`."""
        if time.monotonic() >= self._reload_at:
            try:
                self._reload()
            except (ValueError, OSError) as error:
                LOG.error("policy file cannot be used; the former rules stay: %s", error)
        key = (rule, *_facts(context), tuple(context.roles), tuple(context.service_roles))
        decision = self._decided.get(key)
        if decision is None:
            decision = self._decide(rule, context)
            if self._lasting and len(self._decided) < REMEMBERED:
                self._decided[key] = decision
        return decision

    def _decide(self, rule: str, context: RequestContext) -> bool:
        target = {"project_id": context.project_id, "user_id": context.user_id}
        return bool(self._enforcer.authorize(rule, target, context))

    def is_reader(self, context: RequestContext) -> bool:
        """Whether the caller may see what belongs to no project."""
        return self.allows(base.READER, context)

    def _reload(self) -> None:
        self._reload_at = time.monotonic() + RELOAD_SECONDS
        self._enforcer.use_conf = True
        try:
            self._enforcer.load_rules()
        finally:
            self._enforcer.use_conf = False
        self._decided.clear()
        texts = [str(check) for check in self._enforcer.rules.values()]
        self._lasting = not any(remote in text for text in texts for remote in _REMOTE)


def _enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults(list_rules())
    return enforcer
