"""The driver against simulated hosts: what it sees and does there, what it says of failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nova_aggregates.simulator.testing import SimulatedHost, SimulatedSite
from nova_aggregates.xenapi import errors, host, pool, preflight
from nova_aggregates.xenapi.connection import Connection, connect, connect_local, connect_pool
from nova_aggregates.xenapi.tasks import Watch
from nova_aggregates.xenapi.types import Endpoint, Finding, PoolView, Severity, Timeouts, Trust

TIMEOUTS = Timeouts(connect=2.0, call=10.0)
WATCH = Watch(interval=0.01, deadline=20.0)
GIB = 1024**3


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatedSite]:
    # Host 4 has a CPU of another vendor.
    with SimulatedSite(hosts=4, time_scale=100, other_vendor=(3,)) as site:
        yield site


@pytest.fixture
def site(running: SimulatedSite) -> SimulatedSite:
    running.reset()
    return running


def endpoint(of: SimulatedHost, **changes: Any) -> Endpoint:
    values = {
        "address": of.address,
        "port": of.port,
        "username": of.username,
        "password": of.password,
        "trust": Trust(fingerprint=of.fingerprint),
    }
    return Endpoint(**{**values, **changes})


def login(site: SimulatedSite, name: str, **changes: Any) -> Connection:
    return connect(endpoint(site.host(name), **changes), timeouts=TIMEOUTS)


def at_pool(site: SimulatedSite, *names: str, **identity: str) -> Connection:
    candidates = [endpoint(site.host(name)) for name in names]
    return connect_pool(candidates, timeouts=TIMEOUTS, **identity)


def look(site: SimulatedSite, *names: str, **identity: str) -> PoolView:
    with at_pool(site, *names, **identity) as connection:
        return pool.observe(connection)


def until(what: str, found: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What ``found`` gives once it is true; errors mean: not yet."""
    ends = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < ends:
        try:
            last = found()
        except errors.XenError as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come: {last}")


def join(site: SimulatedSite, joiner: str, master: str, **options: Any) -> None:
    target = site.host(master)
    with login(site, joiner) as connection:
        pool.join(connection, target.address, "root", target.password, watch=WATCH, **options)


def settled(site: SimulatedSite, size: int, *names: str) -> PoolView:
    def view() -> PoolView | None:
        found = look(site, *names)
        return found if found.settled and len(found.hosts) == size else None

    found = until(f"a settled pool of {size}", view)
    assert isinstance(found, PoolView)
    return found


def pool_of(site: SimulatedSite, *names: str) -> PoolView:
    """A pool with the first as its master, made by joins one after the other."""
    view = look(site, names[0])
    for size, name in enumerate(names[1:], start=2):
        join(site, name, names[0])
        view = settled(site, size, names[0])
    return view


# --- looking -----------------------------------------------------------------------------------


def test_standalone_host(site: SimulatedSite) -> None:
    view = look(site, "host1")
    (only,) = view.hosts
    assert (only.uuid, only.name, only.is_master) == (site.host("host1").uuid, "host1", True)
    assert only.address == site.host("host1").address
    assert view.name == ""
    assert view.settled
    assert only.boot_time is not None
    assert only.product
    assert only.capacity.memory_bytes == 64 * GIB
    assert only.capacity.vcpus == 8
    assert only.capacity.disk_bytes > 0
    assert only.guests == ()


def test_guests(site: SimulatedSite) -> None:
    site.change("add-guest", "host1", name="web1")
    (only,) = look(site, "host1").hosts
    assert [(guest.name, guest.power_state) for guest in only.guests] == [("web1", "Running")]
    assert only.capacity.vcpus_used == only.guests[0].vcpus > 0


def test_naming(site: SimulatedSite) -> None:
    with login(site, "host1") as connection:
        pool.set_name(connection, "Gestell fünf, ä")
        assert pool.observe(connection).name == "Gestell fünf, ä"
        pool.set_name(connection, "")
        assert pool.observe(connection).name == ""


# --- joining and leaving -----------------------------------------------------------------------


def test_join_and_what_is_seen_on_the_way(site: SimulatedSite) -> None:
    uuid = site.host("host2").uuid
    before = look(site, "host1")
    join(site, "host2", "host1")
    on_the_way = look(site, "host1").host(uuid)
    assert on_the_way is not None
    assert not on_the_way.ready
    view = settled(site, 2, "host1")
    member = view.host(uuid)
    assert member is not None
    assert (member.name, member.is_master) == ("host2", False)
    assert view.uuid == before.uuid
    # From then on it points to its master and takes the pool's password.
    with pytest.raises(errors.IsSlave) as caught:
        login(site, "host2")
    assert caught.value.master_address == site.host("host1").address
    with connect_local(endpoint(site.host("host2")), timeouts=TIMEOUTS) as local:
        assert local.call("host.is_in_emergency_mode") is False


def test_pool_is_found_through_any_member(site: SimulatedSite) -> None:
    view = pool_of(site, "host1", "host2")
    uuid = site.host("host2").uuid
    found = look(site, "host3", "host2", "host1", pool_uuid=view.uuid, host_uuid=uuid)
    assert found.uuid == view.uuid


def test_eject(site: SimulatedSite) -> None:
    before = pool_of(site, "host1", "host2")
    uuid = site.host("host2").uuid
    with login(site, "host1") as connection:
        assert preflight.leave_findings(connection, uuid) == ()
        assert pool.eject(connection, uuid, watch=WATCH) is True
        assert pool.observe(connection).host(uuid) is None
        assert pool.eject(connection, uuid, watch=WATCH) is False

    def back() -> PoolView | None:
        found = look(site, "host2", host_uuid=uuid)
        return found if found.settled else None

    alone = until("the ejected host", back)
    assert [each.uuid for each in alone.hosts] == [uuid]
    assert alone.uuid != before.uuid
    assert not alone.tls_verification_enabled


def test_ejected_host_joins_again_after_tls_verification_is_on(site: SimulatedSite) -> None:
    test_eject(site)
    with login(site, "host2") as joiner, login(site, "host1") as master:
        found = preflight.join_findings(joiner, master)
        assert [finding.check for finding in found] == [preflight.TLS_CHECK]
        pool.enable_tls_verification(joiner)
        assert preflight.join_findings(joiner, master) == ()
    join(site, "host2", "host1")
    settled(site, 2, "host1")


def test_handing_over(site: SimulatedSite) -> None:
    before = pool_of(site, "host1", "host2")
    heir = site.host("host2").uuid
    with login(site, "host1") as connection:
        pool.sync_database(connection, watch=WATCH)
        pool.designate_new_master(connection, heir, watch=WATCH)

    def handed_over() -> PoolView | None:
        found = look(site, "host1", "host2", pool_uuid=before.uuid)
        return found if found.master_uuid == heir and found.settled else None

    view = until("the new master", handed_over)
    assert {each.uuid for each in view.hosts} == {each.uuid for each in before.hosts}
    with pytest.raises(errors.IsSlave):
        login(site, "host1")
    with login(site, "host2") as connection:
        pool.designate_new_master(connection, heir, watch=WATCH)  # is the master: does nothing
        with pytest.raises(errors.PreconditionFailed, match="master of its pool"):
            pool.eject(connection, heir, watch=WATCH)


def test_disable_and_enable(site: SimulatedSite) -> None:
    pool_of(site, "host1", "host2")
    uuid = site.host("host2").uuid
    with login(site, "host1") as connection:
        assert host.disable(connection, uuid, survive_restart=True, watch=WATCH) is True
        assert not look(site, "host1").settled
        host.enable(connection, uuid, watch=WATCH)
        assert look(site, "host1").settled
        with pytest.raises(errors.ObjectGone):
            host.disable(connection, "no-such-uuid", watch=WATCH)
        with pytest.raises(errors.ApiFailure, match="host host2 is in contact") as caught:
            host.forget(connection, uuid, watch=WATCH)
        assert caught.value.code == "HOST_IS_LIVE"


# --- what goes wrong ---------------------------------------------------------------------------


def test_wrong_password(site: SimulatedSite) -> None:
    with pytest.raises(errors.AuthenticationFailed, match="root"):
        login(site, "host1", password="not this one")


def test_dead_host(site: SimulatedSite) -> None:
    site.fault("power-off", "host1")
    with pytest.raises(errors.Unreachable, match=site.host("host1").address):
        login(site, "host1")


def test_changed_certificate(site: SimulatedSite) -> None:
    target = endpoint(site.host("host1"))
    connect(target, timeouts=TIMEOUTS).close()
    new = site.change("change-certificate", "host1")
    with pytest.raises(errors.CertificateRefused) as caught:
        connect(target, timeouts=TIMEOUTS)
    assert new in str(caught.value)
    assert str(target.trust.fingerprint) in str(caught.value)


def test_frozen_host(site: SimulatedSite) -> None:
    with login(site, "host1") as connection:
        site.fault("freeze", "host1")
        try:
            with pytest.raises((errors.TimedOut, errors.Unreachable)):
                connection.call("pool.get_all", timeout=0.3)
        finally:
            site.fault("thaw", "host1")


def test_restarted_toolstack_ends_the_session(site: SimulatedSite) -> None:
    with login(site, "host1") as connection:
        connection.call("pool.get_all")
        site.fault("kill-toolstack", "host1")

        def ended() -> bool:
            try:
                connection.call("pool.get_all")
            except errors.SessionInvalid:
                return True
            return False

        until("the end of the session", ended)


REFUSED = {
    "the pool's password is wrong": ("host1", "wrong", "SESSION_AUTHENTICATION_FAILED"),
    "the target is a member": ("host3", None, "HOST_IS_SLAVE"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_join_that_the_master_refuses(site: SimulatedSite, why: str) -> None:
    name, password, code = REFUSED[why]
    pool_of(site, "host1", "host3")
    target = site.host(name)
    with login(site, "host2") as connection:
        with pytest.raises(errors.TargetRefused) as caught:
            pool.join(connection, target.address, "root", password or target.password, watch=WATCH)
        assert caught.value.code == code
        assert "pool's master" in caught.value.message
        assert len(pool.observe(connection).hosts) == 1


def test_join_of_a_dead_master(site: SimulatedSite) -> None:
    target = site.host("host1")
    site.fault("power-off", "host1")
    with login(site, "host2") as connection, pytest.raises(errors.ApiFailure) as caught:
        pool.join(connection, target.address, "root", target.password, watch=WATCH)
    assert "cannot reach the pool's master" in caught.value.message


@pytest.mark.parametrize("action", ["drop-after", "truncate", "http-500"])
def test_join_whose_answer_is_lost_happens_once(site: SimulatedSite, action: str) -> None:
    site.spoil("host2", "Async.pool.join", action)
    with pytest.raises(errors.OutcomeUnknown):
        join(site, "host2", "host1")
    assert len(settled(site, 2, "host1").hosts) == 2


def test_join_that_never_arrived(site: SimulatedSite) -> None:
    site.spoil("host2", "Async.pool.join", "drop-before")
    with pytest.raises(errors.OutcomeUnknown):
        join(site, "host2", "host1")
    assert len(look(site, "host1").hosts) == 1
    assert look(site, "host2").settled


def test_master_that_restarts_under_a_task(site: SimulatedSite) -> None:
    uuid = pool_of(site, "host1", "host2").hosts[1].uuid
    with login(site, "host1") as connection:
        site.spoil("host1", "task.get_record", "error", error=["SESSION_INVALID", "OpaqueRef:x"])
        with pytest.raises(errors.OutcomeUnknown, match="session has ended"):
            pool.eject(connection, uuid, watch=WATCH)


# --- the checks agree with what the hosts themselves say ---------------------------------------


def findings(site: SimulatedSite, joiner: str, master: str) -> tuple[Finding, ...]:
    with login(site, joiner) as ours, login(site, master) as theirs:
        return preflight.join_findings(ours, theirs)


def fields(name: str, cls: str, **values: Any) -> Callable[[SimulatedSite], None]:
    return lambda site: site.change("set-fields", name, cls=cls, values=values)


def hardware(name: str, **values: Any) -> Callable[[SimulatedSite], None]:
    return lambda site: site.change("set-hardware", name, **values)


def create(at: str, cls: str, **values: Any) -> Callable[[SimulatedSite], None]:
    return lambda site: site.change("create-record", at, cls=cls, values=values)


def all_of(*changes: Callable[[SimulatedSite], None]) -> Callable[[SimulatedSite], None]:
    def change(site: SimulatedSite) -> None:
        for each in changes:
            each(site)

    return change


def ca(fingerprint: str, name: str = "", **values: Any) -> dict[str, Any]:
    fields = {"type": "ca", "name": name, "purpose": [], "fingerprint": fingerprint}
    fields["fingerprint_sha256"] = fingerprint
    return {**fields, **values}


def guest(site: SimulatedSite) -> None:
    site.change("add-guest", "host2", name="web1")


def copied_template(site: SimulatedSite) -> None:
    with login(site, "host2") as connection:
        records = connection.call("VM.get_all_records")
    template = next(ref for ref, record in records.items() if record["is_a_template"])
    operations = {"OpaqueRef:task": "copy"}
    change = {"ref": template, "values": {"current_operations": operations}}
    site.change("set-fields", "host2", cls="VM", **change)


def shared_storage(site: SimulatedSite) -> None:
    with login(site, "host2") as connection:
        connection.call(
            "SR.introduce", "11111111-2222-3333-4444-555555555555", "nfs", "", "nfs", "", True, {}
        )


def clustered(site: SimulatedSite) -> None:
    with login(site, "host2") as connection:
        (own,) = connection.call("host.get_all")
    create("host2", "Cluster_host", host=own, enabled=True)(site)


UNHEALTHY: dict[str, Callable[[SimulatedSite], None]] = {
    "join.running_guests": guest,
    "join.guest_operations": copied_template,
    "join.shared_storage": shared_storage,
    "join.ha_on_host": fields("host2", "pool", ha_enabled=True),
    "join.ha_on_pool": fields("host1", "pool", ha_enabled=True),
    "join.pending_guidance": fields("host2", "host", pending_guidances=["reboot_host"]),
    "join.product": hardware("host2", software={"platform_version": "9.9.9"}),
    "join.software": hardware("host2", software={"git_id": "other"}),
    "join.db_schema": hardware("host2", software={"db_schema": "5.1"}),
    "join.api_version": fields("host2", "host", API_version_minor=1),
    "join.edition": fields("host2", "host", edition="premium"),
    "join.directory": fields("host1", "host", external_auth_type="AD"),
    "join.network_backend": hardware("host2", software={"network_backend": "openvswitch"}),
    "join.tls_verification": fields("host2", "pool", tls_verification_enabled=False),
    "join.secret_rotation": fields("host1", "pool", is_psr_pending=True),
    "join.address_type": fields("host2", "PIF", primary_address_type="IPv6"),
    "join.management_vlan": fields("host1", "PIF", VLAN=7),
    "join.management_interface": fields("host2", "PIF", management=False),
    "join.updating": fields("host1", "pool", current_operations={"OpaqueRef:t": "apply_updates"}),
    "join.bonds": create("host2", "Bond"),
    "join.tunnels": create("host2", "tunnel"),
    "join.sriov": create("host2", "network_sriov"),
    "join.clustering": clustered,
    "join.ca_certificates": all_of(
        create("host1", "Certificate", **ca("AA", "corp")),
        create("host2", "Certificate", **ca("BB", "corp")),
    ),
    "join.trusted_certificates": all_of(
        create("host1", "Certificate", **ca("AA", purpose=["licensing"])),
        create("host2", "Certificate", **ca("AA", purpose=["licensing", "updates"])),
    ),
    "join.nbd_purpose": all_of(
        fields("host1", "network", purpose=["nbd"]),
        fields("host2", "network", purpose=["insecure_nbd"]),
    ),
    "join.storage_drivers": fields("host2", "SM", features={}),
    "join.pooling_licence": hardware("host2", restrictions={"restrict_pooling": "true"}),
}


def test_healthy_host(site: SimulatedSite) -> None:
    assert findings(site, "host2", "host1") == ()


@pytest.mark.parametrize("check", UNHEALTHY)
def test_finding_is_what_the_join_itself_says(site: SimulatedSite, check: str) -> None:
    UNHEALTHY[check](site)
    found = findings(site, "host2", "host1")
    assert [finding.check for finding in found] == [check]
    with pytest.raises(errors.ApiFailure) as caught:
        join(site, "host2", "host1")
    assert caught.value.code == found[0].code
    assert len(look(site, "host1").hosts) == 1


def test_other_cpu_vendor_is_what_force_skips(site: SimulatedSite) -> None:
    (finding,) = findings(site, "host4", "host1")
    assert (finding.check, finding.severity) == ("join.cpu_vendor", Severity.SKIPPABLE)
    with pytest.raises(errors.PreconditionFailed) as caught:
        join(site, "host4", "host1")
    assert caught.value.code == finding.code
    join(site, "host4", "host1", force=True)
    settled(site, 2, "host1")


def test_master_of_others(site: SimulatedSite) -> None:
    pool_of(site, "host2", "host3")
    (finding,) = findings(site, "host2", "host1")
    with pytest.raises(errors.PreconditionFailed) as caught:
        join(site, "host2", "host1")
    assert caught.value.code == finding.code
    assert "host3" in finding.message


def test_itself(site: SimulatedSite) -> None:
    assert "join.not_itself" in [each.check for each in findings(site, "host1", "host1")]
    with pytest.raises(errors.PreconditionFailed, match="same host"):
        join(site, "host1", "host1")


def test_many_at_once(site: SimulatedSite) -> None:
    for check in ("join.running_guests", "join.ha_on_pool", "join.edition", "join.bonds"):
        UNHEALTHY[check](site)
    found = findings(site, "host2", "host1")
    assert [finding.check for finding in found] == [
        "join.ha_on_pool",
        "join.running_guests",
        "join.bonds",
        "join.edition",
    ]


def test_what_hinders_leaving(site: SimulatedSite) -> None:
    site.change("add-guest", "host2", name="web1", running=False)
    pool_of(site, "host1", "host2")
    uuid = site.host("host2").uuid
    with login(site, "host1") as connection:
        (guest,) = connection.call("VM.get_by_name_label", "web1")
        member = connection.call("host.get_by_uuid", uuid)
        connection.call("VM.start_on", guest, member, False, False)
        found = {each.check: each for each in preflight.leave_findings(connection, uuid)}
        assert "web1" in found["leave.guests"].message
        assert "GiB" in found["leave.local_data"].message
        with pytest.raises(errors.PreconditionFailed) as caught:
            pool.eject(connection, uuid, watch=WATCH)
        assert caught.value.code == found["leave.guests"].code
        assert pool.observe(connection).settled


def test_local_disk_hinders_leaving(site: SimulatedSite) -> None:
    site.change("add-disk", "host2", name="precious")
    pool_of(site, "host1", "host2")
    with login(site, "host1") as connection:
        (finding,) = preflight.leave_findings(connection, site.host("host2").uuid)
    assert finding.check == "leave.local_data"
    assert "precious" in finding.message


def test_dead_member(site: SimulatedSite) -> None:
    pool_of(site, "host1", "host2")
    uuid = site.host("host2").uuid
    site.fault("power-off", "host2")
    with login(site, "host1") as connection:

        def found_dead() -> bool:
            return [f.check for f in preflight.leave_findings(connection, uuid)] == [
                "leave.not_live"
            ]

        until("the end of the member's live flag", found_dead)
        with pytest.raises(errors.HostOffline, match="host host2"):
            pool.eject(connection, uuid, watch=WATCH)
        host.forget(connection, uuid, watch=WATCH)
        assert pool.observe(connection).host(uuid) is None
