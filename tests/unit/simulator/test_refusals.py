"""Errors of changes to a pool and its hosts that no other test of this folder produces."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nova_aggregates.simulator import changes
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Phase
from nova_aggregates.simulator.profile import STANDARD
from tests.unit.simulator.world import World, run

BOGUS = "OpaqueRef:00000000-0000-0000-0000-000000000000"
NULL = "OpaqueRef:NULL"
TASK = "OpaqueRef:aaaaaaaa-0000-0000-0000-000000000000"
SHORT = STANDARD.with_timings(lock_retry_limit=60.0)


async def local_failure(world: World, position: int, method: str, *params: Any) -> list[str]:
    with pytest.raises(ApiError) as failed:
        await world.local(position, method, *params)
    return failed.value.description


def test_an_eject_waits_for_another_operation_and_gives_up_in_the_end() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db = world.db(0)
        db.set("pool", db.pool, current_operations={TASK: "cert_refresh"})
        began = world.clock.now()
        error = await world.failure(0, "pool.eject", world.host(1))
        assert error == ["OTHER_OPERATION_IN_PROGRESS", "pool", db.pool, "cert_refresh", TASK]
        assert world.clock.now() - began >= 60

    run(scenario, profile=SHORT)


def test_an_eject_is_refused_while_updates_are_applied() -> None:
    """They began after the eject had, which waited for the frozen host."""

    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        await changes.fault(world.site, "freeze", "B")
        ejecting = asyncio.ensure_future(world.failure(0, "pool.eject", member))
        await world.sleep(5)
        running = db.pool_record["current_operations"]
        db.set("pool", db.pool, current_operations={**running, TASK: "apply_updates"})
        await changes.fault(world.site, "thaw", "B")
        assert await ejecting == ["NOT_SUPPORTED_DURING_UPGRADE"]
        assert db.peek("host", member)

    run(scenario)


def test_the_masters_eject_waits_its_turn_before_it_is_refused() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        await world.call(0, "pool.set_is_psr_pending", db.pool, True)
        assert await world.failure(0, "pool.eject", db.master) == ["POOL_SECRET_ROTATION_PENDING"]
        await world.call(0, "pool.set_is_psr_pending", db.pool, False)
        error = await world.failure(0, "pool.eject", db.master)
        assert error == ["INTERNAL_ERROR", "Xapi_pool.Cannot_eject_master"]
        assert db.pool_record["current_operations"] == {}

    run(scenario, hosts=1)


@pytest.mark.parametrize("method", ["host.enable", "host.reboot", "host.shutdown"])
def test_host_operations_that_exclude_each_other(method: str) -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        await world.call(0, "host.disable", member)
        db.set("host", member, current_operations={TASK: "apply_updates"})
        error = await world.failure(0, method, member)
        assert error == ["OTHER_OPERATION_IN_PROGRESS", "host", member, "apply_updates", TASK]

    run(scenario, profile=SHORT)


@pytest.mark.parametrize("method", ["host.reboot", "host.shutdown"])
def test_clustered_storage_keeps_hosts_up_while_a_member_is_down(method: str) -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        sr = db.create("SR", type="gfs2", shared=True, clustered=True)
        for host in (db.master, member):
            db.create("PBD", host=host, SR=sr, currently_attached=True)
            db.create("Cluster_host", host=host, enabled=True)
        db.set("host_metrics", db.get("host", member)["metrics"], live=False)
        await world.call(0, "host.disable", db.master)
        assert await world.failure(0, method, db.master) == ["CLUSTERED_SR_DEGRADED", sr]

    run(scenario)


def test_a_member_that_agreed_to_another_master_aborts_the_change() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        await world.local(2, "host.propose_new_master", "10.9.9.9", True)
        error = await world.failure(0, "pool.designate_new_master", world.host(1))
        assert error[0] == "HA_ABORT_NEW_MASTER"
        assert error[1].startswith("Already agreed to commit host address '10.9.9.9' at ")
        assert world.db(0).pool_record["current_operations"] == {}
        assert await world.call(0, "pool.designate_new_master", world.host(1)) == ""

    run(scenario, hosts=3)


def test_a_proposal_stands_for_ten_minutes() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await world.local(1, "host.propose_new_master", "10.9.9.9", True)
        await world.local(1, "host.propose_new_master", "10.9.9.9", True)
        error = await local_failure(world, 1, "host.propose_new_master", "10.8.8.8", True)
        assert error[0] == "HA_ABORT_NEW_MASTER"
        error = await local_failure(world, 1, "host.commit_new_master", "10.8.8.8")
        assert error == [
            "HA_ABORT_NEW_MASTER",
            "Received commit_new_master(10.8.8.8) but previously received proposal for 10.9.9.9",
        ]
        await world.sleep(601)
        await world.local(1, "host.propose_new_master", "10.8.8.8", True)
        await world.local(1, "host.abort_new_master", "10.8.8.8")
        error = await local_failure(world, 1, "host.commit_new_master", "10.8.8.8")
        assert error == [
            "HA_ABORT_NEW_MASTER",
            "Received commit_new_master(10.8.8.8) but never received a proposal",
        ]

    run(scenario)


def test_a_host_that_is_its_own_slave_can_be_reset_to_another() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await world.local(1, "pool.emergency_reset_master", world[1].address)
        await world.sleep(60)
        process = world[1].process
        assert process is not None
        assert process.phase is Phase.EMERGENCY
        with pytest.raises(ApiError, match="HOST_ITS_OWN_SLAVE"):
            await world.raw(1, "session.login_with_password", "root", "secret")
        assert await world.local(1, "host.is_in_emergency_mode") is True
        await world.local(1, "pool.emergency_reset_master", world[0].address)
        await world.sleep(120)
        assert world[1].answers

    run(scenario)


def test_an_evacuation_over_a_network_that_is_not_there() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        member = world.host(1)
        assert await world.call(0, "host.evacuate", member, BOGUS) == ""
        await changes.change(
            world.site, {"change": "add-guest", "host": "A", "name": "g", "disk": 0}
        )
        error = await world.failure(0, "host.evacuate", world.db(0).master, BOGUS)
        assert error == ["PIF_NOT_PRESENT", member, BOGUS]

    run(scenario)


def test_networks_are_named_and_kept() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        first = await world.call(0, "network.create", {"name_label": "a", "MTU": "0"})
        second = await world.call(0, "network.create", {"name_label": "b"})
        assert [db.get("network", n)["bridge"] for n in (first, second)] == ["xapi0", "xapi1"]
        assert db.get("network", first)["MTU"] == 1500
        for bridge in ("xenbr9", "eth1", "a-name-of-sixteen"):
            error = await world.failure(0, "network.create", {"bridge": bridge})
            assert error == ["INVALID_VALUE", "bridge", bridge]
        await world.call(0, "network.create", {"bridge": "mine"})
        error = await world.failure(0, "network.create", {"bridge": "mine"})
        assert error == ["BRIDGE_NAME_EXISTS", "mine"]

    run(scenario, hosts=1)


def test_networks_in_use_are_not_destroyed() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        by_bridge = {n["bridge"]: ref for ref, n in db.find("network")}
        (pif,) = db.get("network", by_bridge["xenbr0"])["PIFs"]
        error = await world.failure(0, "network.destroy", by_bridge["xenbr0"])
        assert error == ["NETWORK_CONTAINS_PIF", pif]
        error = await world.failure(0, "network.destroy", by_bridge["xenapi"])
        assert error == ["CANNOT_DESTROY_SYSTEM_NETWORK", by_bridge["xenapi"]]
        network = await world.call(0, "network.create", {"name_label": "a"})
        card = db.create("VIF", network=network, currently_attached=True)
        error = await world.failure(0, "network.destroy", network)
        assert error == ["NETWORK_CONTAINS_VIF", card]
        db.set("VIF", card, currently_attached=False)
        await world.call(0, "network.destroy", network)
        assert db.peek("VIF", card) is None

    run(scenario, hosts=1)


def test_internal_networks_of_joiners_do_not_fall_together() -> None:
    async def scenario(world: World) -> None:
        for position in (0, 1):
            await world.call(position, "network.create", {"name_label": f"internal {position}"})
        await world.pool(1)
        found = {n["name_label"]: n["bridge"] for _, n in world.db(0).find("network")}
        assert found["internal 0"] == "xapi0"
        assert found["internal 1"] == "xapi1"

    run(scenario)


def test_messages_about_objects() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        uuid = world[0].disk.uuid
        error = await world.failure(0, "message.create", "N", "1", "Host", "nothing", "text")
        assert error == ["UUID_INVALID", "Host", "nothing"]
        early = await world.call(0, "message.create", "EARLY", "1", "Host", uuid, "text")
        await world.sleep(10)
        between = world.clock.stamp()
        await world.sleep(10)
        late = await world.call(0, "message.create", "LATE", "2", "Host", uuid, "text")
        everything = "19700101T00:00:00Z"
        assert set(await world.call(0, "message.get_since", everything)) == {early, late}
        assert set(await world.call(0, "message.get_since", between)) == {late}
        assert set(await world.call(0, "message.get", "Host", uuid, between)) == {late}
        assert (
            await world.call(
                0,
                "message.get",
                "VM",
                db.get("VM", next(iter(db.tables["VM"])))["uuid"],
                everything,
            )
            == {}
        )
        await world.call(0, "message.destroy_all", {"priority": "2"})
        assert await world.call(0, "message.get_all") == [early]
        await world.call(0, "message.destroy_many", [early])
        assert await world.failure(0, "message.destroy", early) == [
            "HANDLE_INVALID",
            "message",
            early,
        ]

    run(scenario, hosts=1)
