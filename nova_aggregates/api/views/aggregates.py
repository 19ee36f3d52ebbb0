"""Aggregates, in the keys and the order of each version of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nova_aggregates.api.microversion import LEGACY, MINIMUM, Version, Versioned
from nova_aggregates.api.views import times
from nova_aggregates.objects import Aggregate


def show(aggregate: Aggregate, version: Version) -> dict[str, Any]:
    return {"aggregate": SHAPES[version](aggregate)}


def created(aggregate: Aggregate, version: Version) -> dict[str, Any]:
    document = SHAPES[version](aggregate)
    if version > LEGACY:
        del document["hosts"], document["metadata"]
    return {"aggregate": document}


def index(aggregates: Iterable[Aggregate], version: Version) -> dict[str, Any]:
    return {"aggregates": list(map(SHAPES[version], aggregates))}


def _v11(aggregate: Aggregate) -> dict[str, Any]:
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


def _v21(aggregate: Aggregate) -> dict[str, Any]:
    return {"id": aggregate.id, **_after_uuid(aggregate)}


def _v241(aggregate: Aggregate) -> dict[str, Any]:
    return {"id": aggregate.id, "uuid": aggregate.uuid, **_after_uuid(aggregate)}


def _after_uuid(aggregate: Aggregate) -> dict[str, Any]:
    zone = aggregate.availability_zone
    return {
        "name": aggregate.name,
        "hosts": list(aggregate.hosts),
        # There the zone is a key of the metadata.
        "metadata": {**aggregate.metadata, **({"availability_zone": zone} if zone else {})},
        "created_at": times.render(aggregate.created_at),
        "updated_at": times.render(aggregate.updated_at),
        "deleted_at": times.render(aggregate.deleted_at),
        "deleted": aggregate.deleted,
        "availability_zone": zone,
    }


SHAPES: Versioned[Callable[[Aggregate], dict[str, Any]]] = Versioned(
    {LEGACY: _v11, MINIMUM: _v21, Version(2, 41): _v241}
)
