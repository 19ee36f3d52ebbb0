"""The steps by which a host that is gone for good leaves its pool: nothing is done at the host."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from nova_aggregates.flows.encounter import record_of
from nova_aggregates.flows.outcome import StepFailed
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.work import Work, endpoint_of
from nova_aggregates.objects import Finding, HostStatus, Severity
from nova_aggregates.xenapi.errors import (
    ConnectionLost,
    ObjectGone,
    TimedOut,
    Unreachable,
    XenError,
)
from nova_aggregates.xenapi.types import PoolView


@dataclasses.dataclass(frozen=True, slots=True)
class Forgetting:
    """What the steps know of the dead host."""

    host_uuid: str  # empty: no pool has a record of it
    last: bool  # nobody else is in the pool, so there is no pool any more


def forget_steps(work: Work) -> Sequence[Learn | Act[Forgetting]]:
    return (MakeSure(work), Forget(work), ReleaseDead(work))


class MakeSure(Learn):
    """A host that lives although its record was destroyed restarts its toolstack for ever
    (observed on xapi 26.17)."""

    label = "make_sure_host_is_dead"
    percent = 5

    def learn(self) -> Forgetting:
        work = self.work
        host = work.host()
        if not self._silent():
            raise _alive(work, "it answers")
        if work.pool() is None:
            return Forgetting("", last=False)
        if all(each.id == host.id for each in work.pool_hosts()):
            return Forgetting("", last=True)
        view = work.through_outage(self._look)
        record = record_of(host, view)
        if record is None:
            return Forgetting("", last=False)
        if record.live:
            raise _alive(work, "its master is in contact with it")
        return Forgetting(record.uuid, last=False)

    def _look(self) -> PoolView:
        with self.work.pool_session() as session:
            return self.work.observe_pool(session)

    def _silent(self) -> bool:
        """Whoever refuses to let us in is alive, too."""
        host = self.work.host()
        try:
            with self.work.hypervisor.host(
                endpoint_of(host, self.work.managers.hosts.credentials(host.id))
            ):
                return False
        except (ConnectionLost, TimedOut, Unreachable):
            return True
        except XenError:
            return False


def _alive(work: Work, evidence: str) -> StepFailed:
    name = work.operation.host
    finding = Finding(
        check="forget.dead",
        code="HOST_IS_LIVE",
        severity=Severity.BLOCKING,
        message=f"Host {name} is alive ({evidence}), so it cannot be forgotten.",
        cure="Remove it without forget; or switch the machine off for good, then repeat this.",
        ours=evidence,
    )
    return StepFailed.from_findings([finding])


class _ForgetStep(Act[Forgetting]):
    facts_type = Forgetting


class Forget(_ForgetStep):
    label = "forget_host"
    percent = 40

    def needed(self, facts: Forgetting) -> bool:
        return bool(facts.host_uuid)

    def act(self, facts: Forgetting) -> None:
        work = self.work
        with work.pool_session() as session:
            record = work.observe_pool(session).host(facts.host_uuid)
            if record is None:
                return
            if record.is_master:
                raise _alive(work, "it is the pool's master")
            work.announce("host.destroy")
            try:
                session.declare_dead(facts.host_uuid)
                session.destroy_host(facts.host_uuid)
            except ObjectGone:
                return


class ReleaseDead(_ForgetStep):
    label = "release_host"
    percent = 90
    half_way = True

    def act(self, facts: Forgetting) -> None:
        work = self.work
        host = work.host()
        if work.pool() is not None:
            work.managers.pools.left(work.operation, host.id)
        work.managers.hosts.set_status(host.id, HostStatus.DISABLED, "forgotten: it was dead")
        if facts.last:
            work.managers.pools.dissolve(work.operation, work.aggregate_id)
