"""Operations: what was asked, how far it is, why it failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.views import times
from nova_aggregates.objects import Finding, Operation, OperationFailure


def show(operation: Operation) -> dict[str, Any]:
    return {"operation": one(operation)}


def index(operations: Iterable[Operation]) -> dict[str, Any]:
    return {"operations": [one(operation) for operation in operations]}


def one(operation: Operation) -> dict[str, Any]:
    return {
        "uuid": operation.uuid,
        "aggregate_id": operation.aggregate_id,
        "host": operation.host,
        "action": operation.action.value,
        "parameters": dict(operation.parameters),
        "state": operation.state.value,
        "step": operation.step,
        "progress": operation.progress,
        "attempts": operation.attempts,
        "not_before": times.render(operation.not_before),
        "cancel_requested": operation.cancel_requested,
        "uncancellable_reason": operation.uncancellable_reason,
        "findings": [finding(each) for each in operation.findings],
        "details": operation.details,
        "directive": operation.directive and operation.directive.value,
        "error": operation.failure and failure(operation.failure),
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


def failure(told: OperationFailure) -> dict[str, Any]:
    return {"code": told.code, "message": told.message, "cure": told.cure}


def finding(found: Finding) -> dict[str, Any]:
    return {
        "check": found.check,
        "code": found.code,
        "severity": found.severity.value,
        "message": found.message,
        "cure": found.cure,
        "ours": found.ours,
        "theirs": found.theirs,
    }
