"""Whether an operation that failed is tried again by itself, and when."""

from __future__ import annotations

import dataclasses
import datetime

from oslo_config import cfg

from nova_aggregates.flows.outcome import StepFailed
from nova_aggregates.manager.operations import OperationManager
from nova_aggregates.objects import Operation


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    attempts: int  # after the first one; 0 never tries again
    delay: float  # seconds before the first of them; it doubles with each
    longest: float  # seconds

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Backoff:
        group = conf.manager
        return cls(group.retry_attempts, group.retry_delay, group.retry_delay_max)

    def due(
        self, operations: OperationManager, operation: Operation, failed: StepFailed
    ) -> datetime.datetime | None:
        """When to try it again, in naive UTC; None when it has failed for good: trying again does
        not help, was done often enough, or something was sent that changes a pool."""
        if failed.half_way or not failed.retry_helps:
            return None
        if operations.show(operation.uuid).uncancellable_reason is not None:
            return None
        done = 0
        for event in operations.events(operation.uuid):
            if event.kind == "retried":
                done = 0
            elif event.kind == "postponed":
                done += 1
        if done >= self.attempts:
            return None
        seconds = min(self.longest, self.delay * 2**done)
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        return now + datetime.timedelta(seconds=seconds)


NEVER = Backoff(0, 0, 0)
