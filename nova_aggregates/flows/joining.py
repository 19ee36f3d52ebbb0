"""The steps by which a further host joins the aggregate's pool."""

from __future__ import annotations

import dataclasses
import enum
import time
from collections.abc import Sequence

from nova_aggregates.flows.encounter import meet
from nova_aggregates.flows.outcome import NotYet, StepFailed, blocking
from nova_aggregates.flows.settle import await_settled
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Action, Finding
from nova_aggregates.xenapi.errors import ApiFailure, XenError
from nova_aggregates.xenapi.types import PoolView

STARTING = "HOST_STILL_BOOTING"
TLS_CHECK = "join.tls_verification"  # its name in nova_aggregates.xenapi.preflight


@dataclasses.dataclass(frozen=True, slots=True)
class Joining:
    """What the steps know of the joining host."""

    host_uuid: str
    own_pool_uuid: str  # of its pool of one before; empty when it was a member at first contact
    member: bool  # it was in the pool at first contact: an earlier attempt got that far


def join_steps(work: Work) -> Sequence[Learn | Act[Joining]]:
    return (
        MeetJoiner(work),
        AwaitSettled(work),
        Preflight(work),
        VerifyCertificates(work),
        Join(work),
        AwaitMember(work),
        SyncDatabase(work),
        Admit(work),
    )


class MeetJoiner(Learn):
    label = "identify_host"
    percent = 2

    def learn(self) -> Joining:
        met = meet(self.work)
        if met.member:
            self.work.found_done("the host is in the pool")
        own = "" if met.member or met.view is None else met.view.uuid
        return Joining(met.host_uuid, own, met.member)


class _JoinStep(Act[Joining]):
    facts_type = Joining


class AwaitSettled(_JoinStep):
    label = "await_settled_pool"
    percent = 5

    def needed(self, facts: Joining) -> bool:
        return not facts.member

    def act(self, facts: Joining) -> None:
        await_settled(self.work, ignoring=facts.host_uuid)


class Preflight(_JoinStep):
    """All reasons at once, and nothing changed when there is one."""

    label = "preflight"
    percent = 15

    def needed(self, facts: Joining) -> bool:
        return not facts.member

    def act(self, facts: Joining) -> None:
        work = self.work
        found: tuple[Finding, ...] = ()

        def look() -> None:
            nonlocal found
            found = join_findings(work)
            # A host that was just ejected answers before its network is set up again.
            if any(finding.code == STARTING for finding in blocking(found)):
                raise NotYet("The host is still starting.")

        def late(_reason: str) -> StepFailed:
            return StepFailed.from_findings(found)

        work.until(look, work.timing.handover, late, through_outages=False)
        against = blocking(found)
        if against:
            rest = [each for each in found if each not in against]
            raise StepFailed.from_findings([*against, *rest])


def join_findings(work: Work) -> tuple[Finding, ...]:
    """What speaks against the join, without what the flow itself will mend."""
    with work.host_session(work.host()) as joiner, work.pool_session() as pool:
        found = work.hypervisor.join_findings(joiner, pool)
        if not (any(each.check == TLS_CHECK for each in found) and was_ejected(work)):
            return found
        verifies = pool.observe().tls_verification_enabled
    return tuple(each for each in found if not (verifies and each.check == TLS_CHECK))


class VerifyCertificates(_JoinStep):
    """An ejected host comes back without the verification that its old pool may demand."""

    label = "enable_tls_verification"
    percent = 25
    repeatable = True

    def needed(self, facts: Joining) -> bool:
        return not facts.member

    def act(self, facts: Joining) -> None:
        work = self.work
        if not was_ejected(work):
            return
        with work.pool_session() as pool:
            if not pool.observe().tls_verification_enabled:
                return
        with work.host_session(work.host()) as joiner:
            view = joiner.observe()
            if view.uuid == facts.own_pool_uuid and not view.tls_verification_enabled:
                joiner.enable_tls_verification()


def was_ejected(work: Work) -> bool:
    """Whether we ejected the host before: only then it is ours to mend that its TLS verification
    is off. On any other host that is its administrator's decision."""
    past = work.managers.operations.index(host=work.operation.host)
    return any(each.action is Action.REMOVE_HOST and each.state.ended for each in past)


class _Place(enum.Enum):
    ALONE = "the host still answers as the master of its own pool"
    MEMBER = "the pool has the host"
    UNCLEAR = "neither"


class Join(_JoinStep):
    label = "join_pool"
    percent = 35

    def needed(self, facts: Joining) -> bool:
        return not facts.member

    def act(self, facts: Joining) -> None:
        place, view = self._look(facts)
        if place is _Place.UNCLEAR or (place is _Place.ALONE and view.host(facts.host_uuid)):
            # A record beside a host that still stands alone: either an earlier join was agreed to
            # and the host has not restarted yet, or it failed after making the record.
            place = self._await_clarity(facts)
        if place is _Place.MEMBER:
            return
        work = self.work
        if work.announce("pool.join") and self._await_clarity(facts) is _Place.MEMBER:
            return
        if view.master is None:
            raise StepFailed.of(
                "POOL_HAS_NO_MASTER", "The pool names no master.", "Look at the pool's master."
            )
        credentials = work.established().credentials
        try:
            with work.host_session(work.host()) as joiner:
                joiner.join(view.master.address, credentials.username, credentials.password)
        except ApiFailure:
            raise
        except XenError as error:
            if self._await_clarity(facts) is _Place.ALONE:
                raise StepFailed.from_xen(error) from None

    def undo(self, facts: Joining) -> None:
        """A join that fails late leaves a record without a host in the pool."""
        place, view = self._look(facts)
        record = view.host(facts.host_uuid)
        if place is _Place.ALONE and record is not None and not (record.enabled or record.live):
            with self.work.pool_session() as session:
                session.destroy_host(facts.host_uuid)

    def _look(self, facts: Joining) -> tuple[_Place, PoolView]:
        alone = self._alone(facts)
        with self.work.pool_session() as session:
            view = self.work.observe_pool(session)
        if alone:
            return _Place.ALONE, view
        return (_Place.MEMBER if view.host(facts.host_uuid) else _Place.UNCLEAR), view

    def _alone(self, facts: Joining) -> bool:
        try:
            with self.work.host_session(self.work.host()) as session:
                return session.observe().uuid == facts.own_pool_uuid
        except XenError:
            return False

    def _await_clarity(self, facts: Joining) -> _Place:
        """MEMBER, or ALONE once that lasts longer than a restart is put off."""
        work = self.work

        def look() -> bool:
            place, _view = self._look(facts)
            if place is _Place.UNCLEAR:
                raise NotYet("The host does not answer, and the pool does not have it.")
            return place is _Place.MEMBER

        def late(reason: str) -> StepFailed:
            return StepFailed.of(
                "JOIN_OUTCOME_UNKNOWN",
                f"Whether the host joined the pool is not clear after {work.timing.join:g} "
                f"seconds. {reason}",
                "Find out at the host's console whether it is a member. If so, repeat the request; "
                "if not, restart it, then remove it from the aggregate and add it again.",
                half_way=True,
            )

        return _Place.MEMBER if work.changed(look, work.timing.join, late) else _Place.ALONE


class AwaitMember(_JoinStep):
    label = "await_member"
    percent = 55
    half_way = True

    def act(self, facts: Joining) -> None:
        work = self.work
        live_since: float | None = None

        def look() -> None:
            nonlocal live_since
            with work.pool_session() as session:
                view = work.observe_pool(session)
                host = view.host(facts.host_uuid)
                if host is None:
                    raise NotYet("The pool's database does not have the host.")
                if not host.live:
                    live_since = None
                    raise NotYet("The host is not live yet.")
                if not host.enabled:
                    # One that was disabled to stay so across restarts waits for a word.
                    live_since = live_since or time.monotonic()
                    if time.monotonic() - live_since >= work.timing.settle:
                        session.enable(facts.host_uuid)
                    raise NotYet("The host is live but not enabled yet.")
                if not host.shared_storage_attached:
                    raise NotYet(
                        f"Shared storage is not attached: {', '.join(host.storage_missing)}."
                    )
                work.seen(work.host(), host)

        def late(reason: str) -> StepFailed:
            name = work.operation.host
            return StepFailed.of(
                "JOIN_NOT_COMPLETED",
                f"Host {name} has joined the pool but is not in service after "
                f"{work.timing.join:g} seconds. {reason}",
                f"Decide: mend host {name} (network to the master, storage, pending updates) and "
                "repeat the request, or remove it from the aggregate again.",
                half_way=True,
            )

        work.until(look, work.timing.join, late)


class SyncDatabase(_JoinStep):
    """A member that took over in an emergency would not know hosts that joined after the last
    backup that it holds."""

    label = "sync_database"
    percent = 90
    half_way = True

    def act(self, facts: Joining) -> None:
        work = self.work

        def look() -> None:
            with work.pool_session() as session:
                session.sync_database()

        def late(reason: str) -> StepFailed:
            return StepFailed.of(
                "DATABASE_NOT_SYNCED",
                f"The host is in service, but the pool's database could not be copied to all "
                f"members. {reason}",
                "Run xe pool-sync-database at the master, then repeat the request.",
                half_way=True,
            )

        work.until(look, work.timing.join, late)


class Admit(_JoinStep):
    """From now on the host takes the pool's credentials, and its own are gone."""

    label = "admit_host"
    percent = 95
    half_way = True

    def act(self, facts: Joining) -> None:
        work = self.work
        work.managers.pools.joined(work.operation, work.host().id, work.established().credentials)
