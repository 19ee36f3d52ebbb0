"""Taking hosts out of service and moving guests: effects and exact errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nova_aggregates.simulator import builder, changes, guests, placement
from nova_aggregates.simulator.errors import NULL_REF
from nova_aggregates.simulator.machine import Power
from nova_aggregates.simulator.profile import GIB
from tests.unit.simulator.world import World, run

BOGUS = "OpaqueRef:00000000-0000-0000-0000-000000000000"


async def start_guest(world: World, position: int, **values: Any) -> str:
    """A diskless guest, started on that host of the first host's pool."""
    vm = builder.add_guest(world[0], f"guest{position}", running=False, disk=0, **values)
    await world.call(0, "VM.start_on", vm, world.host(position), False, False)
    return vm


@pytest.mark.parametrize(
    "method",
    [
        "host.disable",
        "host.enable",
        "host.reboot",
        "host.shutdown",
        "host.evacuate",
        "host.power_on",
        "host.destroy",
        "host.declare_dead",
        "host.get_vms_which_prevent_evacuation",
        "host.assert_can_evacuate",
    ],
)
def test_unknown_hosts_that_are_looked_up(method: str) -> None:
    async def scenario(world: World) -> None:
        assert await world.failure(0, method, BOGUS) == ["HANDLE_INVALID", "host", BOGUS]

    run(scenario, hosts=1)


@pytest.mark.parametrize("method", ["host.restart_agent", "host.get_servertime", "host.get_log"])
def test_unknown_hosts_that_are_contacted(method: str) -> None:
    async def scenario(world: World) -> None:
        assert await world.failure(0, method, BOGUS) == ["HOST_OFFLINE", BOGUS]

    run(scenario, hosts=1)


@pytest.mark.parametrize(("persistent", "enabled"), [(False, True), (True, False)])
def test_a_restart_forgets_a_disable_unless_it_was_to_last(persistent: bool, enabled: bool) -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        member, db = world.host(1), world.db(0)
        await world.call(0, "host.disable", member, *([False] if persistent else []))
        assert not db.get("host", member)["enabled"]
        before = db.get("host", member)["other_config"]
        await world.call(0, "host.restart_agent", member)
        await world.sleep(30)
        after = db.get("host", member)["other_config"]
        assert db.get("host", member)["enabled"] is enabled
        assert after["agent_start_time"] != before["agent_start_time"]
        assert after["boot_time"] == before["boot_time"]
        await world.call(0, "host.enable", member)
        assert db.get("host", member)["enabled"]

    run(scenario)


def test_disabling_again_for_longer_stores_nothing() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        member = world.host(1)
        await world.call(0, "host.disable", member)
        await world.call(0, "host.disable", member, False)
        await world.call(0, "host.restart_agent", member)
        await world.sleep(30)
        assert world.db(0).get("host", member)["enabled"]

    run(scenario)


def test_enable_is_refused() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        host, process = db.master, world[0].process
        assert process is not None
        await world.call(0, "host.disable", host)
        process.considered_enabling = False
        assert await world.failure(0, "host.enable", host) == ["HOST_STILL_BOOTING"]
        process.considered_enabling = True
        db.set("host", host, pending_guidances=["reboot_host"])
        expected = ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", host]
        assert await world.failure(0, "host.enable", host) == expected
        db.set("host", host, pending_guidances=[])
        world[0].disk.disabled_until_reboot = True
        assert await world.failure(0, "host.enable", host) == ["HOST_DISABLED_UNTIL_REBOOT", host]

    run(scenario, hosts=1)


def test_a_key_that_is_there_is_not_added_again() -> None:
    async def scenario(world: World) -> None:
        host, key = world.host(0), "MAINTENANCE_MODE"
        add = ("host.add_to_other_config", host, key, "true")
        await world.call(0, *add)
        expected = ["MAP_DUPLICATE_KEY", "host", "other_config", host, key]
        assert await world.failure(0, *add) == expected
        await world.call(0, "host.remove_from_other_config", host, key)
        await world.call(0, *add)

    run(scenario, hosts=1)


def test_only_disabled_hosts_reboot() -> None:
    async def scenario(world: World) -> None:
        for method in ("host.reboot", "host.shutdown"):
            assert await world.failure(0, method, world.db(0).master) == ["HOST_NOT_DISABLED"]
        live = await world.failure(0, "host.power_on", world.db(0).master)
        assert live == ["HOST_IS_LIVE", world.db(0).master]

    run(scenario, hosts=1)


def test_a_reboot_as_the_pool_sees_it() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        vm = await start_guest(world, 1)
        before = db.get("host", member)["other_config"]
        await world.call(0, "host.disable", member)
        await world.call(0, "host.reboot", member)
        record = db.get("host", member)
        assert list(record["current_operations"].values()) == ["shutdown"]
        assert set(record["allowed_operations"]) == {"enable", "evacuate", "shutdown", "vm_start"}
        again = asyncio.ensure_future(world.failure(0, "host.reboot", member))
        await world.sleep(20)
        assert not db.get("host_metrics", record["metrics"])["live"]
        assert db.get("VM", vm)["resident_on"] == db.master
        assert await again == ["HOST_NOT_DISABLED"]
        record = db.get("host", member)
        assert record["enabled"]
        assert record["current_operations"] == {}
        assert record["other_config"]["boot_time"] != before["boot_time"]

    run(scenario)


def test_a_master_that_reboots_forgets_sessions_and_tasks() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        host = world.db(0).master
        task = await world.call(0, "task.create", "mine", "")
        await world.call(0, "host.disable", host)
        await world.call(0, "host.reboot", host)
        old = world[0].process
        while world[0].process in (old, None):
            await world.sleep(1)
        assert await world.failure(0, "task.get_status", task) == ["HANDLE_INVALID", "task", task]
        assert world.db(0).pool_record["master"] == host

    run(scenario)


def test_shutdown_and_power_on() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        await world.call(0, "host.disable", member)
        await world.call(0, "host.shutdown", member)
        await world.sleep(20)
        assert world[1].power is Power.OFF
        off = await world.failure(0, "host.power_on", member)
        assert off == ["HOST_POWER_ON_MODE_DISABLED"]
        await world.call(0, "host.set_power_on_mode", member, "wake-on-lan", {})
        await world.call(0, "host.power_on", member)
        await world.sleep(90)
        assert db.get("host", member)["enabled"]

    run(scenario)


def test_silence_is_death_after_ten_minutes() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        metrics = db.get("host", member)["metrics"]
        await world.sleep(60)
        await changes.fault(world.site, "power-off", "host2")
        assert await world.failure(0, "host.declare_dead", db.master) == ["HOST_IS_LIVE", db.master]
        before = world.clock.now()
        expected = ["CANNOT_CONTACT_HOST", member]
        assert await world.failure(0, "host.disable", member) == expected
        assert world.clock.now() - before > 130
        assert db.get("host_metrics", metrics)["live"]
        await world.sleep(500)
        assert not db.get("host_metrics", metrics)["live"]
        assert db.get("host", member)["enabled"]
        assert await world.failure(0, "host.disable", member) == ["HOST_OFFLINE", member]
        assert await world.call(0, "host.destroy", member) == ""

    run(scenario)


def test_a_frozen_member_makes_calls_wait() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await changes.fault(world.site, "freeze", "host2")
        waiting = asyncio.ensure_future(world.call(0, "host.disable", world.host(1)))
        await world.sleep(300)
        assert not waiting.done()
        await changes.fault(world.site, "thaw", "host2")
        assert await waiting == ""

    run(scenario)


def test_declaring_a_host_dead_halts_its_guests() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        vm = await start_guest(world, 1)
        assert await world.failure(0, "host.destroy", member) == ["HOST_IS_LIVE", member]
        await changes.fault(world.site, "power-off", "host2")
        assert await world.failure(0, "host.destroy", member) == ["HOST_HAS_RESIDENT_VMS", member]
        await world.call(0, "host.declare_dead", member)
        assert db.get("VM", vm)["power_state"] == "Halted"
        assert db.get("host_metrics", db.get("host", member)["metrics"])["live"]
        await world.call(0, "host.destroy", member)
        assert list(db.tables["host"]) == [db.master]

    run(scenario)


def test_evacuation_moves_the_guests_and_leaves_the_host_enabled() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        for _ in range(3):
            await start_guest(world, 1)
        task = await world.call(0, "Async.host.evacuate", member, NULL_REF, "1")
        seen: set[int] = set()
        while db.get("task", task)["status"] == "pending":
            moving = [v for _, v in db.find("VM") if v["current_operations"]]
            assert len(moving) <= 1
            seen.add(len(placement.residents(db, member)))
            await world.sleep(0.1)
        assert db.get("task", task)["status"] == "success"
        assert seen >= {3, 2, 1}
        assert placement.residents(db, member) == []
        assert db.get("host", member)["enabled"]

    run(scenario)


def test_why_a_guest_cannot_leave() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        vm = await start_guest(world, 1)

        async def reason() -> list[str]:
            found = await world.call(0, "host.get_vms_which_prevent_evacuation", member)
            error = await world.failure(0, "host.evacuate", member)
            assert found == {vm: error}
            text = (await world.failure(0, "host.assert_can_evacuate", member))[1]
            assert text == ",".join(error)
            return error

        assert await world.call(0, "host.assert_can_evacuate", member) == ""
        await world.call(0, "host.disable", db.master)
        assert await reason() == ["NO_HOSTS_AVAILABLE", vm]
        await world.call(0, "host.enable", db.master)
        await world.call(0, "VM.add_to_blocked_operations", vm, "pool_migrate", "stays")
        assert await reason() == ["OPERATION_BLOCKED", vm, "stays"]
        await world.call(0, "VM.remove_from_blocked_operations", vm, "pool_migrate")
        db.set("VM", vm, attached_PCIs=[BOGUS])
        assert await reason() == ["VM_HAS_PCI_ATTACHED", vm]
        db.set("VM", vm, attached_PCIs=[])
        local = next(p["SR"] for _, p in db.find("PBD", host=member))
        vdi = db.create("VDI", SR=local)
        vbd = db.create("VBD", VM=vm, VDI=vdi)
        assert await reason() == ["VM_REQUIRES_SR", vm, local]
        db.delete("VBD", vbd)
        metrics = db.get("host", db.master)["metrics"]
        db.set("host_metrics", metrics, live=False)
        assert await reason() == ["HOST_NOT_LIVE"]
        db.set("host_metrics", metrics, live=True)
        big = builder.add_guest(world[0], "big", memory=59 * GIB, disk=0)
        assert await reason() == ["HOST_NOT_ENOUGH_FREE_MEMORY", vm]
        guests.halt(world.site, db, big, why="test")
        db.set("pool", db.pool, ha_enabled=True)
        assert await reason() == ["HOST_EVACUATE_VM_NOT_HA_PROTECTED", vm]

    run(scenario)


def test_a_guest_on_its_way_holds_the_evacuation_of_its_destination_back() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        vm = await start_guest(world, 0)
        task = await world.call(0, "Async.VM.pool_migrate", vm, member, {})
        await world.sleep(0.5)
        record = db.get("VM", vm)
        assert record["current_operations"] == {task: "pool_migrate"}
        assert record["resident_on"] == db.master
        assert record["scheduled_to_be_resident_on"] == member
        assert db.get("host", member)["current_operations"] == {task: "vm_migrate"}
        evacuation = asyncio.ensure_future(world.call(0, "host.evacuate", member))
        while db.get("VM", vm)["resident_on"] != member:
            assert not evacuation.done()
            await world.sleep(0.1)
        assert await evacuation == ""
        assert db.get("VM", vm)["resident_on"] == db.master
        assert db.get("VM", vm)["current_operations"] == {}

    run(scenario)


def test_roles() -> None:
    async def scenario(world: World) -> None:
        add = {"change": "add-user", "host": "host1", "password": "x"}
        await changes.change(world.site, {**add, "name": "reader", "role": "read-only"})
        await changes.change(world.site, {**add, "name": "nobody-yet", "role": None})
        reader = await world.raw(0, "session.login_with_password", "reader", "x")
        host = world.db(0).master
        assert await world.raw(0, "host.get_enabled", reader, host) is True
        with pytest.raises(Exception, match="RBAC_PERMISSION_DENIED") as denied:
            await world.raw(0, "host.disable", reader, host)
        assert denied.value.args[1] == "host.disable"
        task = await world.raw(0, "Async.host.disable", reader, host)
        await world.sleep(1)
        assert world.db(0).get("task", task)["error_info"][:2] == [
            "RBAC_PERMISSION_DENIED",
            "host.disable",
        ]
        with pytest.raises(Exception, match="SESSION_AUTHORIZATION_FAILED"):
            await world.raw(0, "session.login_with_password", "nobody-yet", "x")

    run(scenario, hosts=1)
