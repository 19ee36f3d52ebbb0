"""Guests that are moved, stopped or started, a few at a time.

What is to become of a guest is in the database before anything is sent, so whoever goes on after a
crash knows what may be under way, and looks at the guest before sending anything again.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import time
from collections.abc import Iterable, Sequence

from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.outcome import NotYet, StepFailed
from nova_aggregates.flows.progress import Progress
from nova_aggregates.flows.work import Work, is_passing
from nova_aggregates.objects import Placement, PlacementState
from nova_aggregates.xenapi.errors import ApiFailure, OutcomeUnknown, XenError
from nova_aggregates.xenapi.guests import GuestState

LOG = logging.getLogger(__name__)
S = PlacementState
EVENT = "guest"
UNDER_WAY = (S.LEAVING, S.STOPPING, S.RETURNING)


class Kind(enum.Enum):
    """What is done to a guest, and the operation that XenServer shows meanwhile."""

    MOVE = "pool_migrate"
    STOP = "clean_shutdown"
    START = "start_on"
    RESUME = "resume_on"


class Verdict(enum.Enum):
    DONE = "done"
    GONE = "deleted by somebody"
    STOPPED = "stopped by somebody"
    ELSEWHERE = "moved by somebody"
    FAILED = "failed"
    UNSENT = "nothing has happened to it"


@dataclasses.dataclass(slots=True)
class Job:
    placement: Placement  # in the state that it has while the job is under way
    kind: Kind
    source: str  # uuid of the host where the guest is; empty: nowhere
    target: str  # uuid of the host where it shall be; empty: nowhere
    foreign: Placement | None = None  # of the host that the guest belongs to, if that is another
    task: str | None = None
    began: float = dataclasses.field(default_factory=time.monotonic)
    idle_since: float | None = None  # since when nothing is seen of it
    progress: float = 0.0
    error: XenError | None = None

    @property
    def guest(self) -> str:
        return self.placement.guest

    @property
    def name(self) -> str:
        return self.placement.name


class Traffic:
    """The base of :class:`Evacuation` and :class:`Homecoming`: keeps ``concurrency`` jobs under
    way. ``home``: uuid of the host that the guests leave or come back to."""

    def __init__(
        self,
        work: Work,
        host_id: int,
        home: str,
        concurrency: int,
        network: str,
        progress: Progress,
    ) -> None:
        self.work = work
        self.host_id = host_id
        self.home = home
        self.network = network  # uuid; empty: the management network
        self.progress = progress
        self._concurrency = concurrency
        self._jobs: list[Job] = []
        self._stopping: StepFailed | None = None

    # What the two kinds of traffic decide

    def adopt(self, placement: Placement) -> Job | None:
        """What an earlier manager may have begun with the guest."""
        raise NotImplementedError

    def next_jobs(self, session: Session, room: int) -> Sequence[Job]:
        """Up to ``room`` jobs to begin now.

        :raises NotYet: there is something to do, but not now.
        """
        raise NotImplementedError

    def ended(self, job: Job, verdict: Verdict) -> None:
        """Draw the consequences."""
        raise NotImplementedError

    # The work

    def run(self) -> None:
        """Until there is nothing left to do. Moves that are under way when something fails, or
        when somebody cancels, are waited for: they cannot be taken back.

        :raises StepFailed: by cancel, or what a subclass gives up for.
        """
        self._jobs = [
            job
            for placement in self.work.managers.upkeep.placements(self.host_id)
            if placement.state in UNDER_WAY and (job := self.adopt(placement)) is not None
        ]
        silent_since: float | None = None
        while True:
            try:
                with self.work.pool_session() as session:
                    while not self._round(session):
                        silent_since = None
                        self._pause()
                return
            except XenError as error:
                # A master that is away takes its tasks with it, but not the guests.
                silent_since = silent_since or time.monotonic()
                late = time.monotonic() - silent_since >= self.work.timing.outage
                if late or not (is_passing(error) or isinstance(error, OutcomeUnknown)):
                    raise
                self._pause()

    def give_up(self, failure: StepFailed) -> None:
        """Begin nothing more; ``failure`` is raised when what is under way has ended."""
        self._stopping = self._stopping or failure

    @property
    def stopping(self) -> bool:
        return self._stopping is not None

    @property
    def busy(self) -> frozenset[str]:
        """Guests (uuids) with a job under way."""
        return frozenset(job.guest for job in self._jobs)

    def _pause(self) -> None:
        try:
            self.work.pause()
        except StepFailed as cancelled:
            self.give_up(cancelled)

    def _round(self, session: Session) -> bool:
        """One look; whether everything is done."""
        for job in list(self._jobs):
            verdict = self._judge(session, job)
            if verdict is None:
                continue
            self._jobs.remove(job)
            self._note(job, verdict)
            self.ended(job, verdict)
        waits = False
        room = self._concurrency - len(self._jobs)
        if self._stopping is None and room > 0:
            try:
                with self.work.claim:
                    jobs = list(self.next_jobs(session, room))
                    self._intend(jobs)
                for job in jobs:
                    self._begin(session, job)
            except NotYet:
                waits = True
        self.progress.show((job.placement, job.progress) for job in self._jobs)
        if self._jobs:
            return False
        if self._stopping is not None:
            raise self._stopping
        return not waits

    def _intend(self, jobs: Sequence[Job]) -> None:
        placements = [job.placement for job in jobs]
        for job in jobs:
            if job.foreign is not None:
                # It will be looked for where it is sent now.
                placements.append(dataclasses.replace(job.foreign, destination=job.target))
        if placements:
            self._store(placements)
        self._jobs += jobs

    def _begin(self, session: Session, job: Job) -> None:
        self._tell(job, "begun")
        upkeep = session.upkeep
        try:
            if job.kind is Kind.MOVE:
                job.task = upkeep.migrate(job.guest, job.target, self.network)
            elif job.kind is Kind.STOP:
                job.task = upkeep.shut_down_guest(job.guest)
            elif job.kind is Kind.START:
                job.task = upkeep.start_guest(job.guest, job.target)
            else:
                job.task = upkeep.resume_guest(job.guest, job.target)
        except ApiFailure as error:
            job.error = error  # the guest tells what it means
        except OutcomeUnknown:
            LOG.info("guest.answer_lost guest=%s kind=%s", job.guest, job.kind.value)
            raise

    def _judge(self, session: Session, job: Job) -> Verdict | None:
        """What became of the job; None while it may still be under way."""
        if job.task is not None:
            task = session.upkeep.task(job.task)
            if task is not None and task.pending:
                job.progress = task.progress
                return None
            if task is not None:
                job.error = task.error
            else:
                job.task = None
            ended = task is not None
        else:
            ended = job.error is not None
        guest = session.upkeep.guest(job.guest)
        if guest is None:
            return Verdict.GONE
        if job.kind.value in guest.operations:
            job.idle_since = None
            return None
        verdict = _reached(job, guest)
        if verdict is not None or ended:
            return verdict or (Verdict.FAILED if job.error is not None else Verdict.UNSENT)
        # Sent by a manager that died, or its task is forgotten: it may still be on its way.
        job.idle_since = job.idle_since or time.monotonic()
        if time.monotonic() - job.idle_since < self.work.timing.fuse:
            return None
        return Verdict.UNSENT

    def _note(self, job: Job, verdict: Verdict) -> None:
        more = {"reason": str(job.error)} if verdict is Verdict.FAILED else {}
        seconds = round(time.monotonic() - job.began, 3)
        self._tell(job, verdict.name.lower(), seconds=seconds, **more)
        if verdict is Verdict.DONE and job.kind is Kind.MOVE:
            self.progress.moved(job.placement, seconds)

    def _tell(self, job: Job, what: str, **more: float | str) -> None:
        data = {
            "guest": job.guest,
            "name": job.name,
            "action": job.kind.value,
            "from": self.progress.name_of(job.source),
            "to": self.progress.name_of(job.target),
            "state": what,
            **more,
        }
        self.work.managers.operations.event(self.work.operation, EVENT, data)

    def _put(self, placement: Placement, state: PlacementState, destination: str) -> Placement:
        """The placement in another state; not yet stored."""
        fence = self.work.operation.fence
        return dataclasses.replace(placement, state=state, destination=destination, fence=fence)

    def _store(self, placements: Iterable[Placement]) -> None:
        self.work.managers.upkeep.place(self.work.operation, list(placements))

    def _forget(self, placement: Placement) -> None:
        upkeep = self.work.managers.upkeep
        upkeep.settled(self.work.operation, self.host_id, placement.guest)


def _reached(job: Job, guest: GuestState) -> Verdict | None:
    """What the guest's own state says; None: it is as before."""
    if job.kind is Kind.STOP:
        return Verdict.DONE if guest.power_state == "Halted" else None
    if job.kind is not Kind.MOVE:
        if guest.power_state != "Running":
            return None
        return Verdict.DONE if guest.host == job.target else Verdict.ELSEWHERE
    if guest.power_state in ("Halted", "Suspended"):
        return Verdict.STOPPED
    if guest.host == job.target:
        return Verdict.DONE
    return None if guest.host in (job.source, "") else Verdict.ELSEWHERE
