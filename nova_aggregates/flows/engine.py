"""The runner: finds operations whose turn it is and works on them, many at a time."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import threading
import time
import uuid

from oslo_config import cfg
from oslo_context.context import RequestContext

from nova_aggregates import metrics
from nova_aggregates.exceptions import (
    DatabaseUnavailable,
    LockServiceUnavailable,
    NovaAggregatesError,
    OperationLost,
)
from nova_aggregates.flows.backoff import NEVER, Backoff
from nova_aggregates.flows.execution import Executor, Verdict
from nova_aggregates.flows.hypervisor import Hypervisor
from nova_aggregates.flows.locks import AggregateLock, Locks
from nova_aggregates.flows.look import Looker
from nova_aggregates.flows.persistence import Logbooks
from nova_aggregates.flows.work import Managers, Timing
from nova_aggregates.objects import Operation

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class RunnerSettings:
    max_operations: int  # at a time
    poll_interval: float  # seconds between two looks for operations
    retry_interval: float = 5.0  # seconds before an operation that had to be left is tried again
    backoff: Backoff = NEVER

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> RunnerSettings:
        return cls(
            conf.manager.max_operations,
            conf.manager.poll_interval,
            backoff=Backoff.from_conf(conf),
        )


class Runner:
    """Looks for operations in one thread and runs each in one of its own (green ones where the
    process is monkey-patched). Several runners, in this process or others, share the work by the
    aggregates' locks."""

    def __init__(
        self,
        settings: RunnerSettings,
        managers: Managers,
        hypervisor: Hypervisor,
        timing: Timing,
        logbooks: Logbooks,
        locks: Locks,
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._settings = settings
        self._operations = managers.operations
        self._logbooks = logbooks
        self._locks = locks
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._executor = Executor(
            managers, hypervisor, timing, logbooks, self._stop, settings.backoff
        )
        self._looker = Looker(managers, hypervisor, timing, self.owner, self._stop)
        self._guard = threading.Lock()
        self._busy: dict[int, threading.Thread] = {}  # by aggregate
        self._not_before: dict[str, float] = {}  # by operation: it was left not long ago
        self._main: threading.Thread | None = None
        self._away = ""  # what does not answer, so that it is told once

    def start(self) -> None:
        """Begin to work, in the background."""
        self._main = threading.Thread(target=self._loop, name="runner", daemon=True)
        self._main.start()

    def wake(self) -> None:
        """Look for operations now instead of at the next interval."""
        self._wake.set()

    def stop(self) -> None:
        """Begin no operation any more; those under way are left at their next safe point, and the
        next start goes on with them."""
        self._stop.set()
        self._wake.set()

    def wait(self, seconds: float) -> bool:
        """Whether everything has come to rest within ``seconds`` after :meth:`stop`. What has not
        (it waits for an answer) may be killed without harm."""
        end = time.monotonic() + seconds
        with self._guard:
            threads = list(self._busy.values())
        for thread in [*threads, *([self._main] if self._main else [])]:
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                return False
        return True

    @property
    def busy(self) -> frozenset[int]:
        """The aggregates that are worked on in this process."""
        with self._guard:
            return frozenset(self._busy)

    def _loop(self) -> None:
        self._sweep()
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self._look()
                self._tell_away("")
            except (DatabaseUnavailable, LockServiceUnavailable) as reason:
                self._tell_away(str(reason))
            except Exception:
                LOG.exception("runner.defect")
            self._wake.wait(self._settings.poll_interval)

    def _tell_away(self, reason: str) -> None:
        if reason and not self._away:
            LOG.error("runner.waits reason=%s", reason)
        elif self._away and not reason:
            LOG.info("runner.goes_on")
        self._away = reason

    def _sweep(self) -> None:
        """Close the books of operations whose manager died between the end and the closing."""
        try:
            for operation in list(self._logbooks.left_open()):
                if self._over(operation):
                    self._logbooks.close(operation)
        except DatabaseUnavailable as reason:
            LOG.warning("runner.sweep_postponed reason=%s", reason)
        except Exception:
            LOG.exception("runner.defect")

    def _over(self, operation: str) -> bool:
        try:
            return self._operations.show(operation).state.ended
        except DatabaseUnavailable:
            raise
        except NovaAggregatesError:
            return True

    def _look(self) -> None:
        self._looker.look()
        busy = self.busy
        if len(busy) >= self._settings.max_operations:
            return
        now = time.monotonic()
        with self._guard:
            for uuid_, moment in list(self._not_before.items()):
                if moment <= now:
                    del self._not_before[uuid_]
            resting = frozenset(self._not_before)
        # More than fit: those that other managers hold stand in the list, too.
        found = self._operations.runnable(self._settings.max_operations * 4, except_aggregates=busy)
        for operation in found:
            if self._stop.is_set() or len(self.busy) >= self._settings.max_operations:
                return
            if operation.uuid not in resting:
                self._try(operation)

    def _try(self, operation: Operation) -> None:
        lock = self._locks.acquire(operation.aggregate_id)
        if lock is None:
            return
        thread = threading.Thread(
            target=self._work,
            args=(operation, lock),
            name=f"operation-{operation.uuid}",
            daemon=True,
        )
        with self._guard:
            self._busy[operation.aggregate_id] = thread
            thread.start()

    def _work(self, found: Operation, lock: AggregateLock) -> None:
        left = True
        try:
            operation = self._operations.take(found.uuid, self.owner)
            LOG.info(
                "operation.taken operation=%s action=%s aggregate=%s host=%s fence=%s "
                "request_id=%s",
                operation.uuid,
                operation.action,
                operation.aggregate_id,
                operation.host,
                operation.fence,
                operation.requester.request_id,
            )
            # The log names both with every line of this thread.
            RequestContext(
                request_id=operation.requester.request_id or None, resource_uuid=operation.uuid
            )
            left = self._executor.run(operation, lock) is Verdict.LEFT
            if not left:
                metrics.operation_ended(self._operations.show(operation.uuid))
        except OperationLost:
            left = False  # Another manager ended it since we looked.
        except NovaAggregatesError as reason:
            LOG.info("operation.not_taken operation=%s reason=%s", found.uuid, reason)
        except Exception:
            LOG.exception("runner.defect operation=%s", found.uuid)
        finally:
            self._release(found, lock, left)

    def _release(self, operation: Operation, lock: AggregateLock, left: bool) -> None:
        lock.release()
        with self._guard:
            self._busy.pop(operation.aggregate_id, None)
            if left:
                self._not_before[operation.uuid] = time.monotonic() + self._settings.retry_interval
        self._wake.set()
