"""What every request and every answer looks like, by resource.

EXCHANGES has one row for each row of the route table, under "METHOD /path".
"""

from __future__ import annotations

from collections.abc import Mapping

from nova_aggregates.api.schemas import (
    aggregates,
    availability_zones,
    extensions,
    hosts,
    hypervisors,
    limits,
    maintenance,
    operations,
    services,
    versions,
)
from nova_aggregates.api.schemas.exchange import Exchange

__all__ = ["EXCHANGES", "Exchange"]

EXCHANGES: Mapping[str, Exchange] = {
    **versions.EXCHANGES,
    **extensions.EXCHANGES,
    **aggregates.EXCHANGES,
    **hosts.EXCHANGES,
    **maintenance.EXCHANGES,
    **services.EXCHANGES,
    **hypervisors.EXCHANGES,
    **availability_zones.EXCHANGES,
    **limits.EXCHANGES,
    **operations.EXCHANGES,
}
