"""One operation, from its logbook page to its end in the database."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable, Iterator, Mapping

from taskflow import engines, states
from taskflow.exceptions import WrappedFailure
from taskflow.patterns.linear_flow import Flow
from taskflow.persistence.models import FlowDetail
from taskflow.types.failure import Failure

from nova_aggregates.exceptions import DatabaseUnavailable, NovaAggregatesError, OperationLost
from nova_aggregates.flows import (
    add_host,
    change_master,
    end_maintenance,
    maintenance,
    power,
    remove_host,
    rename_pool,
    set_status,
)
from nova_aggregates.flows.backoff import NEVER, Backoff
from nova_aggregates.flows.handover import HandOver
from nova_aggregates.flows.hypervisor import Hypervisor
from nova_aggregates.flows.locks import AggregateLock
from nova_aggregates.flows.outcome import Interrupted, Paused, StepFailed
from nova_aggregates.flows.persistence import Logbooks
from nova_aggregates.flows.rolling import update
from nova_aggregates.flows.work import LEFT, Managers, Timing, Work
from nova_aggregates.manager.operations import CALLS
from nova_aggregates.objects import Action, Finding, Operation, Severity

LOG = logging.getLogger(__name__)

CURES = {
    HandOver.label: "Another member is the master now, which harms nothing. To give the role back: "
    'PUT /os-aggregates/ID/hosts with the same hosts and "master".',
}
ANEW = ("retried", "postponed")  # kinds of events
FLOWS: Mapping[Action, Callable[[Work], Flow]] = {
    Action.ADD_HOST: add_host.build,
    Action.REMOVE_HOST: remove_host.build,
    Action.CHANGE_MASTER: change_master.build,
    Action.RENAME_POOL: rename_pool.build,
    Action.MAINTENANCE_ON: maintenance.build,
    Action.MAINTENANCE_OFF: end_maintenance.build,
    Action.FOLLOW_MAINTENANCE: set_status.build_follow,
    Action.SET_STATUS: set_status.build,
    Action.REBOOT_HOST: power.build_reboot,
    Action.SHUTDOWN_HOST: power.build_shutdown,
    Action.STARTUP_HOST: power.build_startup,
    Action.ROLLING_UPDATE: update.build,
}


class Verdict(enum.Enum):
    ENDED = "the operation is over"
    LEFT = "it goes on later, here or elsewhere"


class Executor:
    """Runs operations that were taken; the aggregate's lock is the caller's business."""

    def __init__(
        self,
        managers: Managers,
        hypervisor: Hypervisor,
        timing: Timing,
        logbooks: Logbooks,
        stop: threading.Event,
        backoff: Backoff = NEVER,
    ) -> None:
        self._managers = managers
        self._hypervisor = hypervisor
        self._timing = timing
        self._logbooks = logbooks
        self._stop = stop
        self._backoff = backoff

    def run(self, operation: Operation, lock: AggregateLock | None = None) -> Verdict:
        """Go on with the operation until it has ended or must be left. Never raises an Exception:
        a defect of ours ends the operation, not the manager."""
        work = Work(operation, self._managers, self._hypervisor, self._timing, self._stop, lock)
        try:
            with work.calls.counted():
                failed = self._attempt(work)
            if calls := work.calls.taken():
                self._managers.operations.event(operation, CALLS, {"calls": calls})
            self._end(operation, failed)
            self._logbooks.close(operation.uuid)
        except Paused:
            return self._park(operation)
        except (Interrupted, DatabaseUnavailable, OperationLost) as reason:
            LOG.info("operation.left operation=%s reason=%s", operation.uuid, reason)
            return Verdict.LEFT
        except Exception:
            LOG.exception("operation.defect operation=%s", operation.uuid)
            return Verdict.LEFT
        return Verdict.ENDED

    def _park(self, operation: Operation) -> Verdict:
        try:
            self._managers.steering.park(operation)
        except (DatabaseUnavailable, OperationLost) as reason:
            LOG.info("operation.left operation=%s reason=%s", operation.uuid, reason)
            return Verdict.LEFT
        return Verdict.ENDED

    def _attempt(self, work: Work) -> StepFailed | None:
        """Run the flow; what it failed with."""
        operation = work.operation
        try:
            flow = FLOWS[operation.action](work)
            page = self._logbooks.open(operation.uuid, f"{flow.name}.{self._round(operation)}")
            if page.state == states.REVERTED:
                # Undone already; its manager died before it could say so.
                return _recorded(page)
            engine = engines.load(
                flow, flow_detail=page, backend=self._logbooks.backend, engine="serial"
            )
            engine.run()
        except StepFailed as failed:
            return failed
        except WrappedFailure as wrapped:
            return _first(wrapped, operation.uuid)
        except (DatabaseUnavailable, OperationLost):
            raise
        except NovaAggregatesError as fact:
            return StepFailed.from_fact(fact, half_way=operation.fence > 1)
        except Exception:
            LOG.exception("flow.defect operation=%s", operation.uuid)
            return _defect(operation.uuid)
        return None

    def _round(self, operation: Operation) -> int:
        """How often the operation was begun anew: the page of an earlier round, left by a manager
        that died right after its end, tells nothing about this one."""
        events = self._managers.operations.events(operation.uuid)
        return sum(event.kind in ANEW for event in events)

    def _end(self, operation: Operation, failed: StepFailed | None) -> None:
        operations = self._managers.operations
        if failed is None:
            operations.succeed(operation)
        elif failed.cancelled and not failed.half_way:
            operations.cancelled(operation)
        elif failed.half_way:
            if failed.findings:
                operations.findings(operation, failed.findings)
            operations.error(operation, failed.failure)
        elif (moment := self._backoff.due(operations, operation, failed)) is not None:
            operations.postpone(operation, moment, failed.failure)
        else:
            findings = [*failed.findings, *self._left(operation)]
            operations.fail(operation, failed.failure, findings)

    def _left(self, operation: Operation) -> Iterator[Finding]:
        """What this round could not undo."""
        events = self._managers.operations.events(operation.uuid)
        begun = max((n for n, event in enumerate(events) if event.kind in ANEW), default=0)
        steps = {e.data["step"]: e.data["reason"] for e in events[begun:] if e.kind == LEFT}
        for step, reason in steps.items():
            yield Finding(
                check=f"undo.{step}",
                code="NOT_UNDONE",
                severity=Severity.INFO,
                message=f"What the step {step} did is still there. {reason}",
                cure=CURES.get(step, "Compare the pool with the aggregate."),
            )


def _recorded(page: FlowDetail) -> StepFailed:
    failures = [atom.failure for atom in page if getattr(atom, "failure", None)]
    return next((found for found in map(_step_failed, failures) if found), _defect(page.uuid))


def _first(wrapped: WrappedFailure, uuid: str) -> StepFailed:
    return next((found for found in map(_step_failed, wrapped) if found), _defect(uuid))


def _step_failed(failure: Failure) -> StepFailed | None:
    if isinstance(failure.exception, StepFailed):
        return failure.exception
    if failure.check(StepFailed) is None or not failure.exception_args:
        return None
    return StepFailed(failure.exception_args[0])


def _defect(uuid: str) -> StepFailed:
    return StepFailed.of(
        "INTERNAL_DEFECT",
        "The operation met a defect of nova-aggregates itself, outside of its steps.",
        f"Look for operation={uuid} in the manager's log, report what stands there, and compare "
        "the pool with the aggregate.",
        half_way=True,
    )
