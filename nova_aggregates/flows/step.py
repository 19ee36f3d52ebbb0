"""The base of all tasks: one effect each, reported before it begins, safe to repeat.

TaskFlow gives the order, the undoing and the logbook. What a task learns travels as the one frozen
dataclass of its flow, kept as plain JSON in TaskFlow's tables.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from taskflow import task
from taskflow.types.failure import Failure

from nova_aggregates.exceptions import (
    DatabaseUnavailable,
    NovaAggregatesError,
    OperationLost,
)
from nova_aggregates.flows.outcome import Interrupted, StepFailed
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import JSON
from nova_aggregates.xenapi.errors import XenError

LOG = logging.getLogger(__name__)
F = TypeVar("F")
FACTS = "facts"


class _Step(task.Task):
    label: ClassVar[str]  # its name in the operation's record
    percent: ClassVar[int]  # progress of the whole operation when it begins
    half_way: ClassVar[bool] = False  # a failure here leaves something that a person must look at

    def __init__(self, work: Work, **kwargs: Any) -> None:
        super().__init__(name=self.label, **kwargs)
        self.work = work

    def _guarded(self, call: Any, *args: Any) -> Any:
        """Run ``call``; what it raises becomes StepFailed or Interrupted."""
        operation = self.work.operation
        try:
            self.work.safe_point()
            self.work.managers.operations.step(
                operation, self.label, self.percent, calls=self.work.calls.taken()
            )
            LOG.info(
                "operation.step operation=%s step=%s progress=%s request_id=%s",
                operation.uuid,
                self.label,
                self.percent,
                operation.requester.request_id,
            )
            return call(*args)
        except StepFailed as failed:
            if self.half_way and not (failed.half_way or failed.cancelled):
                raise StepFailed({**failed.args[0], "half_way": True}) from None
            raise
        except (OperationLost, DatabaseUnavailable) as error:
            raise Interrupted(str(error)) from None
        except XenError as error:
            raise StepFailed.from_xen(error, half_way=self.half_way) from None
        except NovaAggregatesError as error:
            raise StepFailed.from_fact(error, half_way=self.half_way) from None
        except Exception:
            LOG.exception("flow.defect operation=%s step=%s", operation.uuid, self.label)
            raise StepFailed.of(
                "INTERNAL_DEFECT",
                f"The step {self.label} met a defect of nova-aggregates itself.",
                f"Look for operation={operation.uuid} in the manager's log, and report what "
                "stands there.",
                half_way=self.half_way,
            ) from None


class Learn(_Step):
    """The first task of a flow: finds out what the others must know."""

    def __init__(self, work: Work) -> None:
        super().__init__(work, provides=FACTS)

    def execute(self) -> Mapping[str, JSON]:
        return dataclasses.asdict(self._guarded(self.learn))

    def learn(self) -> Any:
        """The facts: an instance of the flow's dataclass."""
        raise NotImplementedError


class Act(_Step, Generic[F]):
    """A task with one effect. :meth:`act` looks first, acts, and looks again.

    :meth:`undo` is called when this or a later task failed; it too looks first, for the effect may
    or may not be there.
    """

    facts_type: ClassVar[type]
    repeatable: ClassVar[bool] = False  # its changing call may be made twice without a look

    def execute(self, facts: Mapping[str, JSON]) -> JSON:
        known = self._known(facts)
        self.work.learned = True
        if not self.needed(known):
            return None
        return self._guarded(
            functools.partial(
                self.work.through_outage,
                functools.partial(self.act, known),
                repeatable=self.repeatable,
            )
        )

    def revert(
        self,
        facts: Mapping[str, JSON],
        result: Any,
        flow_failures: Mapping[str, Failure],
    ) -> None:
        known = self._known(facts)
        if not self.needed(known) or any(map(_is_half_way, flow_failures.values())):
            return
        try:
            self.undo(known)
        except (OperationLost, DatabaseUnavailable) as error:
            raise Interrupted(str(error)) from None
        except Exception as error:
            known_kind = isinstance(error, XenError | StepFailed)
            LOG.warning(
                "flow.undo_failed operation=%s step=%s reason=%s",
                self.work.operation.uuid,
                self.label,
                error,
                exc_info=not known_kind,
            )
            self._note_left(str(error) if known_kind else "a defect, see the manager's log")

    def _note_left(self, reason: str) -> None:
        try:
            self.work.left_as_it_is(self.label, reason)
        except (OperationLost, DatabaseUnavailable) as error:
            raise Interrupted(str(error)) from None

    def needed(self, facts: F) -> bool:
        """Whether the step belongs to this run at all; a step that does not is not reported."""
        return True

    def act(self, facts: F) -> JSON:
        raise NotImplementedError

    def undo(self, facts: F) -> None:
        """Most effects are left alone: they are harmless, or cannot be taken back."""

    def _known(self, facts: Mapping[str, JSON]) -> F:
        return self.facts_type(
            **{
                key: tuple(value) if isinstance(value, list) else value
                for key, value in facts.items()
            }
        )


def _is_half_way(failure: Failure) -> bool:
    args = failure.exception_args
    return bool(args and isinstance(args[0], Mapping) and args[0].get("half_way"))
