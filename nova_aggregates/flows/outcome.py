"""How a step ends other than well."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

from nova_aggregates.exceptions import NovaAggregatesError
from nova_aggregates.objects import JSON, Finding, OperationFailure, Severity
from nova_aggregates.xenapi.errors import XenError


class Interrupted(BaseException):
    """Leave everything as it is; whoever takes the operation next goes on from the logbook.

    Raised when the manager stops, when another one has taken the operation over and when the
    database is away. No Exception, because TaskFlow would take that for a failure and revert.
    """


class Paused(Interrupted):
    """Somebody asked for a rest, and this is a good place for it."""


class NotYet(Exception):
    """What is waited for is not there yet; the text says what it looks like instead."""


CANCELLED = "CANCELLED"


class StepFailed(Exception):
    """The operation ends here. ``half_way``: as ``error``, for a person; nothing is undone.

    Its only argument is plain data, because TaskFlow keeps it in its logbook: an operation that
    was interrupted while it undid its steps still knows why.
    """

    def __init__(self, data: Mapping[str, JSON]) -> None:
        super().__init__(data)
        self.failure = OperationFailure(**data["failure"])
        self.findings = tuple(
            Finding(**{**each, "severity": Severity(each["severity"])}) for each in data["findings"]
        )
        self.half_way = bool(data["half_way"])
        self.retry_helps = bool(data["retry_helps"])

    def __str__(self) -> str:
        return f"{self.failure.code}: {self.failure.message}"

    @property
    def cancelled(self) -> bool:
        return self.failure.code == CANCELLED

    @classmethod
    def by_cancel(cls) -> StepFailed:
        """Not a failure, but the same way back."""
        return cls.of(CANCELLED, "The operation was cancelled.", "Nothing has to be done.")

    @classmethod
    def of(
        cls,
        code: str,
        message: str,
        cure: str,
        *,
        findings: Iterable[Finding] = (),
        half_way: bool = False,
        retry_helps: bool = False,
    ) -> StepFailed:
        return cls(
            {
                "failure": {"code": code, "message": message, "cure": cure},
                "findings": [dataclasses.asdict(finding) for finding in findings],
                "half_way": half_way,
                "retry_helps": retry_helps,
            }
        )

    @classmethod
    def from_findings(cls, findings: Iterable[Finding]) -> StepFailed:
        """All findings; the first one that blocks gives the code, the message and the cure."""
        found = tuple(findings)
        first = next(finding for finding in found if finding.severity is not Severity.INFO)
        return cls.of(first.code, first.message, first.cure, findings=found)

    @classmethod
    def from_fact(cls, fact: NovaAggregatesError, *, half_way: bool = False) -> StepFailed:
        """Something about the service itself, such as a key that is missing."""
        code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(fact).__name__).upper()
        return cls.of(code, str(fact), "Mend that, then repeat the request.", half_way=half_way)

    @classmethod
    def from_xen(cls, error: XenError, *, half_way: bool = False) -> StepFailed:
        message = str(error)
        if error.cause and error.cause not in message:
            message = (
                f"{message} {error.cause}"
                if message.endswith(".")
                else (f"{message}. {error.cause}")
            )
        return cls.of(
            error.code, message, error.cure, half_way=half_way, retry_helps=error.retry_helps
        )


def blocking(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stop a verb that is not forced."""
    return tuple(finding for finding in findings if finding.severity is not Severity.INFO)
