"""The manager as a service of oslo.service."""

from __future__ import annotations

import logging

from oslo_config import cfg
from oslo_service import service

from nova_aggregates import metrics
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.flows.audit import Audit
from nova_aggregates.flows.driver import XenServer
from nova_aggregates.flows.engine import Runner, RunnerSettings
from nova_aggregates.flows.headroom import HeadroomWatch
from nova_aggregates.flows.housekeeping import Housekeeping
from nova_aggregates.flows.locks import Locks
from nova_aggregates.flows.persistence import Logbooks
from nova_aggregates.flows.watch import HostWatch
from nova_aggregates.flows.webhooks import Webhooks, WebhookSettings
from nova_aggregates.flows.work import Managers, Timing
from nova_aggregates.manager import (
    AggregateManager,
    DriftManager,
    HostManager,
    OperationManager,
    PoolManager,
    SteeringManager,
    UpkeepManager,
    WebhookManager,
)
from nova_aggregates.xenapi import connection

LOG = logging.getLogger(__name__)
STOP_SECONDS = 10.0  # for operations to reach a safe point; one that does not is killed unharmed


class ManagerService(service.ServiceBase):
    """Opens nothing before :meth:`start`, which runs after the launcher has forked."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._runner: Runner | None = None
        self._watch: HostWatch | None = None
        self._webhooks: Webhooks | None = None
        self._housekeeping: Housekeeping | None = None
        self._audit: Audit | None = None
        self._headroom: HeadroomWatch | None = None
        self._locks: Locks | None = None
        self._stopped = False

    def start(self) -> None:
        conf = self._conf
        database = Database.from_conf(conf)
        secrets = SecretBox(conf.credentials.key_file)
        managers = Managers(
            AggregateManager(database, secrets),
            HostManager(database, secrets),
            OperationManager(database, secrets),
            PoolManager(database, secrets),
            UpkeepManager(database, secrets),
            SteeringManager(database, secrets),
        )
        hypervisor = XenServer(conf)
        if metrics.xenapi_call not in connection.observers:
            connection.observers.append(metrics.xenapi_call)
        self._locks = Locks(conf.coordination.backend_url, namespace=conf.coordination.namespace)
        self._runner = Runner(
            RunnerSettings.from_conf(conf),
            managers,
            hypervisor,
            Timing.from_conf(conf),
            Logbooks(database),
            self._locks,
        )
        self._watch = HostWatch(managers, hypervisor, conf.manager.observe_interval)
        self._webhooks = Webhooks(
            WebhookSettings.from_conf(conf),
            managers.operations,
            WebhookManager(database, secrets),
            self._locks,
        )
        self._webhooks.start()
        self._housekeeping = Housekeeping(managers.operations)
        self._housekeeping.start()
        self._audit = Audit.from_conf(conf, managers, DriftManager(database, secrets), hypervisor)
        self._audit.start()
        self._headroom = HeadroomWatch(managers, hypervisor, conf.maintenance.headroom_interval)
        self._headroom.start()
        self._runner.start()
        self._watch.start()
        LOG.info("manager.started owner=%s", self._runner.owner)

    def stop(self) -> None:
        self._stopped = True
        for helper in (self._webhooks, self._housekeeping, self._audit, self._headroom):
            if helper is not None:
                helper.stop()
        if self._watch is not None:
            self._watch.stop()
        if self._runner is not None:
            self._runner.stop()

    def wait(self) -> None:
        """After :meth:`stop` until the operations under way are at a safe point."""
        if not self._stopped or self._runner is None:
            return
        if not self._runner.wait(STOP_SECONDS):
            LOG.warning(
                "manager.stopped_midway aggregates=%s", ",".join(map(str, self._runner.busy))
            )
        if self._locks is not None:
            self._locks.close()
            self._locks = None

    def reset(self) -> None:
        """Nothing is kept that SIGHUP would have to renew."""
