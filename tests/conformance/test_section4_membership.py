"""Section 4: eject, destroy, declare_dead, the change of master and its refusals."""

from __future__ import annotations

import pytest

from tests.conformance.client import BOGUS, NULL, Session, Site
from tests.conformance.conftest import host_of, usable

pytestmark = pytest.mark.destructive


@pytest.fixture
def at_master(pair: Site) -> Session:
    return pair.hosts[0].log_in()


@pytest.mark.section("4.1")
def test_the_master_cannot_be_ejected(pair: Site, at_master: Session) -> None:
    error = at_master.failure("pool.eject", at_master.master)
    assert error[0] == "INTERNAL_ERROR"
    assert "Cannot_eject_master" in error[1]
    alone = pair.hosts[2].log_in()
    assert alone.failure("pool.eject", alone.master) == error


@pytest.mark.section("4.1")
@pytest.mark.parametrize("kind", ["unknown", "null", "of a pool"])
def test_references_that_are_no_host(at_master: Session, kind: str) -> None:
    ref = {"unknown": BOGUS, "null": NULL, "of a pool": at_master.pool}[kind]
    assert at_master.failure("pool.eject", ref) == ["HOST_OFFLINE", ref]


@pytest.mark.section("4.2")
@pytest.mark.parametrize("method", ["host.destroy", "host.declare_dead"])
def test_live_hosts_are_neither_destroyed_nor_dead(
    pair: Site, at_master: Session, method: str
) -> None:
    for host in (at_master.master, host_of(pair, at_master, 1)):
        assert at_master.failure(method, host) == ["HOST_IS_LIVE", host]


@pytest.mark.section("4.3")
def test_designating_the_present_master_changes_nothing(at_master: Session) -> None:
    master = at_master.master
    assert at_master.call("pool.designate_new_master", master) == ""
    assert at_master.call("pool.get_master", at_master.pool) == master


@pytest.mark.section("4.3")
def test_pool_is_slave(pair: Site, at_master: Session) -> None:
    assert at_master.call("pool.is_slave", at_master.master) is False
    local = pair.hosts[1].log_in_locally()
    assert local.call("pool.is_slave", host_of(pair, at_master, 1)) is True


@pytest.mark.section("4.3")
def test_the_role_is_handed_over_and_back(pair: Site) -> None:
    """The pool stays the same; sessions are lost; each endpoint says who is master now."""
    old, new = pair.hosts[:2]
    session = old.log_in()
    uuid = session.call("pool.get_uuid", session.pool)
    for source, position, target in ((old, 1, new), (new, 0, old)):
        session = source.log_in()
        session.call("pool.designate_new_master", host_of(pair, session, position))
        pair.wait(
            "the old master is a slave",
            lambda s=source, t=target: s.standing() == f"slave of {t.address}",  # type: ignore[misc]
        )

        def settled(target: object = target) -> bool:
            assert isinstance(target, type(old))
            there = target.log_in()
            return all(usable(there, host_of(pair, there, n)) for n in (0, 1))

        pair.wait("all hosts are enabled", settled)
        there = target.log_in()
        assert there.call("pool.get_uuid", there.pool) == uuid
        assert session.failure("host.get_all")[0] in ("SESSION_INVALID", "HOST_IS_SLAVE")


@pytest.mark.section("4.3")
def test_databases_are_synced(at_master: Session) -> None:
    assert at_master.call("pool.sync_database") == ""
    assert at_master.call("pool.certificate_sync") == ""
    assert at_master.call("pool.recover_slaves") is not None


@pytest.mark.section("4.4")
def test_members_are_live(pair: Site, at_master: Session) -> None:
    assert all(at_master.live(host_of(pair, at_master, n)) for n in (0, 1))
