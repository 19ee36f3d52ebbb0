"""maintenance_off: a host takes work again, and its guests come back to it."""

from __future__ import annotations

import dataclasses

from taskflow.patterns import linear_flow

from nova_aggregates.flows import xencenter
from nova_aggregates.flows.homecoming import Homecoming
from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.maintenance import names_of, require_live
from nova_aggregates.flows.outcome import NotYet, StepFailed
from nova_aggregates.flows.progress import Board, Progress
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import (
    Finding,
    Host,
    HostStatus,
    MaintenanceMode,
    Placement,
    PlacementState,
)
from nova_aggregates.xenapi.evacuation.plan import network_uuid
from nova_aggregates.xenapi.types import HostView

NAME = "maintenance_off"


def build(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow(NAME).add(
        FindAbsent(work),
        AdoptAbsent(work),
        EnableHost(work),
        BringBack(work),
        ForgetAbsent(work),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Absence:
    """What the steps know of the host, and of guests that another tool sent away."""

    host_uuid: str
    concurrency: int
    network: str  # uuid; empty: the management network
    migrated: tuple[str, ...] = ()  # uuids of guests, from XenCenter's keys
    stopped: tuple[str, ...] = ()  # halted or suspended


class FindAbsent(Learn):
    label = "find_absent_guests"
    percent = 3

    def learn(self) -> Absence:
        return self.work.through_outage(self._look)

    def _look(self) -> Absence:
        work = self.work
        parameters = work.operation.parameters
        with work.pool_session() as session:
            record = require_live(work.host(), work.observe_pool(session, guests=False))
            wanted = parameters.get("network") or ""
            network = network_uuid(session.upkeep.facts(), wanted) if wanted else ""
        told = record.other_config
        return Absence(
            host_uuid=record.uuid,
            concurrency=parameters.get("concurrency") or work.timing.emptying.concurrency,
            network=network,
            migrated=xencenter.guests(told, xencenter.MIGRATED),
            stopped=(
                *xencenter.guests(told, xencenter.HALTED),
                *xencenter.guests(told, xencenter.SUSPENDED),
            ),
        )


class AbsenceStep(Act[Absence]):
    facts_type = Absence


class AdoptAbsent(AbsenceStep):
    """Guests that only the other tool's keys know belong here as well."""

    label = "adopt_absent_guests"
    percent = 5

    def act(self, facts: Absence) -> None:
        work = self.work
        host = work.host()
        known = {each.guest for each in work.managers.upkeep.placements(host.id)}
        with work.pool_session() as session:
            found = [
                self._placement(session, host, uuid, state)
                for uuids, state in (
                    (facts.migrated, PlacementState.AWAY),
                    (facts.stopped, PlacementState.STOPPED),
                )
                for uuid in uuids
                if uuid not in known
            ]
        work.managers.upkeep.place(work.operation, [each for each in found if each is not None])

    @staticmethod
    def _placement(
        session: Session, host: Host, uuid: str, state: PlacementState
    ) -> Placement | None:
        guest = session.upkeep.guest(uuid)
        if guest is None:
            return None
        # Where the other tool sent it is not known: so wherever it is now counts as that.
        return Placement(host.id, uuid, guest.name, guest.memory, state, "", 0)


class EnableHost(AbsenceStep):
    label = "enable_host"
    percent = 10

    def act(self, facts: Absence) -> None:
        work = self.work
        bring_into_service(work, facts.host_uuid, work.host().name)
        work.managers.upkeep.set_mode(
            work.operation, work.host().id, MaintenanceMode.OFF, HostStatus.ENABLED, None
        )


def bring_into_service(
    work: Work, host_uuid: str, name: str, *, deadline: float | None = None
) -> None:
    """The host is enabled, and all that its guests need is attached.

    :param deadline: seconds; as configured for a boot when None.
    :raises StepFailed: not within the deadline.
    """
    seconds = deadline or work.timing.boot

    def look() -> None:
        with work.pool_session() as session:
            record = work.observe_pool(session, guests=False).host(host_uuid)
            if record is None or not record.live:
                raise NotYet("The pool has no contact with the host.")
            if xencenter.is_on(record.other_config):
                session.upkeep.set_host_keys(host_uuid, {xencenter.MODE: None})
            if not record.enabled:
                _require_no_guidance(record)
                session.enable(host_uuid)
                raise NotYet("The host is not enabled yet.")
            if not record.shared_storage_attached:
                raise NotYet(f"Storage is missing: {', '.join(record.storage_missing)}.")

    def late(reason: str) -> StepFailed:
        return StepFailed.of(
            "HOST_NOT_IN_SERVICE",
            f"Host {name} is not in service after {seconds:g} seconds. {reason}",
            "Mend that at the host, then retry the operation.",
        )

    work.until(look, seconds, late)


def _require_no_guidance(record: HostView) -> None:
    if record.pending_guidances:
        raise StepFailed.of(
            "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY",
            f"Host {record.name} cannot be enabled before it has been seen to: "
            f"{', '.join(record.pending_guidances)}.",
            f"Reboot it while it is in maintenance (GET /os-hosts/{record.name}/reboot).",
        )


class BringBack(AbsenceStep):
    label = "bring_guests_back"
    percent = 15

    def act(self, facts: Absence) -> None:
        work = self.work
        stayed = bring_back(work, work.host(), facts, Board(work))
        if stayed:
            work.managers.operations.findings(work.operation, stayed)


def bring_back(work: Work, host: Host, facts: Absence, board: Board) -> tuple[Finding, ...]:
    """A finding for every guest that does not come back.

    :raises StepFailed: by cancel.
    """
    with work.pool_session() as session:
        names = names_of(work.observe_pool(session, guests=False))
    homecoming = Homecoming(
        work,
        host.id,
        facts.host_uuid,
        facts.concurrency,
        facts.network,
        Progress(board, host.name, names),
    )
    homecoming.run()
    return tuple(homecoming.stayed)


class ForgetAbsent(AbsenceStep):
    label = "forget_absent_guests"
    percent = 97
    repeatable = True

    def act(self, facts: Absence) -> None:
        forget_absent(self.work, self.work.host(), facts.host_uuid)


def forget_absent(work: Work, host: Host, host_uuid: str) -> None:
    """Neither the database nor XenCenter's keys know of absent guests any more."""
    work.managers.upkeep.settled(work.operation, host.id)
    with work.pool_session() as session:
        session.upkeep.set_host_keys(host_uuid, xencenter.NONE)
