"""The flow of a rolling update: plan, put aside what interferes, host after host, give back."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from taskflow.patterns import linear_flow

from nova_aggregates.flows.outcome import Paused, StepFailed
from nova_aggregates.flows.progress import Board
from nova_aggregates.flows.rolling import guards
from nova_aggregates.flows.rolling.journey import Journey
from nova_aggregates.flows.rolling.plan import make
from nova_aggregates.flows.rolling.wish import GuestsBack, Wish, wish_of
from nova_aggregates.flows.settle import await_settled
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import (
    Directive,
    Finding,
    HostProgress,
    HostRun,
    Severity,
)
from nova_aggregates.xenapi.errors import XenError

LOG = logging.getLogger(__name__)
NAME = "rolling_update"
P = HostProgress
OPEN = (P.EMPTYING, P.ACTING, P.RETURNING)


def build(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow(NAME).add(
        PlanUpdate(work), SettlePool(work), SuspendGuards(work), RunHosts(work), GiveBack(work)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Rolling:
    """What the steps know."""

    before: dict[str, Any]  # see guards.found
    order: tuple[str, ...]


class PlanUpdate(Learn):
    label = "plan_update"
    percent = 1

    def learn(self) -> Rolling:
        return self.work.through_outage(self._look)

    def _look(self) -> Rolling:
        work = self.work
        made = make(work)
        Board(work).put("plan", made.document, now=True)
        if any(each.severity is not Severity.INFO for each in made.findings):
            raise StepFailed.from_findings(made.findings)
        # What an earlier round put aside and could not give back is still to be given back.
        details = work.managers.operations.show(work.operation.uuid).details or {}
        before = details.get("guards")
        if before is None:
            with work.pool_session() as session:
                before = guards.found(session)
        work.managers.upkeep.begin_runs(work.operation, made.order)
        return Rolling(before, made.order)


class RollingStep(Act[Rolling]):
    facts_type = Rolling


class SettlePool(RollingStep):
    label = "await_settled_pool"
    percent = 2

    def act(self, facts: Rolling) -> None:
        await_settled(self.work)


class SuspendGuards(RollingStep):
    label = "suspend_guards"
    percent = 4
    repeatable = True

    def act(self, facts: Rolling) -> None:
        Board(self.work).put("guards", facts.before, now=True)
        with self.work.pool_session() as session:
            guards.suspend(session, facts.before)

    def undo(self, facts: Rolling) -> None:
        self.work.deaf = True
        give_back(self.work, facts)


class GiveBack(RollingStep):
    label = "give_guards_back"
    percent = 97
    repeatable = True
    half_way = True

    def act(self, facts: Rolling) -> None:
        give_back(self.work, facts)


def give_back(work: Work, facts: Rolling) -> None:
    """:raises StepFailed: the pool did not take it within the deadline for a change of master."""

    def look() -> None:
        with work.pool_session() as session:
            guards.give_back(session, facts.before)

    def late(reason: str) -> StepFailed:
        return StepFailed.of(
            "GUARDS_NOT_GIVEN_BACK",
            "High availability or the automatic start of guests could not be turned on again. "
            f"{reason}",
            "Turn them on at the pool, or retry the operation.",
            half_way=True,
        )

    work.until(look, work.timing.handover, late)
    Board(work).put("guards", None, now=True)


class RunHosts(RollingStep):
    label = "update_hosts"
    percent = 5

    def act(self, facts: Rolling) -> None:
        rounds = Rounds(self.work)
        try:
            rounds.run()
        finally:
            rounds.tell()

    def undo(self, facts: Rolling) -> None:
        """Hosts that were being emptied or brought back are in service again; one at which
        something failed later stays out of service, for a person to look at."""
        work = self.work
        work.deaf = True
        rounds = Rounds(work)
        try:
            rounds.put_back()
        finally:
            rounds.tell()


class Rounds:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._wish: Wish = wish_of(work.operation.parameters)
        self._board = Board(work)
        self._failed: list[StepFailed] = []
        self._percent = 0
        self._stayed: list[Finding] = []

    def run(self) -> None:
        """
        :raises StepFailed: at the first host that fails, when the others under way are done; or by
            cancel or abort.
        :raises Paused: somebody asked for that.
        """
        under_way: dict[Future[None], str] = {}
        with ThreadPoolExecutor(self._wish.max_unavailable, "rolling") as pool:
            try:
                while True:
                    self._begin(pool, under_way)
                    if not under_way:
                        break
                    done, _rest = wait(
                        under_way, timeout=self._work.timing.poll, return_when=FIRST_COMPLETED
                    )
                    for each in done:
                        del under_way[each]
                        each.result()
            finally:
                # An interruption reaches every host's thread at its next safe point.
                wait(under_way)
        self._end()

    def _begin(self, pool: ThreadPoolExecutor, under_way: dict[Future[None], str]) -> None:
        """Start whatever may start now.

        :raises Paused: somebody asked for a rest, and nothing is under way.
        :raises StepFailed: the same with an abort.
        """
        runs = self._work.managers.upkeep.runs(self._work.operation)
        self._progress(runs)
        if self._failed:
            return
        busy = set(under_way.values())
        master = self._master() if len(runs) > 1 else ""
        for run in self._candidates(runs, busy):
            # Nothing else may be under way while the role moves or the master restarts, nor while
            # it is not known yet how a canary fares.
            alone = {master, *self._wish.canary}
            if len(busy) >= self._wish.max_unavailable or (busy and alone & {run.host, *busy}):
                return
            under_way[pool.submit(self._go, run, runs)] = run.host
            busy.add(run.host)

    def _candidates(self, runs: list[HostRun], busy: set[str]) -> list[HostRun]:
        """What an earlier manager began, then the others in order, as long as nobody has asked for
        an end or a rest."""
        begun = [run for run in runs if run.state in OPEN and run.host not in busy]
        waiting = [run for run in runs if run.state is P.WAITING and run.host not in busy]
        directive = self._work.managers.upkeep.directive(self._work.operation)
        if directive is None or not waiting:
            return begun + waiting
        if begun or busy:
            return begun
        if directive is Directive.PAUSE:
            raise Paused("somebody asked for a pause")
        raise StepFailed.by_cancel()

    def _master(self) -> str:
        work = self._work
        pool = work.established()
        hosts = {host.id: host.name for host in work.managers.pools.members(work.aggregate_id)}
        return hosts.get(pool.master_host_id, "")

    def _go(self, run: HostRun, runs: list[HostRun]) -> None:
        work = self._work
        registered = {host.name: host.xen_uuid for host in work.pool_hosts() if host.xen_uuid}
        updated = tuple(
            registered[each.host]
            for each in runs
            if each.state is P.DONE and each.host in registered
        )
        journey = Journey(work, self._wish, run, self._board, updated)
        try:
            journey.go()
        except StepFailed as failed:
            if failed.cancelled:
                raise
            self._fail(journey, failed)
        except XenError as error:
            self._fail(journey, StepFailed.from_xen(error))
        self._stayed += journey.stayed
        self._after_canary(run)

    def _after_canary(self, run: HostRun) -> None:
        work, canary = self._work, self._wish.canary
        if self._wish.pause_after_canary and canary and run.host == canary[-1]:
            work.managers.steering.pause_here(work.operation)

    def _fail(self, journey: Journey, failed: StepFailed) -> None:
        journey.failed(failed.failure)
        self._failed.append(failed)

    def _progress(self, runs: list[HostRun]) -> None:
        done = sum(run.state is P.DONE for run in runs)
        percent = 5 + 90 * done // max(1, len(runs))
        self._board.put("done", done)
        self._board.put("left", len(runs) - done)
        operation = self._work.operation
        if self._percent != percent:
            self._percent = percent
            self._work.managers.operations.step(operation, RunHosts.label, percent)

    def _end(self) -> None:
        runs = self._work.managers.upkeep.runs(self._work.operation)
        if self._failed:
            raise self._of_failure(runs)
        if self._wish.guests_back is GuestsBack.AT_END:
            self._bring_all_back(runs)
        if self._stayed:
            self._work.managers.operations.findings(self._work.operation, self._stayed)

    def _of_failure(self, runs: list[HostRun]) -> StepFailed:
        first = self._failed[0]
        done = ", ".join(run.host for run in runs if run.state is P.DONE) or "no host"
        left = ", ".join(run.host for run in runs if run.state is P.WAITING) or "no host"
        failure = first.failure
        return StepFailed.of(
            failure.code,
            f"{failure.message} Done: {done}. Not begun: {left}.",
            f"{failure.cure} A retry goes on with the hosts that are not done.",
            findings=first.findings,
        )

    def _bring_all_back(self, runs: list[HostRun]) -> None:
        """The last one first, so that each makes room for the next."""
        for run in reversed(runs):
            journey = Journey(self._work, self._wish, run, self._board)
            if self._work.managers.upkeep.placements(journey.host.id):
                journey.bring_guests_back()
                self._stayed += journey.stayed

    # After an end that is none

    def put_back(self) -> None:
        runs = self._work.managers.upkeep.runs(self._work.operation)
        for run in runs:
            if run.state in OPEN or (run.state is P.FAILED and run.evidence.get("emptying")):
                self._try(run, Journey.put_back)
        if self._wish.guests_back is GuestsBack.AT_END:
            for run in reversed(runs):
                if run.state is P.DONE:
                    self._try(run, Journey.bring_guests_back)

    def _try(self, run: HostRun, do: Callable[[Journey], None]) -> None:
        journey = Journey(self._work, self._wish, run, self._board)
        try:
            do(journey)
        except (StepFailed, XenError) as error:
            LOG.warning(
                "rolling.not_put_back operation=%s host=%s reason=%s",
                self._work.operation.uuid,
                run.host,
                error,
            )

    def tell(self) -> None:
        """Every host's end in the record."""
        for run in self._work.managers.upkeep.runs(self._work.operation):
            told: dict[str, Any] = {"state": run.state.value}
            if run.failure is not None:
                told["error"] = dataclasses.asdict(run.failure)
            self._board.put_host(run.host, told, now=True)
