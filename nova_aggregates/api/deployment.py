"""What the application is made of.

PasteDeploy's factories get strings only, so :func:`loading` holds the deployment for them while
the paste file is loaded; one process may load several.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator

from oslo_config import cfg

from nova_aggregates.api.answers import Answers
from nova_aggregates.api.feed import Feed
from nova_aggregates.api.policies import Policy
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import (
    AggregateManager,
    DriftManager,
    HostManager,
    HypervisorManager,
    MaintenanceManager,
    OperationManager,
    ServiceManager,
    StatisticsManager,
    SteeringManager,
    UpkeepManager,
)
from nova_aggregates.networks import Networks


@dataclasses.dataclass(frozen=True, slots=True)
class Deployment:
    conf: cfg.ConfigOpts
    policy: Policy
    aggregates: AggregateManager
    hosts: HostManager
    services: ServiceManager
    hypervisors: HypervisorManager
    operations: OperationManager
    drift: DriftManager
    maintenance: MaintenanceManager
    steering: SteeringManager
    upkeep: UpkeepManager
    feed: Feed
    answers: Answers
    statistics: StatisticsManager
    networks: Networks  # in which hosts may be

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Deployment:
        """The managers on the configured database. No connection is opened yet.

        :raises ConfigurationInvalid: an option cannot be used.
        """
        database = Database.from_conf(conf)
        secrets = SecretBox(conf.credentials.key_file)
        operations = OperationManager(database, secrets)
        services = ServiceManager.from_conf(conf, database)
        return cls(
            conf=conf,
            policy=Policy(conf),
            aggregates=AggregateManager(database, secrets),
            hosts=HostManager(database, secrets),
            services=services,
            hypervisors=HypervisorManager(database, services),
            operations=operations,
            drift=DriftManager(database, secrets),
            maintenance=MaintenanceManager(database, secrets),
            steering=SteeringManager(database, secrets),
            upkeep=UpkeepManager(database, secrets),
            # Half of the connections are left for everybody else.
            feed=Feed(operations, most_readers=max(1, conf.api.max_connections // 2)),
            answers=Answers(conf.api.answers_bytes),
            statistics=StatisticsManager(database, conf.database.connection),
            networks=Networks(conf.xenapi.networks, "[xenapi] networks"),
        )


_current: contextvars.ContextVar[Deployment] = contextvars.ContextVar("deployment")


@contextlib.contextmanager
def loading(deployment: Deployment) -> Iterator[None]:
    """Paste factories called in this block build for ``deployment``."""
    token = _current.set(deployment)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Deployment:
    """The deployment that is being loaded.

    :raises LookupError: a paste factory was called outside :func:`loading`.
    """
    return _current.get()
