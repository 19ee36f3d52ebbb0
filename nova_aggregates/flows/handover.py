"""The steps by which a master that leaves hands its role to another member."""

from __future__ import annotations

import dataclasses

from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.leaving import LeaveStep, Leaving
from nova_aggregates.flows.outcome import NotYet, StepFailed
from nova_aggregates.flows.settle import Patience, await_settled
from nova_aggregates.flows.work import endpoint_of
from nova_aggregates.objects import Finding, Pool, Severity
from nova_aggregates.xenapi.errors import PreconditionFailed, XenError
from nova_aggregates.xenapi.types import HostView, PoolView

ATTEMPTS = 3  # how often a change of master is asked for whose answer is lost


class _HandOverStep(LeaveStep):
    def needed(self, facts: Leaving) -> bool:
        return facts.master and not facts.last


class HandOver(_HandOverStep):
    label = "hand_over_master"
    percent = 20

    def act(self, facts: Leaving) -> None:
        lost: XenError | None = None
        for _attempt in range(ATTEMPTS):
            with self.work.pool_session() as session:
                view = self.work.observe_pool(session)
                if view.master_uuid != facts.host_uuid:
                    return
                successor = self._choose(facts, view)
                if self.work.announce("pool.designate_new_master") and self._took_place(facts):
                    return
                try:
                    session.designate_new_master(successor.uuid)
                except PreconditionFailed:
                    raise
                except XenError as error:
                    # Its answer was lost, or an earlier manager asked before it died.
                    lost = error
                else:
                    return
            if self._took_place(facts):
                return
        raise lost or AssertionError("no attempt was made")

    def undo(self, facts: Leaving) -> None:
        """The role goes back to a master that stays after all, once the pool is at rest.

        :raises StepFailed: the old master is not fit for it, or the pool does not come to rest.
        """
        with self.work.pool_session() as session:
            view = self.work.observe_pool(session)
        if view.master_uuid == facts.host_uuid or view.host(facts.host_uuid) is None:
            return
        view = await_settled(self.work)
        back = dataclasses.replace(facts, host_uuid=view.master_uuid, successor=facts.host_uuid)
        self.act(back)
        AwaitNewMaster(self.work).act(back)

    def _took_place(self, facts: Leaving) -> bool:
        work = self.work

        def look() -> bool:
            with work.pool_session() as session:
                view = work.observe_pool(session)
            if view.current_operations:
                raise NotYet(f"The pool is busy with {', '.join(view.current_operations)}.")
            return view.master_uuid != facts.host_uuid

        def late(reason: str) -> StepFailed:
            return StepFailed.of(
                "HAND_OVER_OUTCOME_UNKNOWN",
                f"The pool was told to change its master and is not to be reached since. {reason}",
                "Decide: bring the members back, then repeat the request.",
                half_way=True,
            )

        return work.changed(look, work.timing.handover, late)

    def _choose(self, facts: Leaving, view: PoolView) -> HostView:
        """An enabled and live member that we know the way to; in the order of joining."""
        known = [uuid for uuid in self.work.registered() if uuid != facts.host_uuid]
        if facts.successor:
            known = [facts.successor]
        able = [view.host(uuid) for uuid in known]
        chosen = next((each for each in able if each and each.enabled and each.live), None)
        if chosen is None:
            unfit = (each for each in view.hosts if each.uuid != facts.host_uuid)
            others = ", ".join(each.name for each in unfit if facts.successor in ("", each.uuid))
            raise StepFailed.from_findings(
                [
                    Finding(
                        check="leave.successor",
                        code="NO_NEW_MASTER",
                        severity=Severity.BLOCKING,
                        message="No member can take over the master's role: "
                        f"of {others or 'nobody'}, none is registered here, enabled and live.",
                        cure="Bring another member into service, then repeat the request.",
                    )
                ]
            )
        return chosen


class AwaitNewMaster(_HandOverStep):
    """The old master answers for some seconds more, but what is written there is lost: so only
    the new one is asked."""

    label = "await_new_master"
    percent = 30
    half_way = True

    def act(self, facts: Leaving) -> None:
        work = self.work
        pool = work.established()
        patience = Patience(work.timing.settle)

        def look() -> None:
            with self._new_master(facts, pool) as session:
                view = work.observe_pool(session)
                restless = [
                    each.name
                    for each in view.hosts
                    if not (each.live and each.enabled) and not self._excused(each, facts, patience)
                ]
                if restless:
                    raise NotYet(f"Not back in service yet: {', '.join(restless)}.")
                # The change of master enabled them all.
                for uuid in facts.disabled:
                    again = view.host(uuid)
                    if again is not None and again.enabled:
                        session.disable(uuid)

        def late(reason: str) -> StepFailed:
            return StepFailed.of(
                "HAND_OVER_NOT_COMPLETED",
                f"The pool was told to change its master, but was not back in service after "
                f"{work.timing.handover:g} seconds. {reason}",
                "Decide: bring the members back into service and repeat the request, or leave the "
                "master's role where it is.",
                half_way=True,
            )

        work.until(look, work.timing.handover, late)

    def _new_master(self, facts: Leaving, pool: Pool) -> Session:
        reasons = []
        for uuid, host in self.work.registered().items():
            if uuid == facts.host_uuid:
                continue
            candidates = [endpoint_of(host, pool.credentials)]
            try:
                return self.work.hypervisor.pool(candidates, pool.xen_uuid)
            except XenError as error:
                reasons.append(str(error))
        raise NotYet(" ".join(reasons) or "There is no other member.")

    @staticmethod
    def _excused(host: HostView, facts: Leaving, patience: Patience) -> bool:
        purpose = host.uuid in facts.disabled or host.uuid == facts.host_uuid
        return purpose and patience.at_rest(host)
