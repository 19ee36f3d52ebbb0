"""Which of the aggregates fit a search, in which order, and which page of them.

In Python, because the names of all of them are read anyway (db/shelf.py) and because it sorts and
compares in the same way over every database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nova_aggregates.objects import Aggregate, AggregatePage, AggregateSearch, SortKey

_SORTED_BY: dict[SortKey, Callable[[Aggregate], Any]] = {
    SortKey.ID: lambda aggregate: aggregate.id,
    SortKey.NAME: lambda aggregate: aggregate.name,
    SortKey.ZONE: lambda aggregate: aggregate.availability_zone,
    SortKey.STATE: lambda aggregate: aggregate.state.value,
    SortKey.CREATED: lambda aggregate: aggregate.created_at,
    SortKey.UPDATED: lambda aggregate: aggregate.updated_at,
}


def page(
    found: Iterable[Aggregate], wanted: AggregateSearch, marker: Aggregate | None
) -> AggregatePage:
    """What is ``wanted`` of ``found``, behind the marker."""
    value = _SORTED_BY[wanted.sort_key]

    def place(aggregate: Aggregate) -> tuple[Any, ...]:
        """Unset values first; equal ones by id, so that every order is one."""
        its = value(aggregate)
        return (its is not None, its, aggregate.id) if its is not None else (False, aggregate.id)

    fitting = sorted(
        (aggregate for aggregate in found if fits(aggregate, wanted)),
        key=place,
        reverse=wanted.descending,
    )
    if marker is not None:
        end = place(marker)
        fitting = [
            aggregate
            for aggregate in fitting
            if (place(aggregate) < end if wanted.descending else place(aggregate) > end)
        ]
    limit = len(fitting) if wanted.limit is None else wanted.limit
    return AggregatePage(tuple(fitting[:limit]), more=len(fitting) > limit)


def fits(aggregate: Aggregate, wanted: AggregateSearch) -> bool:
    """Whether nothing that ``wanted`` restricts speaks against the aggregate."""
    return (
        wanted.name in (None, aggregate.name)
        and wanted.availability_zone in (None, aggregate.availability_zone)
        and wanted.state in (None, aggregate.state)
        and (wanted.host is None or wanted.host in aggregate.hosts)
        and _metadata_fits(aggregate, wanted)
    )


def _metadata_fits(aggregate: Aggregate, wanted: AggregateSearch) -> bool:
    key, value = wanted.metadata_key, wanted.metadata_value
    if key is None:
        return value is None or value in aggregate.metadata.values()
    return key in aggregate.metadata and value in (None, aggregate.metadata[key])
