"""All guests leave a host."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.outcome import NotYet, StepFailed
from nova_aggregates.flows.progress import Progress
from nova_aggregates.flows.traffic import Job, Kind, Traffic, Verdict
from nova_aggregates.flows.translation import finding_of
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Finding, GuestPolicy, Placement, PlacementState
from nova_aggregates.xenapi.errors import HostOffline, XenError
from nova_aggregates.xenapi.evacuation.facts import PoolFacts
from nova_aggregates.xenapi.evacuation.plan import Blocker, Plan, Settings, plan
from nova_aggregates.xenapi.evacuation.rules import Reason
from nova_aggregates.xenapi.guests import GuestState

S = PlacementState
PASSING = frozenset({"OTHER_OPERATION_IN_PROGRESS"})  # reasons that end by themselves
TRIES = 3  # of one guest, at different hosts where there are any


class Evacuation(Traffic):
    """Empties the host ``home``. What cannot leave is dealt with as ``policy`` says."""

    def __init__(
        self,
        work: Work,
        host_id: int,
        home: str,
        concurrency: int,
        network: str,
        progress: Progress,
        policy: GuestPolicy,
    ) -> None:
        super().__init__(work, host_id, home, concurrency, network, progress)
        self._policy = policy
        self._plan: Plan | None = None
        self._refused: dict[str, dict[str, Reason]] = {}
        self._tries: dict[str, int] = {}
        self._unstoppable: dict[str, XenError] = {}
        self._stale_since: float | None = None
        self._foreign: dict[str, Placement] = {}
        self.skipped: dict[str, Finding] = {}  # guests that stay, by uuid

    def adopt(self, placement: Placement) -> Job | None:
        if placement.state is S.LEAVING:
            return Job(placement, Kind.MOVE, self.home, placement.destination)
        if placement.state is S.STOPPING:
            return Job(placement, Kind.STOP, self.home, "")
        return None

    def next_jobs(self, session: Session, room: int) -> Sequence[Job]:
        present = {guest.uuid: guest for guest in session.upkeep.guests_on(self.home)}
        there = {u: g for u, g in present.items() if u not in self.busy | self.skipped.keys()}
        self._foreign = {
            each.guest: each
            for each in self.work.managers.upkeep.placements_of(there)
            if each.host_id != self.host_id
        }
        # Those that are on their way anyway are only waited for.
        waiting = {u: g for u, g in there.items() if not self._leaves(g)}
        self.progress.expect({u: g.memory for u, g in present.items() if u not in self.skipped})
        if not waiting and there and not self.busy:
            raise NotYet("Guests are being moved by others.")
        if not waiting:
            return ()
        chosen = self._chosen(session, waiting)
        if self.stopping:
            return ()
        jobs: list[Job] = []
        for uuid in chosen:
            if len(jobs) < room and uuid in waiting:
                jobs.append(self._job(waiting[uuid], chosen[uuid]))
        if not jobs and not self.busy and waiting.keys() - self.skipped.keys():
            raise NotYet("Guests cannot leave at the moment.")
        return jobs

    def _leaves(self, guest: GuestState) -> bool:
        foreign = self._foreign.get(guest.uuid)
        called_home = foreign is not None and foreign.state in (S.RETURNING, S.LEAVING)
        return called_home or Kind.MOVE.value in guest.operations

    def _chosen(self, session: Session, waiting: Mapping[str, GuestState]) -> dict[str, str]:
        """Where each waiting guest goes (empty: it is shut down), in the order of the work."""
        if self._plan is None or self._outdated(session, self._plan, waiting):
            self._make_plan(session, waiting)
        made = self._plan
        if made is None:
            return {}
        chosen = {move.guest: move.destination for move in made.moves}
        if self._policy is GuestPolicy.SHUT_DOWN:
            chosen |= {each.guest: "" for each in made.blockers if each.guest not in self.skipped}
        return chosen

    def _outdated(self, session: Session, made: Plan, waiting: Mapping[str, GuestState]) -> bool:
        planned = {move.guest for move in made.moves} | {each.guest for each in made.blockers}
        if not waiting.keys() <= planned or self._stale_since is not None:
            return True
        able = session.upkeep.serving()
        return any(move.destination not in able for move in made.moves if move.guest in waiting)

    def _make_plan(self, session: Session, waiting: Mapping[str, GuestState]) -> None:
        facts = session.upkeep.facts()
        made = plan(facts, {self.home}, Settings(refused=self._refused))
        blockers = [each for each in made.blockers if each.guest in waiting]
        passing = [each for each in blockers if _is_passing(each)]
        lasting = [each for each in blockers if not _is_passing(each)]
        self._plan = made
        self._stale_since = (self._stale_since or time.monotonic()) if passing else None
        since = self._stale_since
        if since is not None and time.monotonic() - since > self.work.timing.outage:
            lasting += passing
        if lasting:
            self._deal_with(lasting, facts)

    def _deal_with(self, blockers: Sequence[Blocker], facts: PoolFacts) -> None:
        findings = {each.guest: finding_of(each.finding) for each in blockers}
        if self._policy is GuestPolicy.SKIP:
            self.skipped |= findings
            return
        stuck = dict(findings)
        if self._policy is GuestPolicy.SHUT_DOWN:
            states = {guest.uuid: guest.power_state for guest in facts.guests}
            stuck = {
                uuid: finding
                for uuid, finding in findings.items()
                if uuid in self._unstoppable or states.get(uuid) != "Running"
            }
        if stuck:
            self.give_up(StepFailed.from_findings(stuck.values()))

    def _job(self, guest: GuestState, destination: str) -> Job:
        placement = Placement(self.host_id, guest.uuid, guest.name, guest.memory, S.WAITING, "", 0)
        state = S.LEAVING if destination else S.STOPPING
        placed = self._put(placement, state, destination)
        kind = Kind.MOVE if destination else Kind.STOP
        foreign = self._foreign.get(guest.uuid)
        return Job(placed, kind, self.home, destination, foreign=foreign)

    def ended(self, job: Job, verdict: Verdict) -> None:
        placement = job.placement
        foreign = self._foreign_of(job)
        if foreign is not None:
            self._end_foreign(job, foreign, verdict)
        if verdict is Verdict.DONE and foreign is not None:
            self._forget(placement)
        elif verdict is Verdict.DONE:
            state = S.AWAY if job.kind is Kind.MOVE else S.STOPPED
            self._store([self._put(placement, state, job.target)])
        elif verdict in (Verdict.GONE, Verdict.STOPPED, Verdict.ELSEWHERE):
            self._forget(placement)
        else:
            self._store([self._put(placement, S.WAITING, "")])
            if verdict is Verdict.FAILED and job.error is not None:
                self._failed(job, job.error)

    def _foreign_of(self, job: Job) -> Placement | None:
        known = self.work.managers.upkeep.placements_of([job.guest])
        return next((each for each in known if each.host_id != self.host_id), None)

    def _end_foreign(self, job: Job, foreign: Placement, verdict: Verdict) -> None:
        """A guest of another host that was here for a while."""
        if verdict is Verdict.DONE and job.kind is Kind.STOP:
            self._store([self._put(foreign, S.STOPPED, "")])
        elif verdict in (Verdict.FAILED, Verdict.UNSENT):
            self._store([self._put(foreign, S.AWAY, self.home)])

    def _failed(self, job: Job, error: XenError) -> None:
        self._plan = None
        if error.code == "VM_BAD_POWER_STATE":
            return  # somebody stopped or paused it; the next look shows
        if job.kind is Kind.STOP:
            self._unstoppable[job.guest] = error
            return
        tries = self._tries[job.guest] = self._tries.get(job.guest, 0) + 1
        if isinstance(error, HostOffline) and tries < TRIES:
            return  # the next plan knows that the host is away
        reason = Reason(error.code, error.params, self.progress.name_of(job.target))
        self._refused.setdefault(job.guest, {})[job.target] = reason


def _is_passing(blocker: Blocker) -> bool:
    return all(reason.code in PASSING for reason in blocker.reasons)
