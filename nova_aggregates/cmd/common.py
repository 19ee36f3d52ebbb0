"""What all daemons share at their start: options, the log, the checks that must pass first, and
one line instead of a traceback when the operator has to mend something."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from importlib import metadata

import prometheus_client
from oslo_config import cfg
from oslo_log import log

from nova_aggregates import conf as options
from nova_aggregates import metrics
from nova_aggregates.db import migration
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import ConfigurationInvalid, NovaAggregatesError
from nova_aggregates.flows.locks import Locks
from nova_aggregates.flows.webhooks import WebhookSettings
from nova_aggregates.manager.drift_kinds import policies_of

PROJECT = "nova-aggregates"
# Libraries that tell every step of their own work at INFO.
QUIET = ("oslo_service=WARN", "oslo.service=WARN", "alembic=WARN", "migrate=WARN", "tooz=WARN")


def configure(prog: str, argv: Sequence[str]) -> cfg.ConfigOpts:
    """Options from the command line and the configuration files, and the log set up by them.

    :raises cfg.Error: an option is unknown or has a bad value.
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), *QUIET])
    options.register(conf)
    conf(list(argv), project=PROJECT, prog=prog, version=metadata.version("nova-aggregates"))
    log.setup(conf, PROJECT)
    # py.warnings would tell operators about the deprecations of our libraries.
    logging.captureWarnings(False)
    return conf


def check(conf: cfg.ConfigOpts) -> None:
    """What must be in order before a daemon forks or listens.

    :raises SchemaMismatch: the database is older or newer than this release.
    :raises DatabaseUnavailable: it does not answer.
    :raises ConfigurationInvalid: the key file is missing or readable by others.
    """
    migration.check(conf.database.connection)
    SecretBox(conf.credentials.key_file)


def check_locks(conf: cfg.ConfigOpts) -> None:
    """What a manager needs besides.

    :raises ConfigurationInvalid: the lock service, the webhooks or a policy cannot be used.
    """
    policies_of(conf.audit.policies)
    WebhookSettings.from_conf(conf)
    Locks(conf.coordination.backend_url).close()


def serve_metrics(conf: cfg.ConfigOpts) -> None:
    """Serve /metrics of a daemon that has no API, if a port is configured.

    :raises ConfigurationInvalid: the port is taken.
    """
    group = conf.metrics
    if not group.manager_port:
        return
    try:
        prometheus_client.start_http_server(
            group.manager_port, str(group.manager_host), registry=metrics.registry()
        )
    except OSError as error:
        raise ConfigurationInvalid(
            what=f"{group.manager_host}:{group.manager_port} cannot be listened on "
            f"({error.strerror})",
            cure="change manager_host or manager_port in [metrics].",
        ) from None


def run(prog: str, main: Callable[[Sequence[str]], int]) -> int:
    """Call ``main`` with the command line; what the operator can mend becomes one line and 1."""
    try:
        return main(sys.argv[1:])
    except (NovaAggregatesError, cfg.Error) as error:
        line = " ".join(str(error).split())
        print(f"{prog}: {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
