"""set_status and follow_maintenance: whether a host takes new guests, where none are moved."""

from __future__ import annotations

import dataclasses

from taskflow.patterns import linear_flow

from nova_aggregates.flows import xencenter
from nova_aggregates.flows.end_maintenance import bring_into_service
from nova_aggregates.flows.maintenance import disable, require_live, require_member
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import HostStatus, MaintenanceMode
from nova_aggregates.xenapi.types import HostView

BY_REQUEST = "by request"  # where there is no room for a reason
OTHERS = "maintenance by another tool"


def build(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow("set_status").add(FindHost(work), SetService(work))


def build_follow(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow("follow_maintenance").add(LookAtMaintenance(work), Follow(work))


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    host_uuid: str
    enabled: bool
    marked: bool = False  # XenCenter's key says that it is in maintenance


class FindHost(Learn):
    label = "find_host"
    percent = 5

    def learn(self) -> Found:
        return self.work.through_outage(self._look)

    def _look(self) -> Found:
        with self.work.pool_session() as session:
            view = self.work.observe_pool(session, guests=False)
        record = require_live(self.work.host(), view)
        return Found(record.uuid, record.enabled)


class ServiceStep(Act[Found]):
    facts_type = Found


class SetService(ServiceStep):
    label = "set_service"
    percent = 30
    repeatable = True

    def act(self, facts: Found) -> None:
        work = self.work
        host = work.host()
        if work.operation.parameters["enabled"]:
            bring_into_service(work, facts.host_uuid, host.name)
            work.managers.hosts.set_status(host.id, HostStatus.ENABLED)
        else:
            disable(work, facts.host_uuid)
            reason = work.operation.parameters.get("reason", BY_REQUEST)
            work.managers.hosts.set_status(host.id, HostStatus.DISABLED, reason)


class LookAtMaintenance(Learn):
    label = "look_at_maintenance"
    percent = 10

    def learn(self) -> Found:
        return self.work.through_outage(self._look)

    def _look(self) -> Found:
        with self.work.pool_session() as session:
            view = self.work.observe_pool(session, guests=False)
        record = require_member(self.work.host(), view)
        return Found(record.uuid, record.enabled, xencenter.is_on(record.other_config))


class Follow(ServiceStep):
    """A host that is marked stays out of service, whatever a boot made of it; one that another
    tool took into maintenance, or out of it, is recorded so."""

    label = "follow_maintenance"
    percent = 50
    repeatable = True

    def act(self, facts: Found) -> None:
        work = self.work
        host = work.host()
        on = host.maintenance_mode is MaintenanceMode.ON
        upkeep = work.managers.upkeep
        if facts.marked and on:
            disable(work, facts.host_uuid)
        elif facts.marked and not facts.enabled:
            upkeep.set_mode(
                work.operation, host.id, MaintenanceMode.ON, HostStatus.DISABLED, OTHERS
            )
        elif on and facts.enabled:
            upkeep.settled(work.operation, host.id)
            upkeep.set_mode(work.operation, host.id, MaintenanceMode.OFF, HostStatus.ENABLED, None)


def differs(record: HostView, mode: MaintenanceMode) -> bool:
    """Whether a look is due: the pool says something else than the record."""
    if not record.live:
        return False
    if mode is MaintenanceMode.ON:
        return record.enabled
    return xencenter.is_on(record.other_config) and not record.enabled
