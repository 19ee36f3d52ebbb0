"""How much one user may ask for."""

from __future__ import annotations

import pytest

from nova_aggregates.api.faults import Fault
from nova_aggregates.api.middleware.rate_limit import MOST_USERS, Buckets, RateLimit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    buckets = Buckets(2.0, 3, clock)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a") == 0.5
    assert buckets.take("b") == 0
    clock.now += 0.25
    assert buckets.take("a") == pytest.approx(0.25)
    clock.now += 0.25
    assert buckets.take("a") == 0
    clock.now += 1000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_users_are_forgotten_before_they_fill_the_memory() -> None:
    buckets = Buckets(1.0, 1, Clock())
    for number in range(MOST_USERS + 100):
        buckets.take(str(number))
    assert len(buckets._buckets) == MOST_USERS


@pytest.mark.parametrize(
    ("address", "loopback", "refused"),
    [("10.0.0.9", False, True), ("127.0.0.1", False, False), ("127.0.0.1", True, True)],
)
def test_loopback_is_free_unless_asked_for(address: str, loopback: bool, refused: bool) -> None:
    application = RateLimit(
        lambda environ, start: [b"served"], Buckets(1.0, 1, Clock()), loopback=loopback
    )
    environ = {"REMOTE_ADDR": address}
    assert application(environ, None) == [b"served"]
    if refused:
        with pytest.raises(Fault) as caught:
            application(environ, None)
        assert caught.value.document["overLimit"]["retryAfter"] == 1
    else:
        assert application(environ, None) == [b"served"]
