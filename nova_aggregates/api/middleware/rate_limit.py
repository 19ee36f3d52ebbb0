"""Keeps one user from taking the service away from all others."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from nova_aggregates import metrics
from nova_aggregates.api.call import CONTEXT
from nova_aggregates.api.deployment import current
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.middleware.noauth import is_loopback

MOST_USERS = 10_000  # whose buckets are remembered


def filter_factory(_global_conf: dict[str, str], **_local_conf: str) -> Callable[[Any], Any]:
    group = current().conf.rate_limit
    rate, burst, loopback = group.requests_per_second, group.burst, group.loopback
    if not rate:
        return lambda application: application
    return lambda application: RateLimit(application, Buckets(rate, burst), loopback=loopback)


class Buckets:
    """Token buckets by user.

    :param rate: tokens that a bucket gets a second.
    :param burst: tokens that it holds.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        # Tokens and when they were counted; who came last is last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, user: str) -> float:
        """Take a token; how many seconds are missing for one (0: it was taken)."""
        now = self._clock()
        tokens, then = self._buckets.pop(user, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        missing = max(0.0, (1 - tokens) / self._rate)
        self._buckets[user] = (tokens if missing else tokens - 1, now)
        if len(self._buckets) > MOST_USERS:
            self._buckets.popitem(last=False)
        return missing


class RateLimit:
    """Stands behind the authentication, which says who the user is."""

    def __init__(self, application: Any, buckets: Buckets, *, loopback: bool) -> None:
        self._application = application
        self._buckets = buckets
        self._loopback = loopback

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        address = environ.get("REMOTE_ADDR", "")
        if self._loopback or not is_loopback(address):
            context = environ.get(CONTEXT)
            missing = self._buckets.take(context.user_id if context else address)
            if missing:
                metrics.RATE_LIMITED.inc()
                seconds = math.ceil(missing)
                raise Fault(
                    413,
                    f"You ask too often. Try again in {seconds} seconds.",
                    {"Retry-After": str(seconds)},
                )
        return self._application(environ, start_response)
