"""The configuration: one module a group, all registered on ``oslo.config`` by :func:`register`."""

from __future__ import annotations

from collections.abc import Iterable

from oslo_config import cfg

from nova_aggregates.conf import (
    api,
    audit,
    auth,
    coordination,
    credentials,
    database,
    maintenance,
    manager,
    metrics,
    rate_limit,
    webhooks,
    xenapi,
)

GROUPS = (
    api,
    audit,
    auth,
    coordination,
    credentials,
    database,
    maintenance,
    manager,
    metrics,
    rate_limit,
    webhooks,
    xenapi,
)


def register(conf: cfg.ConfigOpts) -> None:
    """Register every option of the service on ``conf``."""
    for module in GROUPS:
        conf.register_group(module.GROUP)
        conf.register_opts(module.OPTS, group=module.GROUP)


def list_opts() -> Iterable[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Options by group, for oslo-config-generator."""
    return [(module.GROUP, module.OPTS) for module in GROUPS]
