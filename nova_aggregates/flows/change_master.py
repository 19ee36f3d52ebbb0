"""change_master: the role goes to the host that the operation names."""

from __future__ import annotations

from taskflow.patterns import linear_flow

from nova_aggregates.flows.encounter import record_of
from nova_aggregates.flows.handover import AwaitNewMaster, HandOver
from nova_aggregates.flows.leaving import LeaveStep, Leaving
from nova_aggregates.flows.outcome import StepFailed
from nova_aggregates.flows.settle import await_settled
from nova_aggregates.flows.step import Learn
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Finding, Severity

NAME = "change_master"


def build(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow(NAME).add(
        FindMaster(work), Settle(work), HandOver(work), AwaitNewMaster(work), SeeNewMaster(work)
    )


class FindMaster(Learn):
    label = "find_master"
    percent = 5

    def learn(self) -> Leaving:
        return self.work.through_outage(self._look)

    def _look(self) -> Leaving:
        work = self.work
        with work.pool_session() as session:
            view = work.observe_pool(session)
        chosen = record_of(work.host(), view)
        if chosen is None:
            raise StepFailed.from_findings(
                [
                    Finding(
                        check="master.member",
                        code="HOST_NOT_IN_POOL",
                        severity=Severity.BLOCKING,
                        message=f"Host {work.operation.host} is not in the pool, so it cannot be "
                        "its master.",
                        cure="Wait until it has joined, or add it, then repeat the request.",
                    )
                ]
            )
        return Leaving(
            host_uuid=view.master_uuid,
            pool_uuid=view.uuid,
            last=False,
            master=not chosen.is_master,
            successor=chosen.uuid,
            disabled=tuple(each.uuid for each in view.hosts if each.live and not each.enabled),
        )


class Settle(LeaveStep):
    label = "await_settled_pool"
    percent = 10

    def needed(self, facts: Leaving) -> bool:
        return facts.master

    def act(self, facts: Leaving) -> None:
        await_settled(self.work)


class SeeNewMaster(LeaveStep):
    label = "see_new_master"
    percent = 95
    half_way = True

    def act(self, facts: Leaving) -> None:
        with self.work.pool_session() as session:
            found = self.work.observe_pool(session)
        if found.master_uuid != facts.successor:
            now = found.master.name if found.master else "nobody"
            raise StepFailed.of(
                "MASTER_DIFFERS",
                f"Another host is the master now: {now}.",
                "Find out who changed it, then retry the operation or abandon it.",
            )
