"""/metrics: what Prometheus scrapes, in its text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import prometheus_client
import webob
from oslo_log import log
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nova_aggregates import metrics
from nova_aggregates.api.deployment import current
from nova_aggregates.api.faults import Fault
from nova_aggregates.exceptions import DatabaseUnavailable
from nova_aggregates.manager import StatisticsManager
from nova_aggregates.networks import Networks

LOG = log.getLogger(__name__)

# The name behind nova_aggregates_, what it says, and what its labels are.
GAUGES = (
    ("aggregates", "Aggregates, deleted ones included", ("state",)),
    ("hosts", "Registered hosts", ("status", "maintenance")),
    ("operations", "Operations", ("action", "state")),
    ("drift", "Differences between aggregates and pools", ("kind", "policy")),
)


def app_factory(_global_conf: dict[str, str], **_local_conf: str) -> Metrics:
    """paste.app_factory.

    :raises ConfigurationInvalid: [metrics] networks has something that is no network.
    """
    deployment = current()
    return Metrics(
        deployment.statistics, Networks(deployment.conf.metrics.networks, "[metrics] networks")
    )


class Metrics:
    def __init__(self, statistics: StatisticsManager, allowed: Networks) -> None:
        self._statistics = statistics
        self._allowed = allowed

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            raise Fault(405, "Only GET and HEAD are allowed here.", {"Allow": "GET, HEAD"})
        if not self._allowed.allows(environ.get("REMOTE_ADDR", "")):
            raise Fault(403, "Your address is in no network of [metrics] networks.")
        registry = metrics.registry()
        own = prometheus_client.CollectorRegistry()
        own.register(_Counts(self._statistics))
        body = prometheus_client.generate_latest(registry) + prometheus_client.generate_latest(own)
        response = webob.Response(body)
        response.headers["Content-Type"] = prometheus_client.CONTENT_TYPE_LATEST
        return response(environ, start_response)


class _Counts(Collector):
    """What the database knows, counted when it is asked for."""

    def __init__(self, statistics: StatisticsManager) -> None:
        self._statistics = statistics

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("nova_aggregates_database_up", "Whether the database answers")
        try:
            counts = self._statistics.counts()
        except DatabaseUnavailable as reason:
            LOG.warning("metrics without counts: %s", reason)
            up.add_metric((), 0)
            yield up
            return
        up.add_metric((), 1)
        yield up
        for name, text, labels in GAUGES:
            family = GaugeMetricFamily(f"nova_aggregates_{name}", text, labels=labels)
            found: Mapping[tuple[str, ...], int] = getattr(counts, name)
            for values, count in found.items():
                family.add_metric(values, count)
            yield family
