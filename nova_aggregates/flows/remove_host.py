"""remove_host: a slave is ejected; a master hands over first; the last host gives the pool up."""

from __future__ import annotations

import dataclasses

from taskflow.patterns import linear_flow

from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.outcome import NotYet, StepFailed, blocking
from nova_aggregates.flows.settle import Patience, await_settled
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.work import Work, endpoint_of
from nova_aggregates.objects import Finding, Host, Pool, Severity
from nova_aggregates.xenapi.errors import (
    ApiFailure,
    AuthenticationFailed,
    PreconditionFailed,
    XenError,
)
from nova_aggregates.xenapi.types import HostView, PoolView, canonical_address

NAME = "remove_host"
ATTEMPTS = 3  # how often a change of master is asked for whose answer is lost


def build(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow(NAME).add(
        Inspect(work),
        AwaitSettled(work),
        HandOver(work),
        AwaitNewMaster(work),
        Eject(work),
        AwaitStandalone(work),
        ClearName(work),
        Release(work),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Leaving:
    """What the steps know of the leaving host and its pool."""

    host_uuid: str  # empty: it never was in a pool, so nothing has to be undone at XenServer
    pool_uuid: str
    last: bool  # the pool has no other host
    master: bool
    disabled: tuple[str, ...] = ()  # uuids of the other members that were disabled on purpose


class Inspect(Learn):
    """All findings at once, and nothing changed when one of them blocks."""

    label = "inspect_host"
    percent = 5

    def learn(self) -> Leaving:
        work = self.work
        if work.pool() is None:
            return Leaving(host_uuid="", pool_uuid="", last=False, master=False)
        with work.pool_session() as session:
            view = work.observe_pool(session)
            leaving = _record_of(work.host(), view)
            if leaving is None:
                return Leaving(work.host().xen_uuid or "", view.uuid, last=False, master=False)
            last = len(view.hosts) == 1
            # The last host is not ejected: it keeps its guests and its disks.
            found = () if last else work.hypervisor.leave_findings(session, leaving.uuid)
        if blocking(found):
            raise StepFailed.from_findings(found)
        work.seen(work.host(), leaving)
        return Leaving(
            host_uuid=leaving.uuid,
            pool_uuid=view.uuid,
            last=last,
            master=leaving.is_master,
            disabled=tuple(
                each.uuid
                for each in view.hosts
                if each.live and not each.enabled and each.uuid != leaving.uuid
            ),
        )


def _record_of(host: Host, view: PoolView) -> HostView | None:
    if host.xen_uuid:
        return view.host(host.xen_uuid)
    address = canonical_address(host.address)
    return next((each for each in view.hosts if each.address == address), None)


class _LeaveStep(Act[Leaving]):
    facts_type = Leaving


class AwaitSettled(_LeaveStep):
    label = "await_settled_pool"
    percent = 10

    def needed(self, facts: Leaving) -> bool:
        return bool(facts.host_uuid) and not facts.last

    def act(self, facts: Leaving) -> None:
        # Disabled for maintenance or half joined, the leaving host itself may be as it is.
        await_settled(self.work, ignoring=facts.host_uuid)


class _HandOverStep(_LeaveStep):
    def needed(self, facts: Leaving) -> bool:
        return facts.master and not facts.last


class HandOver(_HandOverStep):
    label = "hand_over_master"
    percent = 20

    def act(self, facts: Leaving) -> None:
        lost: XenError | None = None
        for _attempt in range(ATTEMPTS):
            try:
                if not self._ask(facts):
                    return
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

    def _ask(self, facts: Leaving) -> bool:
        """Whether there was anything to ask for."""
        with self.work.pool_session() as session:
            view = self.work.observe_pool(session)
            if view.master_uuid != facts.host_uuid:
                return False
            session.designate_new_master(self._choose(facts, view).uuid)
            return True

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
                "Decide: bring the members back, then remove the host again.",
                half_way=True,
            )

        return work.changed(look, work.timing.handover, late)

    def _choose(self, facts: Leaving, view: PoolView) -> HostView:
        """An enabled and live member that we know the way to; in the order of joining."""
        known = [uuid for uuid in self.work.registered() if uuid != facts.host_uuid]
        able = [view.host(uuid) for uuid in known]
        chosen = next((each for each in able if each and each.enabled and each.live), None)
        if chosen is None:
            others = ", ".join(each.name for each in view.hosts if each.uuid != facts.host_uuid)
            raise StepFailed.from_findings(
                [
                    Finding(
                        check="leave.successor",
                        code="NO_NEW_MASTER",
                        severity=Severity.BLOCKING,
                        message="The host is the pool's master and no other member can take over: "
                        f"of {others}, none is registered here, enabled and live.",
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
            session, host = self._new_master(facts, pool)
            with session:
                view = session.observe()
                work.managers.pools.set_master(work.operation, work.aggregate_id, host.id)
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
                f"Decide: bring the members back into service and remove host "
                f"{work.operation.host} again, or leave it in the aggregate.",
                half_way=True,
            )

        work.until(look, work.timing.handover, late)

    def _new_master(self, facts: Leaving, pool: Pool) -> tuple[Session, Host]:
        reasons = []
        for uuid, host in self.work.registered().items():
            if uuid == facts.host_uuid:
                continue
            try:
                session = self.work.hypervisor.pool(
                    [endpoint_of(host, pool.credentials)], pool.xen_uuid
                )
            except XenError as error:
                reasons.append(str(error))
                continue
            return session, host
        raise NotYet(" ".join(reasons) or "There is no other member.")

    @staticmethod
    def _excused(host: HostView, facts: Leaving, patience: Patience) -> bool:
        purpose = host.uuid in facts.disabled or host.uuid == facts.host_uuid
        return purpose and patience.at_rest(host)


class Eject(_LeaveStep):
    label = "eject_host"
    percent = 50

    def needed(self, facts: Leaving) -> bool:
        return bool(facts.host_uuid) and not facts.last

    def act(self, facts: Leaving) -> None:
        work = self.work
        with work.pool_session() as session:
            if work.observe_pool(session).host(facts.host_uuid) is None:
                return
            try:
                session.eject(facts.host_uuid)
            except ApiFailure as error:
                if session.observe().host(facts.host_uuid) is None:
                    return
                raise error
            except XenError as error:
                lost: XenError = error
            else:
                return
        if not self._took_place(facts, lost):
            raise lost

    def _took_place(self, facts: Leaving, lost: XenError) -> bool:
        work = self.work

        def look() -> bool:
            with work.pool_session() as session:
                view = work.observe_pool(session)
            gone = view.host(facts.host_uuid) is None
            if view.current_operations and not gone:
                raise NotYet(f"The pool is busy with {', '.join(view.current_operations)}.")
            return gone

        def late(reason: str) -> StepFailed:
            return StepFailed.of(
                "EJECT_OUTCOME_UNKNOWN",
                f"Whether the host was ejected is not clear. {lost} {reason}",
                "Look at the pool's master, then remove the host from the aggregate again: what "
                "is done already is not done twice.",
                half_way=True,
            )

        return work.changed(look, work.timing.eject, late)


class AwaitStandalone(_LeaveStep):
    label = "await_standalone_host"
    percent = 60
    half_way = True

    def needed(self, facts: Leaving) -> bool:
        return bool(facts.host_uuid) and not facts.last

    def act(self, facts: Leaving) -> None:
        work = self.work
        patience = Patience(work.timing.settle)

        def look() -> None:
            host = work.host()
            with self._session(host) as session:
                view = session.observe()
            own = view.host(facts.host_uuid)
            if own is None:
                raise NotYet(f"Another machine answers at {host.address}.")
            if view.uuid == facts.pool_uuid:
                raise NotYet("The host still shows its old pool.")
            if not own.live or not patience.at_rest(own):
                raise NotYet("The host is up but not in service yet.")
            work.seen(host, own)

        def late(reason: str) -> StepFailed:
            name = work.operation.host
            return StepFailed.of(
                "HOST_NOT_BACK",
                f"Host {name} left the pool but is not back as a host of its own after "
                f"{work.timing.eject:g} seconds. {reason}",
                f"Decide: bring host {name} back (console, network, address) and remove it from "
                "the aggregate again, or delete its registration after that.",
                half_way=True,
            )

        work.until(look, work.timing.eject, late)

    def _session(self, host: Host) -> Session:
        """An ejected host keeps the pool's password; one that was ejected while it could not
        fetch that has its own."""
        pool = self.work.established()
        try:
            return self.work.hypervisor.host(endpoint_of(host, pool.credentials))
        except AuthenticationFailed:
            own = self.work.managers.hosts.credentials(host.id)
            if own == pool.credentials:
                raise
            return self.work.hypervisor.host(endpoint_of(host, own))


class ClearName(_LeaveStep):
    label = "clear_pool_name"
    percent = 70

    def needed(self, facts: Leaving) -> bool:
        return facts.last

    def act(self, facts: Leaving) -> None:
        with self.work.pool_session() as session:
            if self.work.observe_pool(session).name:
                session.set_name("")
                if session.observe().name:
                    raise StepFailed.of(
                        "POOL_NAME_DIFFERS",
                        "The pool keeps its name although it was just cleared.",
                        "Somebody else names it; find out who, then repeat the request.",
                    )


class Release(_LeaveStep):
    """The service's own records: the host is free, with the credentials that it now takes."""

    label = "release_host"
    percent = 95
    half_way = True

    def act(self, facts: Leaving) -> None:
        work = self.work
        work.managers.pools.left(work.operation, work.host().id)
        if facts.last:
            work.managers.pools.dissolve(work.operation, work.aggregate_id)
