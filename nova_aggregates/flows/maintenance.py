"""maintenance_on: a host is emptied and taken out of service so that it stays so."""

from __future__ import annotations

import dataclasses
from typing import Any

from taskflow.patterns import linear_flow

from nova_aggregates.flows import xencenter
from nova_aggregates.flows.encounter import record_of
from nova_aggregates.flows.evacuation import Evacuation
from nova_aggregates.flows.handover import AwaitNewMaster, HandOver
from nova_aggregates.flows.leaving import Leaving
from nova_aggregates.flows.outcome import StepFailed
from nova_aggregates.flows.progress import Board, Progress
from nova_aggregates.flows.settle import await_settled
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.translation import finding_of
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import (
    Finding,
    GuestPolicy,
    Host,
    HostStatus,
    MaintenanceMode,
    Placement,
    PlacementState,
    Severity,
)
from nova_aggregates.xenapi.evacuation.facts import PoolFacts
from nova_aggregates.xenapi.evacuation.plan import Plan, Settings, network_uuid, plan
from nova_aggregates.xenapi.types import HostView, PoolView

NAME = "maintenance_on"
REASON = "maintenance"


def build(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow(NAME).add(
        PlanMaintenance(work),
        AwaitSettled(work),
        SaveGuests(work),
        DisableHost(work),
        PassRoleOn(work),
        SeeRolePassed(work),
        EmptyHost(work),
        VerifyEmpty(work),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Emptying(Leaving):
    """What the steps know of the host and of how it is to be emptied."""

    enabled: bool = True  # before
    concurrency: int = 3
    network: str = ""  # uuid; empty: the management network
    policy: str = GuestPolicy.REFUSE.value


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """A host and the plan to empty it."""

    view: PoolView
    host: HostView
    facts: PoolFacts
    plan: Plan
    findings: tuple[Finding, ...]  # those that block


def look(work: Work, host: Host, parameters: dict[str, Any]) -> Look:
    """
    :param parameters: of a MaintenanceWish.
    :raises StepFailed: the host is not in the pool, or not live.
    """
    policy = GuestPolicy(parameters.get("policy", GuestPolicy.REFUSE))
    with work.pool_session() as session:
        view = work.observe_pool(session, guests=False)
        record = require_live(host, view)
        facts = session.upkeep.facts()
    made = plan(
        facts,
        {record.uuid},
        Settings(
            concurrency=parameters.get("concurrency") or work.timing.emptying.concurrency,
            bandwidth=work.timing.emptying.bandwidth,
            network=parameters.get("network") or "",
        ),
    )
    movable = {guest.uuid for guest in facts.guests if guest.power_state == "Running"}
    blocked = [
        finding_of(each.finding)
        for each in made.blockers
        if policy is GuestPolicy.REFUSE
        or (policy is GuestPolicy.SHUT_DOWN and each.guest not in movable)
    ]
    general = [finding_of(each) for each in made.findings]
    findings = (*general, *_about_role(view, record), *blocked)
    return Look(view, record, facts, made, findings)


def _about_role(view: PoolView, host: HostView) -> list[Finding]:
    if not (host.is_master and view.ha_enabled and len(view.hosts) > 1):
        return []
    return [
        Finding(
            check="evacuate.master",
            code="HA_IS_ENABLED",
            severity=Severity.BLOCKING,
            message=f"Host {host.name} is the master, and its role cannot be handed over while "
            "high availability is on.",
            cure="Turn high availability off for the time of the maintenance (a rolling update "
            "does that by itself).",
            ours=host.name,
        )
    ]


def require_member(host: Host, view: PoolView) -> HostView:
    """:raises StepFailed: the pool does not have the host."""
    record = record_of(host, view)
    if record is None:
        raise refused(
            "maintenance.member",
            "HOST_NOT_IN_POOL",
            f"Host {host.name} is not in the pool.",
            "Wait until it has joined, or add it, then repeat the request.",
        )
    return record


def require_live(host: Host, view: PoolView) -> HostView:
    """:raises StepFailed: the pool does not have the host, or no contact with it."""
    record = require_member(host, view)
    if not record.live:
        raise refused(
            "maintenance.live",
            "HOST_NOT_LIVE",
            f"The pool has no contact with host {host.name}.",
            "Start the host, or look at its network and its toolstack.",
        )
    return record


def refused(check: str, code: str, message: str, cure: str) -> StepFailed:
    return StepFailed.from_findings([Finding(check, code, Severity.BLOCKING, message, cure)])


def document(found: Look) -> dict[str, Any]:
    """The plan as the API shows it."""
    names = {host.uuid: host.name for host in found.facts.hosts}
    return {
        "guests": [
            {
                "guest": move.guest,
                "name": move.name,
                "to": names[move.destination],
                "memory_mb": move.memory // 2**20,
            }
            for move in found.plan.moves
        ],
        "blockers": [
            {
                "guest": each.guest,
                "name": each.name,
                "code": each.finding.code,
                "message": each.finding.message,
                "cure": each.finding.cure,
            }
            for each in found.plan.blockers
        ],
        "seconds": round(found.plan.seconds, 1),
        "load": [
            {
                "host": each.name,
                "guests": each.guests,
                "vcpus": each.vcpus,
                "memory_mb": each.memory // 2**20,
                "memory_mb_free": each.memory_free // 2**20,
            }
            for each in found.plan.load
        ],
    }


def names_of(view: PoolView) -> dict[str, str]:
    return {host.uuid: host.name for host in view.hosts}


class PlanMaintenance(Learn):
    """All blockers at once, and nothing changed when one of them counts."""

    label = "plan_maintenance"
    percent = 2

    def learn(self) -> Emptying:
        return self.work.through_outage(self._look)

    def _look(self) -> Emptying:
        work = self.work
        parameters = dict(work.operation.parameters)
        found = look(work, work.host(), parameters)
        Board(work).put("plan", document(found), now=True)
        if found.findings:
            raise StepFailed.from_findings(found.findings)
        return emptying(work, found, parameters)


def emptying(work: Work, found: Look, parameters: dict[str, Any]) -> Emptying:
    others = [each for each in found.view.hosts if each.uuid != found.host.uuid]
    return Emptying(
        host_uuid=found.host.uuid,
        pool_uuid=found.view.uuid,
        last=not others,
        master=found.host.is_master,
        # The change of master enables them all, this host as well where it knows no better.
        disabled=(
            *(each.uuid for each in others if each.live and not each.enabled),
            found.host.uuid,
        ),
        enabled=found.host.enabled,
        concurrency=parameters.get("concurrency") or work.timing.emptying.concurrency,
        network=network_uuid(found.facts, parameters.get("network") or ""),
        policy=GuestPolicy(parameters.get("policy", GuestPolicy.REFUSE)).value,
    )


class EmptyingStep(Act[Emptying]):
    facts_type = Emptying


class AwaitSettled(EmptyingStep):
    label = "await_settled_pool"
    percent = 4

    def needed(self, facts: Emptying) -> bool:
        return facts.master and not facts.last

    def act(self, facts: Emptying) -> None:
        await_settled(self.work, ignoring=facts.host_uuid)


class SaveGuests(EmptyingStep):
    label = "save_guests"
    percent = 6
    repeatable = True

    def act(self, facts: Emptying) -> None:
        save_guests(self.work, self.work.host(), facts)

    def undo(self, facts: Emptying) -> None:
        with self.work.pool_session() as session:
            session.upkeep.set_host_keys(facts.host_uuid, xencenter.NONE)


def save_guests(work: Work, host: Host, facts: Emptying) -> None:
    """Who belongs to the host, in the database and where XenCenter looks. Guests that left it
    before and did not come back yet are remembered, too."""
    with work.pool_session() as session:
        present = session.upkeep.guests_on(facts.host_uuid)
        known = {each.guest: each for each in work.managers.upkeep.placements(host.id)}
        begun = (PlacementState.LEAVING, PlacementState.STOPPING)
        guests = {each.uuid for each in present}
        foreign = {
            each.guest
            for each in work.managers.upkeep.placements_of(guests)
            if each.host_id != host.id
        }
        new = [
            Placement(host.id, each.uuid, each.name, each.memory, PlacementState.WAITING, "", 0)
            for each in present
            if each.uuid not in foreign
            and (each.uuid not in known or known[each.uuid].state not in begun)
        ]
        work.managers.upkeep.place(work.operation, new)
        belong = [*known, *(each.guest for each in new if each.guest not in known)]
        stopped = [
            uuid for uuid in belong if uuid in known and known[uuid].state is PlacementState.STOPPED
        ]
        moved = [uuid for uuid in belong if uuid not in stopped]
        session.upkeep.set_host_keys(facts.host_uuid, xencenter.keys(moved, stopped))


class DisableHost(EmptyingStep):
    label = "disable_host"
    percent = 8
    repeatable = True

    def act(self, facts: Emptying) -> None:
        disable(self.work, facts.host_uuid)

    def undo(self, facts: Emptying) -> None:
        if facts.enabled:
            enable(self.work, facts.host_uuid)


def disable(work: Work, host_uuid: str) -> None:
    """So that it stays so when the host or its toolstack restarts, where the release knows how."""
    with work.pool_session() as session:
        record = work.observe_pool(session, guests=False).host(host_uuid)
        if record is not None and record.enabled:
            session.disable(host_uuid)


def enable(work: Work, host_uuid: str) -> None:
    with work.pool_session() as session:
        record = work.observe_pool(session, guests=False).host(host_uuid)
        if record is not None and not record.enabled:
            session.enable(host_uuid)


class PassRoleOn(HandOver):
    facts_type = Emptying
    percent = 10


class SeeRolePassed(AwaitNewMaster):
    facts_type = Emptying
    percent = 15


class EmptyHost(EmptyingStep):
    label = "move_guests"
    percent = 20

    def act(self, facts: Emptying) -> None:
        work = self.work
        empty(work, work.host(), facts, Board(work))


def empty(work: Work, host: Host, facts: Emptying, board: Board) -> tuple[Finding, ...]:
    """Move every guest off the host; those that stay by the request's own wish.

    :raises StepFailed: a guest cannot leave; nobody was stopped who should not be.
    """
    with work.pool_session() as session:
        names = names_of(work.observe_pool(session, guests=False))
    evacuation = Evacuation(
        work,
        host.id,
        facts.host_uuid,
        facts.concurrency,
        facts.network,
        Progress(board, host.name, names),
        GuestPolicy(facts.policy),
    )
    evacuation.run()
    skipped = tuple(evacuation.skipped.values())
    if skipped:
        told = tuple(dataclasses.replace(each, severity=Severity.INFO) for each in skipped)
        work.managers.operations.findings(work.operation, told)
    return skipped


class VerifyEmpty(EmptyingStep):
    label = "verify_empty"
    percent = 95

    def act(self, facts: Emptying) -> None:
        work = self.work
        policy = GuestPolicy(facts.policy)
        verify_empty(work, facts.host_uuid, may_stay=policy is GuestPolicy.SKIP)
        refresh_keys(work, work.host(), facts.host_uuid)
        work.managers.upkeep.set_mode(
            work.operation, work.host().id, MaintenanceMode.ON, HostStatus.DISABLED, REASON
        )


def verify_empty(work: Work, host_uuid: str, *, may_stay: bool) -> None:
    """:raises StepFailed: a guest is there, or the host takes new ones."""
    with work.pool_session() as session:
        record = work.observe_pool(session, guests=False).host(host_uuid)
        left = session.upkeep.guests_on(host_uuid)
    if record is None or record.enabled:
        raise StepFailed.of(
            "HOST_ENABLED_BY_OTHERS",
            "Somebody enabled the host while it was being emptied.",
            "Find out who did it, then retry the operation.",
        )
    if left and not may_stay:
        told = ", ".join(guest.name for guest in left)
        raise StepFailed.of(
            "GUESTS_LEFT",
            f"Guests are on the host again: {told}.",
            "Find out who started them there, then retry the operation.",
        )


def refresh_keys(work: Work, host: Host, host_uuid: str) -> None:
    """What XenCenter is to do with each guest: move it back, or start it again. A guest that was
    noted and never left is not away."""
    known = work.managers.upkeep.placements(host.id)
    for each in known:
        if each.state is PlacementState.WAITING:
            work.managers.upkeep.settled(work.operation, host.id, each.guest)
    away = [each.guest for each in known if each.state is PlacementState.AWAY]
    stopped = [each.guest for each in known if each.state is PlacementState.STOPPED]
    with work.pool_session() as session:
        session.upkeep.set_host_keys(host_uuid, xencenter.keys(away, stopped))
