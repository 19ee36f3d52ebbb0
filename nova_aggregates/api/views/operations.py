"""Operations: what was asked, how far it is, why it failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.views import times
from nova_aggregates.objects import Finding, Operation, OperationFailure


def show(operation: Operation) -> dict[str, Any]:
    return {"operation": _operation(operation)}


def index(operations: Iterable[Operation]) -> dict[str, Any]:
    return {"operations": [_operation(operation) for operation in operations]}


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "uuid": operation.uuid,
        "aggregate_id": operation.aggregate_id,
        "host": operation.host,
        "action": operation.action.value,
        "parameters": dict(operation.parameters),
        "state": operation.state.value,
        "step": operation.step,
        "progress": operation.progress,
        "findings": [_finding(finding) for finding in operation.findings],
        "error": operation.failure and _failure(operation.failure),
        "requested_by": {
            "user_id": operation.requester.user_id,
            "project_id": operation.requester.project_id,
            "request_id": operation.requester.request_id,
        },
        "created_at": times.render(operation.created_at),
        "started_at": times.render(operation.started_at),
        "updated_at": times.render(operation.updated_at),
        "finished_at": times.render(operation.finished_at),
    }


def _failure(failure: OperationFailure) -> dict[str, Any]:
    return {"code": failure.code, "message": failure.message, "cure": failure.cure}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "cure": finding.cure,
        "ours": finding.ours,
        "theirs": finding.theirs,
    }
