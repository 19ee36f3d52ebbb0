"""remove_host: a slave is ejected; a master hands over first; the last host gives the pool up."""

from __future__ import annotations

from taskflow.patterns import linear_flow

from nova_aggregates.flows.departure import Departure, judge
from nova_aggregates.flows.encounter import record_of
from nova_aggregates.flows.forgetting import forget_steps
from nova_aggregates.flows.handover import AwaitNewMaster, HandOver
from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.inventory import NOTHING
from nova_aggregates.flows.leaving import LeaveStep, Leaving
from nova_aggregates.flows.outcome import NotYet, StepFailed, blocking
from nova_aggregates.flows.settle import Patience, await_settled
from nova_aggregates.flows.step import Learn
from nova_aggregates.flows.work import Work, endpoint_of
from nova_aggregates.objects import Host, HostStatus
from nova_aggregates.xenapi.errors import (
    AuthenticationFailed,
    PreconditionFailed,
    XenError,
)

NAME = "remove_host"


def build(work: Work) -> linear_flow.Flow:
    if work.operation.parameters.get("forget"):
        return linear_flow.Flow(f"{NAME}.forget").add(*forget_steps(work))
    return linear_flow.Flow(NAME).add(
        Inspect(work),
        AwaitSettled(work),
        HandOver(work),
        AwaitNewMaster(work),
        Eject(work),
        AwaitStandalone(work),
        RestoreVerification(work),
        ClearName(work),
        Release(work),
    )


class Inspect(Learn):
    """All findings at once, and nothing changed when one of them blocks."""

    label = "inspect_host"
    percent = 5

    def learn(self) -> Leaving:
        return self.work.through_outage(self._look)

    def _look(self) -> Leaving:
        work = self.work
        if work.pool() is None:
            return Leaving(host_uuid="", pool_uuid="", last=False, master=False)
        with work.pool_session() as session:
            view = work.observe_pool(session)
            leaving = record_of(work.host(), view)
            if leaving is None:
                if work.host().xen_uuid:
                    work.found_done("the host has left the pool")
                return Leaving(work.host().xen_uuid or "", view.uuid, last=False, master=False)
            last = len(view.hosts) == 1
            # The last host is not ejected: it keeps its guests and its disks.
            departure = Departure((), NOTHING)
            if not last:
                confirm = work.operation.parameters.get("confirm")
                departure = judge(work, session, leaving.uuid, confirm)
        work.seen(work.host(), leaving, departure.holdings)
        if blocking(departure.findings):
            raise StepFailed.from_findings(departure.findings)
        return Leaving(
            host_uuid=leaving.uuid,
            pool_uuid=view.uuid,
            last=last,
            master=leaving.is_master,
            verifying=view.tls_verification_enabled,
            disabled=tuple(
                each.uuid
                for each in view.hosts
                if each.live and not each.enabled and each.uuid != leaving.uuid
            ),
        )


class AwaitSettled(LeaveStep):
    label = "await_settled_pool"
    percent = 10

    def needed(self, facts: Leaving) -> bool:
        return bool(facts.host_uuid) and not facts.last

    def act(self, facts: Leaving) -> None:
        # Disabled for maintenance or half joined, the leaving host itself may be as it is.
        await_settled(self.work, ignoring=facts.host_uuid)


class Eject(LeaveStep):
    label = "eject_host"
    percent = 50

    def needed(self, facts: Leaving) -> bool:
        return bool(facts.host_uuid) and not facts.last

    def act(self, facts: Leaving) -> None:
        work = self.work
        with work.pool_session() as session:
            if work.observe_pool(session).host(facts.host_uuid) is None:
                return
            if work.announce("pool.eject") and self._took_place(facts):
                return
            try:
                session.eject(facts.host_uuid)
            except PreconditionFailed:
                raise
            except XenError as error:
                lost = error
            else:
                return
        if not self._took_place(facts):
            raise lost

    def _took_place(self, facts: Leaving) -> bool:
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
                f"Whether the host was ejected is not clear. {reason}",
                "Look at the pool's master, then remove the host from the aggregate again: what "
                "is done already is not done twice.",
                half_way=True,
            )

        return work.changed(look, work.timing.eject, late)


class AwaitStandalone(LeaveStep):
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
            with _left_session(work, host) as session:
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


def _left_session(work: Work, host: Host) -> Session:
    """An ejected host keeps the pool's password; one that was ejected while it could not fetch
    that has its own."""
    pool = work.established()
    try:
        return work.hypervisor.host(endpoint_of(host, pool.credentials))
    except AuthenticationFailed:
        own = work.managers.hosts.credentials(host.id)
        if own == pool.credentials:
            raise
        return work.hypervisor.host(endpoint_of(host, own))


class RestoreVerification(LeaveStep):
    """An eject turns the host's verification of certificates off (xapi: scripts/reset-and-reboot).
    Left so, no host that verifies could ever join it, nor it a pool that does."""

    label = "restore_tls_verification"
    percent = 65
    half_way = True
    repeatable = True

    def needed(self, facts: Leaving) -> bool:
        return facts.verifying and not facts.last

    def act(self, facts: Leaving) -> None:
        with _left_session(self.work, self.work.host()) as session:
            view = session.observe()
            if view.uuid != facts.pool_uuid and not view.tls_verification_enabled:
                session.enable_tls_verification()


class ClearName(LeaveStep):
    label = "clear_pool_name"
    percent = 70
    repeatable = True

    def needed(self, facts: Leaving) -> bool:
        return facts.last

    def act(self, facts: Leaving) -> None:
        with self.work.pool_session() as session:
            if self.work.observe_pool(session).name:
                self.work.point_of_no_return("the pool's name is being cleared")
                session.set_name("")
                if session.observe().name:
                    raise StepFailed.of(
                        "POOL_NAME_DIFFERS",
                        "The pool keeps its name although it was just cleared.",
                        "Somebody else names it; find out who, then repeat the request.",
                    )


class Release(LeaveStep):
    """The service's own records: the host is free, with the credentials that it now takes."""

    label = "release_host"
    percent = 95
    half_way = True

    def act(self, facts: Leaving) -> None:
        work = self.work
        host = work.host()
        if self._kept_its_own(host):
            work.managers.hosts.set_status(host.id, HostStatus.DISABLED)
        else:
            work.managers.pools.left(work.operation, host.id)
        if facts.last:
            work.managers.pools.dissolve(work.operation, work.aggregate_id)

    def _kept_its_own(self, host: Host) -> bool:
        """A host whose join ended half-way may never have taken the pool's password."""
        pool = self.work.pool()
        own = self.work.managers.hosts.credentials(host.id)
        if pool is None or own == pool.credentials:
            return False
        try:
            with self.work.hypervisor.host(endpoint_of(host, own)):
                return True
        except XenError:
            return False
