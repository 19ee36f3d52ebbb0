"""The rules: what may happen to aggregates, hosts and operations, and when."""

from nova_aggregates.manager.aggregates import AggregateManager
from nova_aggregates.manager.drift import DriftManager
from nova_aggregates.manager.hosts import HostManager
from nova_aggregates.manager.hypervisors import HypervisorManager
from nova_aggregates.manager.maintenance import MaintenanceManager
from nova_aggregates.manager.operations import OperationManager
from nova_aggregates.manager.pools import PoolManager
from nova_aggregates.manager.services import ServiceManager
from nova_aggregates.manager.statistics import StatisticsManager
from nova_aggregates.manager.steering import SteeringManager
from nova_aggregates.manager.upkeep import UpkeepManager
from nova_aggregates.manager.webhooks import WebhookManager
from nova_aggregates.objects import Accepted

__all__ = [
    "Accepted",
    "AggregateManager",
    "DriftManager",
    "HostManager",
    "HypervisorManager",
    "MaintenanceManager",
    "OperationManager",
    "PoolManager",
    "ServiceManager",
    "StatisticsManager",
    "SteeringManager",
    "UpkeepManager",
    "WebhookManager",
]
