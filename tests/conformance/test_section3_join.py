"""Section 3: pool.join, its refusals, what is seen at both ends."""

from __future__ import annotations

import pytest

from tests.conformance.client import Host, Session, Site
from tests.conformance.conftest import host_of, usable

pytestmark = pytest.mark.destructive


@pytest.fixture(scope="module")
def joiner(site: Site) -> Session:
    return site.hosts[2].log_in()


@pytest.mark.section("3.2")
@pytest.mark.parametrize("method", ["pool.join", "pool.join_force"])
def test_a_host_cannot_join_itself(joiner: Session, method: str) -> None:
    host = joiner.host
    error = joiner.failure(method, host.address, host.user, host.password)
    assert error == ["OPERATION_NOT_ALLOWED", "Host cannot become slave of itself"]


@pytest.mark.section("3.2")
@pytest.mark.parametrize("method", ["pool.join", "pool.join_force"])
def test_shared_storage_hinders(joiner: Session, master: Host, method: str) -> None:
    uuid = "00000000-0000-0000-0000-0000000000aa"
    sr = joiner.call("SR.introduce", uuid, "conformance", "", "nfs", "", True, {})
    try:
        error = joiner.failure(method, master.address, master.user, master.password)
        assert error == ["JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS"]
    finally:
        joiner.call("SR.forget", sr)


@pytest.mark.section("3.3")
@pytest.mark.parametrize("address", ["", "{}:443", "https://{}"])
def test_addresses_that_are_none(joiner: Session, master: Host, address: str) -> None:
    given = address.format(master.address)
    error = joiner.failure("pool.join", given, master.user, master.password)
    assert error == ["JOINING_HOST_CONNECTION_FAILED"]


@pytest.mark.section("3.3")
@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("root", "Authentication failure"),
        ("no-such-user", "User not known to the underlying authentication module"),
    ],
)
def test_wrong_credentials(joiner: Session, master: Host, user: str, message: str) -> None:
    error = joiner.failure("pool.join", master.address, user, "wrong")
    assert error == ["SESSION_AUTHENTICATION_FAILED", user, message]


@pytest.mark.section("3.3")
def test_a_task_of_a_join_that_fails(joiner: Session, master: Host) -> None:
    task = joiner.call("Async.pool.join", master.address, master.user, "wrong")
    record = joiner.finished(task)
    assert record["status"] == "failure"
    assert record["error_info"][0] == "SESSION_AUTHENTICATION_FAILED"


@pytest.mark.section("3.4")
def test_a_member(pair: Site) -> None:
    """It answers with its master's address; its record is new, its uuid and name are not."""
    first, second = pair.hosts[:2]
    assert second.standing() == f"slave of {first.address}"
    session = first.log_in()
    host = host_of(pair, session, 1)
    assert usable(session, host)
    assert session.call("host.get_name_description", host) == "Default install"
    assert session.call("host.get_tags", host) == []
    assert len(session.call("pool.get_all")) == 1


@pytest.mark.section("1.5")
@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_slave_names_its_master_before_it_looks_at_the_password(
    pair: Site, password: str
) -> None:
    first, second = pair.hosts[:2]
    error = second.failure("session.login_with_password", "root", password)
    assert error == ["HOST_IS_SLAVE", first.address]
    flavours = {
        1: lambda e: e["error"],
        2: lambda e: [e["error"]["message"], *e["error"]["data"]],
    }
    for version, of in flavours.items():
        asked = {"method": "session.login_with_password", "params": ["root", password], "id": 7}
        if version == 2:
            asked["jsonrpc"] = "2.0"
        assert of(second.json(asked).json) == ["HOST_IS_SLAVE", first.address]


@pytest.mark.section("1.5")
def test_sessions_at_a_slave(pair: Site) -> None:
    first, second = pair.hosts[:2]
    bogus = "OpaqueRef:00000000-0000-0000-0000-000000000000"
    assert second.failure("host.get_all", first.log_in().ref) == ["HOST_IS_SLAVE", first.address]
    assert second.failure("host.get_all", bogus) == ["SESSION_INVALID", bogus]


@pytest.mark.section("1.5")
def test_local_sessions_of_a_slave_work_on_the_pool(pair: Site) -> None:
    local = pair.hosts[1].log_in_locally()
    session = pair.hosts[0].log_in()
    pool = session.pool
    before = session.call("pool.get_name_description", pool)
    local.call("pool.set_name_description", pool, "by a slave")
    assert session.call("pool.get_name_description", pool) == "by a slave"
    session.call("pool.set_name_description", pool, before)
    error = local.failure("event.from", ["pool"], "", 1.0)
    assert error == ["INTERNAL_ERROR", "missing table", "pool", ""]
    assert local.call("pool.eject", session.master) == ""
    assert len(session.call("host.get_all")) == 2


@pytest.mark.section("3.3")
@pytest.mark.parametrize("password", [None, "wrong"])
def test_a_slave_as_the_target(pair: Site, joiner: Session, password: str | None) -> None:
    first, second = pair.hosts[:2]
    error = joiner.failure("pool.join", second.address, "root", password or second.password)
    assert error == ["HOST_IS_SLAVE", first.address]


@pytest.mark.section("3.2")
def test_a_master_of_others_cannot_join(pair: Site) -> None:
    session, other = pair.hosts[0].log_in(), pair.hosts[2]
    error = session.failure("pool.join", other.address, other.user, other.password)
    assert error == ["JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS"]
    own = pair.hosts[0]
    error = session.failure("pool.join", own.address, own.user, own.password)
    assert error == ["OPERATION_NOT_ALLOWED", "Host is already part of a pool"]
