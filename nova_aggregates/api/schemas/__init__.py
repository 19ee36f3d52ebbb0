"""What every request and every answer looks like, by resource.

EXCHANGES has one row for each row of the route table, under "METHOD /path".
"""

from __future__ import annotations

from collections.abc import Mapping

from nova_aggregates.api.schemas import (
    aggregates,
    extensions,
    hosts,
    maintenance,
    operations,
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
    **operations.EXCHANGES,
}
