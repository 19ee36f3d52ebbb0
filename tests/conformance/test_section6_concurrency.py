"""Section 6: what waits, what is refused while something else is going on."""

from __future__ import annotations

import concurrent.futures

import pytest

from tests.conformance.client import Failure, Session, Site
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


@pytest.mark.section("6")
def test_a_second_change_of_master_is_refused_at_once(pair: Site) -> None:
    """Both to the same host: one succeeds, the other one says that it is under way."""
    session = pair.hosts[0].log_in()
    member = host_of(pair, session, 1)
    outcomes: list[str] = []
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        sessions = [pair.hosts[0].log_in() for _ in range(2)]
        calls = [threads.submit(s.call, "pool.designate_new_master", member) for s in sessions]
        for call in calls:
            try:
                outcomes.append(str(call.result(200)))
            except Failure as error:
                outcomes.append(error.code)
    assert sorted(outcomes) == ["", "DESIGNATE_NEW_MASTER_IN_PROGRESS"]
    old, new = pair.hosts[:2]
    pair.wait("the role has moved", lambda: old.standing() == f"slave of {new.address}")
    back = new.log_in
    pair.wait(
        "all are enabled",
        lambda: all(r["enabled"] for r in back().call("host.get_all_records").values()),
    )
    there = new.log_in()
    there.call("pool.designate_new_master", host_of(pair, there, 0))
    pair.wait("it has moved back", lambda: new.standing() == f"slave of {old.address}")
    home = old.log_in
    pair.wait(
        "all are enabled",
        lambda: all(r["enabled"] for r in home().call("host.get_all_records").values()),
    )
