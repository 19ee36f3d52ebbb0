"""Section 6: what waits, what is refused while something else is going on."""

from __future__ import annotations

import concurrent.futures

import pytest

from tests.conformance.client import Session, Site
from tests.conformance.conftest import host_of

pytestmark = pytest.mark.destructive


@pytest.fixture
def at_master(pair: Site) -> Session:
    return pair.hosts[0].log_in()


@pytest.mark.section("6")
def test_two_evacuations_of_one_host_both_succeed(pair: Site, at_master: Session) -> None:
    member = host_of(pair, at_master, 1)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        sessions = [pair.hosts[0].log_in() for _ in range(2)]
        answers = [threads.submit(s.call, "host.evacuate", member) for s in sessions]
        assert [a.result(100) for a in answers] == ["", ""]


@pytest.mark.section("6")
def test_secret_rotation_stops_pool_operations(pair: Site, at_master: Session) -> None:
    pool, member = at_master.pool, host_of(pair, at_master, 1)
    at_master.call("pool.set_is_psr_pending", pool, True)
    try:
        for method in ("pool.eject", "pool.designate_new_master"):
            error = at_master.failure(method, member)
            assert error == ["POOL_SECRET_ROTATION_PENDING"]
    finally:
        at_master.call("pool.set_is_psr_pending", pool, False)
