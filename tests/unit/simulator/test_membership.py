"""Joining, leaving and handing over: the states on the way, and the exact errors."""

from __future__ import annotations

import asyncio

import pytest

from nova_aggregates.simulator import builder, changes
from nova_aggregates.simulator.builder import Plan
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.machine import Phase
from tests.unit.simulator.world import PASSWORD, World, run

BOGUS = "OpaqueRef:00000000-0000-0000-0000-000000000000"


async def until_master(world: World, position: int) -> None:
    """Wait until the host is a running master that says nothing but so."""
    while True:
        process = world[position].process
        if process is not None and process.is_master and process.phase is Phase.SERVING:
            return
        await world.sleep(1)


async def until_enabled(world: World, at: int, position: int) -> None:
    while not world.db(at).get("host", world.host(position, at))["enabled"]:
        await world.sleep(1)


def test_the_stages_of_a_join() -> None:
    async def scenario(world: World) -> None:
        local = await world.raw(1, "session.login_with_password", "root", PASSWORD)
        task = await world.raw(1, "task.create", local, "mine", "")
        await world.join(1)
        record = world.db(0).get("host", world.host(1))
        assert not record["enabled"]
        assert not world.db(0).get("host_metrics", record["metrics"])["live"]
        # The old pool is still served, with its tasks and sessions.
        assert await world.raw(1, "task.get_status", local, task) == "pending"
        with pytest.raises(ApiError) as refused:
            await world.call(0, "host.disable", world.host(1))
        assert refused.value.description == ["HOST_OFFLINE", world.host(1)]
        await world.sleep(15)
        assert world[1].process is not None
        assert world[1].process.phase is Phase.STARTING_SLAVE
        with pytest.raises(ApiError) as slave:
            await world.raw(1, "session.login_with_password", "root", "wrong")
        assert slave.value.description == ["HOST_IS_SLAVE", world[0].address]
        assert not world.db(0).get("host", world.host(1))["enabled"]
        await until_enabled(world, 0, 1)
        with pytest.raises(ApiError) as gone:
            await world.raw(1, "host.get_all", local)
        assert gone.value.description == ["SESSION_INVALID", local]

    run(scenario)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_member_is_enabled_although_its_master_restarts_meanwhile(share: float) -> None:
    async def scenario(world: World) -> None:
        await world.join(1)
        metrics = world.db(0).get("host", world.host(1))["metrics"]
        while not world.db(0).get("host_metrics", metrics)["live"]:
            await world.sleep(0.1)
        await world.sleep(world[1].profile.timings.enable * share)
        await changes.fault(world.site, "kill-toolstack", world[0].name)
        await until_master(world, 0)
        await asyncio.wait_for(until_enabled(world, 0, 1), 600)

    run(scenario)


def test_a_host_that_is_installed_anew_has_its_own_password_again() -> None:
    async def scenario(world: World) -> None:
        own = world[1].disk.password
        assert own != world[0].disk.password
        await world.pool(1)
        assert world[1].disk.password == world[0].disk.password
        builder.reset_machine(world[1], Plan(hosts=2), 1)
        assert world[1].disk.password == own

    run(scenario, password=None)


def test_what_a_join_keeps_and_what_it_loses() -> None:
    async def scenario(world: World) -> None:
        db = world.db(1)
        own = db.master
        db.set("host", own, name_label="two", name_description="mine", tags=["t"])
        db.set("host", own, other_config={**db.get("host", own)["other_config"], "k": "v"})
        await world.pool(1)
        record = world.db(0).get("host", world.host(1))
        assert world.host(1) != own
        assert record["uuid"] == world[1].disk.uuid
        assert record["name_label"] == "two"
        assert record["name_description"] == "Default install"
        assert record["tags"] == []
        assert record["other_config"]["k"] == "v"

    run(scenario)


def test_after_a_join_the_password_is_the_pools() -> None:
    async def scenario(world: World) -> None:
        world[0].disk.password = "of the pool"
        await world.pool(1)
        assert world[1].disk.password == "of the pool"

    run(scenario)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", ["JOINING_HOST_CONNECTION_FAILED"]),
        ("127.0.70.1:443", ["JOINING_HOST_CONNECTION_FAILED"]),
        ("https://127.0.70.1", ["JOINING_HOST_CONNECTION_FAILED"]),
        ("no-such-name.invalid", ["JOINING_HOST_CONNECTION_FAILED"]),
        ("127.0.70.77", ["INTERNAL_ERROR", "Connection failed: no route to host."]),
        ("127.0.70.254", ["INTERNAL_ERROR", "Connection failed: connection refused."]),
        (
            " 127.0.70.1",
            ["INTERNAL_ERROR", 'Failure("Couldn\'t resolve hostname:  127.0.70.1")'],
        ),
        ("127.0.0.1", ["OPERATION_NOT_ALLOWED", "Host cannot become slave of itself"]),
    ],
)
def test_addresses_that_no_pool_is_at(address: str, expected: list[str]) -> None:
    async def scenario(world: World) -> None:
        assert await world.failure(1, "pool.join", address, "root", PASSWORD) == expected

    run(scenario)


def test_wrong_credentials_of_the_pool() -> None:
    async def scenario(world: World) -> None:
        before = world.clock.now()
        error = await world.failure(1, "pool.join", world[0].address, "root", "wrong")
        assert error == ["SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure"]
        assert 1.4 < world.clock.now() - before < 2.6

    run(scenario)


def test_a_member_as_the_target_names_its_master() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        error = await world.failure(2, "pool.join", world[1].address, "root", "wrong")
        assert error == ["HOST_IS_SLAVE", world[0].address]

    run(scenario, hosts=3)


def test_two_hosts_that_join_each_other_both_fail() -> None:
    async def scenario(world: World) -> None:
        errors = await asyncio.gather(world.join(0, 1), world.join(1, 0), return_exceptions=True)
        assert [e.code for e in errors if isinstance(e, ApiError)] == ["HOST_OFFLINE"] * 2

    run(scenario)


def test_a_record_destroyed_during_the_join_leaves_a_host_that_restarts_for_ever() -> None:
    async def scenario(world: World) -> None:
        await world.join(1)
        await world.call(0, "host.destroy", world.host(1))
        seen = set()
        for _ in range(200):
            await world.sleep(0.5)
            process = world[1].process
            seen.add(process.phase if process else None)
        assert seen == {None, Phase.SERVING, Phase.STARTING_SLAVE}
        assert world[1].process is None or world[1].process.phase is Phase.STARTING_SLAVE

    run(scenario)


def test_eject_is_refused() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db = world.db(0)
        fail = world.failure
        master = ["INTERNAL_ERROR", "Xapi_pool.Cannot_eject_master"]
        assert await fail(0, "pool.eject", db.master) == master
        assert await fail(0, "pool.eject", BOGUS) == ["HOST_OFFLINE", BOGUS]
        assert await fail(0, "pool.eject", NULL_REF) == ["HOST_OFFLINE", NULL_REF]
        member = world.host(1)
        guest = db.create("VM", power_state="Suspended", resident_on=NULL_REF)
        db.set("VM", guest, power_state="Running", resident_on=member)
        expected = ["OPERATION_NOT_ALLOWED", "VM resident on host"]
        assert await fail(0, "pool.eject", member) == expected
        db.set("VM", guest, power_state="Suspended", resident_on=NULL_REF)
        db.set("pool", db.pool, ha_enabled=True)
        assert await fail(0, "pool.eject", member) == ["HA_IS_ENABLED"]
        db.set("pool", db.pool, ha_enabled=False, is_psr_pending=True)
        assert await fail(0, "pool.eject", member) == ["POOL_SECRET_ROTATION_PENDING"]
        db.set("pool", db.pool, is_psr_pending=False)
        metrics = db.get("host", member)["metrics"]
        db.set("host_metrics", metrics, live=False)
        assert await fail(0, "pool.eject", member) == ["HOST_OFFLINE", member]
        assert db.get("host", member)["enabled"]

    run(scenario)


def test_eject_gives_a_fresh_pool_of_one() -> None:
    async def scenario(world: World) -> None:
        world[0].disk.password = "of the pool"
        first_pool = world.db(1).pool_record["uuid"]
        builder.add_disk(world[1], "data")
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        db.set("host", member, name_label="two", tags=["t"])
        shared = db.first("SR", shared=True, is_tools_sr=False)
        assert db.first("VDI", name_label="data")
        await world.call(0, "pool.eject", member)
        assert await world.failure(0, "pool.eject", member) == ["HOST_OFFLINE", member]
        gone = await world.failure(0, "host.get_by_uuid", world[1].disk.uuid)
        assert gone == ["UUID_INVALID", "host", world[1].disk.uuid]
        assert not db.first("VDI", name_label="data")
        assert db.first("PIF", host=member)  # dangles until the next collection
        with pytest.raises(ApiError) as slave:
            await world.raw(1, "session.login_with_password", "root", "of the pool")
        assert slave.value.description == ["HOST_IS_SLAVE", world[0].address]
        await world.sleep(40)
        assert not db.first("PIF", host=member)
        await until_master(world, 1)
        fresh = world.db(1)
        assert fresh.pool_record["uuid"] not in (first_pool, db.pool_record["uuid"])
        assert not fresh.pool_record["tls_verification_enabled"]
        assert fresh.get("host", fresh.master)["name_label"] == "host2"
        assert fresh.get("host", fresh.master)["tags"] == []
        assert fresh.get("host", fresh.master)["enabled"]
        assert not fresh.tables["VDI"]
        assert not fresh.first("SR", shared=True, is_tools_sr=False)
        assert shared is not None
        assert db.peek("SR", shared[0])
        assert world[1].disk.password == "of the pool"
        mismatch = await world.failure(1, "pool.join", world[0].address, "root", "of the pool")
        assert mismatch == ["POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH"]
        await world.call(1, "pool.enable_tls_verification")
        await world.pool(1)

    run(scenario, shared_storage=True)


def test_ejects_at_the_same_time_are_done_one_after_the_other() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        refs = [world.host(1), world.host(2)]
        await world.call(0, "pool.get_all")
        await asyncio.gather(*(world.call(0, "pool.eject", ref) for ref in refs))
        assert list(world.db(0).tables["host"]) == [world.db(0).master]

    run(scenario, hosts=3)


def test_a_disk_in_use_stops_an_eject_midway() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        pbds = [r for r, p in db.find("PBD", host=member)]
        last = db.get("PBD", pbds[-1])["SR"]
        vdi = db.create("VDI", SR=last)
        guest = db.create("VM", is_control_domain=True, resident_on=member)
        db.create("VBD", VM=guest, VDI=vdi, currently_attached=True)
        error = await world.failure(0, "pool.eject", member)
        assert error[:2] == ["VDI_IN_USE", vdi]
        left = [db.get("PBD", p)["currently_attached"] for p in pbds if db.peek("PBD", p)]
        assert db.peek("host", member)
        assert left.count(True) == 1

    run(scenario)


def test_designate_is_refused() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        db, fail = world.db(0), world.failure
        designate = "pool.designate_new_master"
        assert await world.call(0, designate, db.master) == ""
        assert await fail(0, designate, BOGUS) == ["HANDLE_INVALID", "host", BOGUS]
        db.set("pool", db.pool, ha_enabled=True)
        assert await fail(0, designate, world.host(1)) == ["HA_IS_ENABLED"]
        db.set("pool", db.pool, ha_enabled=False)
        first, second = await asyncio.gather(
            world.call(0, designate, world.host(1)),
            world.call(0, designate, world.host(2)),
            return_exceptions=True,
        )
        assert first == ""
        assert isinstance(second, ApiError)
        assert second.description == ["DESIGNATE_NEW_MASTER_IN_PROGRESS"]

    run(scenario, hosts=3)


def test_a_dead_member_keeps_the_master_where_it_is() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        await changes.fault(world.site, "power-off", "host3")
        before = world.clock.now()
        error = await world.failure(0, "pool.designate_new_master", world.host(1))
        assert error == ["CANNOT_CONTACT_HOST", world.host(2)]
        assert world.clock.now() - before > 100
        assert world.db(0).pool_record["current_operations"] == {}

    run(scenario, hosts=3)


def test_after_a_hand_over_all_hosts_are_enabled_and_the_storage_stays() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        uuid = world.db(0).pool_record["uuid"]
        shared = world.db(0).first("SR", shared=True, is_tools_sr=False)
        await world.call(0, "host.disable", world.host(2))
        await world.call(0, "pool.designate_new_master", world.host(1))
        await world.call(0, "pool.set_name_label", world.db(0).pool, "lost")
        await until_master(world, 1)
        assert world.db(1).pool_record["name_label"] == ""
        assert world.db(1).pool_record["uuid"] == uuid
        for position in (0, 1, 2):
            await until_enabled(world, 1, position)
        assert shared is not None
        assert len(world.db(1).get("SR", shared[0])["PBDs"]) == 3
        await world.call(1, "pool.eject", world.host(0, 1))
        assert len(world.db(1).get("SR", shared[0])["PBDs"]) == 3
        await world.sleep(60)
        assert len(world.db(1).get("SR", shared[0])["PBDs"]) == 2

    run(scenario, hosts=3, shared_storage=True)


def test_a_host_that_joins_during_a_hand_over_is_stranded() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await world.call(0, "pool.designate_new_master", world.host(1))
        await world.join(2)
        await world.sleep(120)
        assert world.db(1).first("host", uuid=world[2].disk.uuid) is None
        assert world[2].process is not None
        assert world[2].process.phase is Phase.STARTING_SLAVE

    run(scenario, hosts=3)


def test_a_join_beside_a_restarting_member_leaves_it_without_a_certificate() -> None:
    async def scenario(world: World) -> None:
        await world.join(1)
        await world.join(2)
        await until_enabled(world, 0, 1)
        await until_enabled(world, 0, 2)
        error = await world.failure(0, "pool.designate_new_master", world.host(1))
        assert error[0] == "INTERNAL_ERROR"
        assert error[1].startswith("Stunnel.Stunnel_verify_error(")
        await world.call(0, "pool.certificate_sync")
        assert await world.call(0, "pool.designate_new_master", world.host(1)) == ""

    run(scenario, hosts=3)


def test_taking_over_from_a_dead_master() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        await world.call(0, "pool.sync_database")
        await changes.fault(world.site, "power-off", "host1")
        await world.local(1, "pool.emergency_transition_to_master")
        await world.sleep(5)
        await until_master(world, 1)
        assert len(world.db(1).tables["host"]) == 3
        assert await world.call(1, "pool.recover_slaves") == [world.host(2, 1)]
        await until_enabled(world, 1, 2)
        await changes.fault(world.site, "power-on", "host1")
        await until_enabled(world, 1, 0)
        assert world[0].disk.master_address == world[1].address

    run(scenario, hosts=3)


def test_hosts_that_joined_after_the_last_copy_are_unknown_to_a_new_master() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        await changes.fault(world.site, "power-off", "host1")
        await world.local(1, "pool.emergency_transition_to_master")
        await world.sleep(5)
        await until_master(world, 1)
        uuids = {h["uuid"] for _, h in world.db(1).find("host")}
        assert uuids == {world[0].disk.uuid, world[1].disk.uuid}

    run(scenario, hosts=3)


def test_a_joiner_takes_over_the_pools_access_settings_and_keeps_its_own_clock() -> None:
    async def scenario(world: World) -> None:
        await world.call(0, "host.set_console_idle_timeout", world.db(0).master, "300")
        await world.call(1, "host.set_console_idle_timeout", world.db(1).master, "600")
        await world.call(1, "host.set_timezone", world.db(1).master, "Europe/Berlin")
        await world.pool(1)
        record = world.db(0).get("host", world.host(1))
        assert (record["console_idle_timeout"], record["timezone"]) == (300, "Europe/Berlin")

    run(scenario)
