"""Aggregates, in the ten keys of Compute API v1.1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova_aggregates.api.views import times
from nova_aggregates.objects import Aggregate


def show(aggregate: Aggregate) -> dict[str, Any]:
    return {"aggregate": _aggregate(aggregate)}


def index(aggregates: Iterable[Aggregate]) -> dict[str, Any]:
    return {"aggregates": [_aggregate(aggregate) for aggregate in aggregates]}


def _aggregate(aggregate: Aggregate) -> dict[str, Any]:
    return {
        "id": aggregate.id,
        "name": aggregate.name,
        "availability_zone": aggregate.availability_zone,
        "operational_state": aggregate.state.value,
        "hosts": list(aggregate.hosts),
        "metadata": dict(aggregate.metadata),
        "created_at": times.render(aggregate.created_at),
        "updated_at": times.render(aggregate.updated_at),
        "deleted": aggregate.deleted,
        "deleted_at": times.render(aggregate.deleted_at),
    }
