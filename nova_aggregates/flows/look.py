"""Operations that only look: what would stop a join or a removal, and what would be lost by it."""

from __future__ import annotations

import logging
import threading

from nova_aggregates.exceptions import DatabaseUnavailable, NovaAggregatesError, OperationLost
from nova_aggregates.flows.departure import judge
from nova_aggregates.flows.encounter import meet, record_of
from nova_aggregates.flows.hypervisor import Hypervisor
from nova_aggregates.flows.inventory import NOTHING
from nova_aggregates.flows.joining import join_findings
from nova_aggregates.flows.maintenance import document, look
from nova_aggregates.flows.outcome import Interrupted, StepFailed
from nova_aggregates.flows.rolling.plan import make
from nova_aggregates.flows.work import Managers, Timing, Work
from nova_aggregates.objects import Action, Finding, Operation, OperationFailure, Severity
from nova_aggregates.xenapi.errors import XenError

LOG = logging.getLogger(__name__)
AT_A_TIME = 8


class Looker:
    """Runs preflight operations, each in a thread of its own. They need neither a lock nor a turn,
    because they change nothing at any pool."""

    def __init__(
        self,
        managers: Managers,
        hypervisor: Hypervisor,
        timing: Timing,
        owner: str,
        stop: threading.Event,
    ) -> None:
        self._managers = managers
        self._hypervisor = hypervisor
        self._timing = timing
        self._owner = owner
        self._stop = stop
        self._guard = threading.Lock()
        self._busy: set[str] = set()

    def look(self) -> None:
        """Begin whatever is queued.

        :raises DatabaseUnavailable: the database cannot be reached.
        """
        with self._guard:
            busy = frozenset(self._busy)
        room = AT_A_TIME - len(busy)
        if room <= 0:
            return
        waiting = [
            each
            for each in self._managers.operations.preflights(AT_A_TIME * 2)
            if each.uuid not in busy
        ]
        for operation in waiting[:room]:
            with self._guard:
                self._busy.add(operation.uuid)
            threading.Thread(
                target=self._run, args=(operation,), name=f"look-{operation.uuid}", daemon=True
            ).start()

    def _run(self, found: Operation) -> None:
        operations = self._managers.operations
        try:
            operation = operations.take(found.uuid, self._owner)
            work = Work(operation, self._managers, self._hypervisor, self._timing, self._stop)
            try:
                findings = plans(work) if is_plan(operation) else preflight(work)
            except NovaAggregatesError as fact:
                if isinstance(fact, DatabaseUnavailable | OperationLost):
                    raise
                operations.fail(operation, StepFailed.from_fact(fact).failure)
                return
            except Exception:
                LOG.exception("preflight.defect operation=%s", found.uuid)
                operations.fail(operation, _defect(found.uuid))
                return
            operations.findings(operation, findings)
            operations.succeed(operation)
        except (Interrupted, NovaAggregatesError) as reason:
            LOG.info("preflight.left operation=%s reason=%s", found.uuid, reason)
        except Exception:
            LOG.exception("preflight.defect operation=%s", found.uuid)
        finally:
            with self._guard:
                self._busy.discard(found.uuid)


def is_plan(operation: Operation) -> bool:
    return operation.parameters["action"] in (Action.MAINTENANCE_ON, Action.ROLLING_UPDATE)


def plans(work: Work) -> tuple[Finding, ...]:
    """What speaks against emptying the hosts; the plan itself goes into the details."""
    parameters = work.operation.parameters
    try:
        if parameters["action"] == Action.ROLLING_UPDATE:
            made = make(work)
            work.managers.upkeep.details(work.operation, {"plan": made.document})
            return made.findings
        found = look(work, work.host(), dict(parameters))
    except StepFailed as failed:
        return failed.findings or (_of_failure(failed.failure),)
    except XenError as error:
        return (_of_failure(StepFailed.from_xen(error).failure),)
    work.managers.upkeep.details(work.operation, {"plan": document(found)})
    return found.findings


def preflight(work: Work) -> tuple[Finding, ...]:
    """Everything that speaks against the action; what would be lost by it is kept at the host."""
    joins = work.operation.parameters["action"] == Action.ADD_HOST
    try:
        return _joining(work) if joins else _leaving(work)
    except StepFailed as failed:
        return failed.findings or (_of_failure(failed.failure),)
    except XenError as error:
        return (_of_failure(StepFailed.from_xen(error).failure),)


def _joining(work: Work) -> tuple[Finding, ...]:
    if meet(work).member or work.pool() is None:
        return ()
    return join_findings(work)


def _leaving(work: Work) -> tuple[Finding, ...]:
    if work.pool() is None:
        return ()
    with work.pool_session() as session:
        view = work.observe_pool(session)
        record = record_of(work.host(), view)
        if record is None:
            return ()
        if len(view.hosts) == 1:
            work.seen(work.host(), record, NOTHING)
            return ()
        departure = judge(work, session, record.uuid, None)
    work.seen(work.host(), record, departure.holdings)
    return departure.findings


def _of_failure(failure: OperationFailure) -> Finding:
    return Finding(
        check="host.reachable",
        code=failure.code,
        severity=Severity.BLOCKING,
        message=failure.message,
        cure=failure.cure,
    )


def _defect(uuid: str) -> OperationFailure:
    return OperationFailure(
        code="INTERNAL_DEFECT",
        message="The look met a defect of nova-aggregates itself.",
        cure=f"Look for operation={uuid} in the manager's log, and report what stands there.",
    )
