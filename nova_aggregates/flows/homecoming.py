"""The guests of a host come back to it: those that still run and that nobody else has moved, and
those that were shut down for its maintenance."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.outcome import NotYet
from nova_aggregates.flows.progress import Progress
from nova_aggregates.flows.traffic import Job, Kind, Traffic, Verdict
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Finding, Placement, PlacementState, Severity
from nova_aggregates.xenapi.guests import GuestState

S = PlacementState
TRIES = 4  # of one guest: right after a boot not everything is attached


class Homecoming(Traffic):
    def __init__(
        self,
        work: Work,
        host_id: int,
        home: str,
        concurrency: int,
        network: str,
        progress: Progress,
    ) -> None:
        super().__init__(work, host_id, home, concurrency, network, progress)
        self._tries: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self.stayed: list[Finding] = []  # guests that do not come back, and why

    def adopt(self, placement: Placement) -> Job | None:
        if placement.state is S.RETURNING:
            # Which of them it was, its present state tells; all three end at home, running.
            kind = Kind.MOVE if placement.destination else Kind.START
            return Job(placement, kind, placement.destination, self.home)
        if placement.state is S.LEAVING:
            return Job(placement, Kind.MOVE, self.home, placement.destination)
        return Job(placement, Kind.STOP, self.home, "")

    def next_jobs(self, session: Session, room: int) -> Sequence[Job]:
        known = self.work.managers.upkeep.placements(self.host_id)
        waiting = [each for each in known if each.guest not in self.busy]
        self.progress.expect({each.guest: each.memory for each in known})
        jobs: list[Job] = []
        now = time.monotonic()
        in_transit = self._in_transit(waiting)
        for placement in waiting:
            if len(jobs) == room:
                break
            if self._not_before.get(placement.guest, now) > now or placement.guest in in_transit:
                continue
            guest = session.upkeep.guest(placement.guest)
            if guest is not None and Kind.MOVE.value in guest.operations:
                in_transit.add(placement.guest)
                continue
            job = self._job(placement, guest)
            if job is None:
                self._forget(placement)
            else:
                jobs.append(job)
        if not jobs and any(each.guest in self._not_before.keys() | in_transit for each in waiting):
            raise NotYet("Guests are tried again in a moment.")
        return jobs

    def _in_transit(self, waiting: Sequence[Placement]) -> set[str]:
        """Guests that are being moved off the host where they are for the time being."""
        known = self.work.managers.upkeep.placements_of([each.guest for each in waiting])
        return {
            each.guest
            for each in known
            if each.host_id != self.host_id and each.state in (S.LEAVING, S.STOPPING)
        }

    def _job(self, placement: Placement, guest: GuestState | None) -> Job | None:
        """What brings the guest home; None when it is there, or is left where it is."""
        if guest is None or guest.host == self.home:
            return None
        was_stopped = placement.state in (S.STOPPED, S.STOPPING)
        returning = self._put(placement, S.RETURNING, guest.host)
        if was_stopped and guest.power_state == "Halted":
            return Job(returning, Kind.START, "", self.home)
        if was_stopped and guest.power_state == "Suspended":
            return Job(returning, Kind.RESUME, "", self.home)
        if was_stopped or guest.power_state != "Running":
            self._stays(placement, "GUEST_CHANGED", f"it is {guest.power_state.lower()} now")
            return None
        if placement.destination and guest.host != placement.destination:
            self._stays(placement, "GUEST_MOVED", "somebody else has moved it meanwhile")
            return None
        return Job(returning, Kind.MOVE, guest.host, self.home)

    def ended(self, job: Job, verdict: Verdict) -> None:
        placement = job.placement
        if job.kind is Kind.STOP and verdict is Verdict.DONE:
            self._store([self._put(placement, S.STOPPED, "")])
        elif job.target != self.home and verdict is Verdict.DONE:
            self._store([self._put(placement, S.AWAY, job.target)])
        elif verdict is Verdict.DONE:
            self._forget(placement)
        elif verdict in (Verdict.FAILED, Verdict.UNSENT):
            self._again(job, verdict)
        else:
            self._stays(placement, "GUEST_CHANGED", f"it was {verdict.value} meanwhile")
            self._forget(placement)

    def _again(self, job: Job, verdict: Verdict) -> None:
        placement = job.placement
        moves = job.kind is Kind.MOVE
        state = S.AWAY if moves else S.STOPPED
        if job.target != self.home:
            state = S.WAITING
        tries = self._tries.get(job.guest, 0) + (verdict is Verdict.FAILED)
        self._tries[job.guest] = tries
        if tries >= TRIES and job.error is not None:
            self._stays(placement, job.error.code, job.error.message, job.error.cure)
            self._forget(placement)
            return
        pause = self.work.timing.poll * 2 ** min(tries, 6)
        self._not_before[job.guest] = time.monotonic() + pause
        self._store([self._put(placement, state, job.source if moves else "")])

    def _stays(
        self, placement: Placement, code: str, reason: str, cure: str = "None is needed."
    ) -> None:
        home = self.progress.name_of(self.home)
        self.stayed.append(
            Finding(
                check="maintenance.guest_stays",
                code=code,
                severity=Severity.INFO,
                message=f"Guest {placement.name} does not come back to host {home}: {reason}.",
                cure=cure,
                ours=placement.name,
                theirs=home,
            )
        )
