"""High availability: turning it on and off, plans, refusals, failures of hosts."""

from __future__ import annotations

import pytest

from nova_aggregates.simulator import agility, builder, changes, furnishing, ha
from nova_aggregates.simulator.binpack import Configuration, pack, plan_always_possible
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.profile import GIB
from tests.unit.simulator.world import World, run


async def protected_pool(world: World, *members: int) -> str:
    """A pool with shared storage and high availability. Gives the storage."""
    await world.pool(*members)
    shared = furnishing.add_pool_storage(world[0], "NFS")
    await world.call(0, "pool.enable_ha", [shared], {})
    return shared


def failures(db: Database) -> tuple[int, bool]:
    pool = db.pool_record
    return int(pool["ha_plan_exists_for"]), pool["ha_overcommitted"]


def test_on_and_off() -> None:
    async def scenario(world: World) -> None:
        assert await world.failure(0, "pool.disable_ha") == ["HA_NOT_ENABLED"]
        assert await world.failure(0, "pool.enable_ha", [], {}) == ["CANNOT_CREATE_STATE_FILE"]
        await protected_pool(world, 1)
        db = world.db(0)
        assert db.pool_record["ha_enabled"]
        (statefile,) = db.pool_record["ha_statefiles"]
        assert db.get("VDI", statefile)["type"] == "ha_statefile"
        assert db.get("host", world.host(1))["ha_network_peers"] == list(db.tables["host"])
        assert await world.failure(0, "pool.enable_ha", [], {}) == ["HA_IS_ENABLED"]
        await world.call(0, "pool.disable_ha")
        assert not db.pool_record["ha_enabled"]
        await world.call(0, "pool.enable_ha", [], {})
        assert db.pool_record["ha_statefiles"] == [statefile]

    run(scenario)


def test_what_high_availability_needs() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db = world.db(0)
        local = furnishing.find_sr(world[1])
        assert await world.failure(0, "pool.enable_ha", [local], {}) == ["SR_NO_PBDS", local]
        db.set("host_metrics", db.get("host", world.host(1))["metrics"], live=False)
        assert await world.failure(0, "pool.enable_ha", [], {}) == ["HOST_OFFLINE", world.host(1)]
        pif = next(iter(db.tables["PIF"]))
        db.set("PIF", pif, disallow_unplug=True, currently_attached=False)
        expected = ["REQUIRED_PIF_IS_UNPLUGGED", pif]
        assert await world.failure(0, "pool.enable_ha", [], {}) == expected

    run(scenario)


@pytest.mark.parametrize(
    "call",
    [
        ("pool.eject", 1),
        ("pool.designate_new_master", 1),
        ("host.destroy", 1),
        ("pool.enable_tls_verification", None),
    ],
)
def test_calls_that_high_availability_refuses(call: tuple[str, int | None]) -> None:
    async def scenario(world: World) -> None:
        await protected_pool(world, 1)
        method, host = call
        given = () if host is None else (world.host(host),)
        assert await world.failure(0, method, *given) == ["HA_IS_ENABLED"]

    run(scenario)


def test_unprotected_guests_hold_an_evacuation_up() -> None:
    async def scenario(world: World) -> None:
        await protected_pool(world, 1)
        vm = furnishing.add_guest(world[1], "web", sr="NFS")
        expected = ["HOST_EVACUATE_VM_NOT_HA_PROTECTED", vm]
        assert await world.failure(0, "host.evacuate", world.host(1)) == expected
        await world.call(0, "VM.set_ha_restart_priority", vm, "best-effort")
        assert await world.failure(0, "host.evacuate", world.host(1)) == expected
        await world.call(0, "VM.set_ha_restart_priority", vm, "restart")
        assert world.db(0).get("VM", vm)["ha_always_run"]
        assert await world.call(0, "host.evacuate", world.host(1)) == ""
        error = await world.failure(0, "VM.set_ha_restart_priority", vm, "always")
        assert error == ["INVALID_VALUE", "ha_restart_priority", "always"]

    run(scenario)


def test_a_plan_that_would_break() -> None:
    """Two hosts of 60 GiB and a guest of 40: one may fail, but not with the other disabled."""

    async def scenario(world: World) -> None:
        await protected_pool(world, 1)
        db = world.db(0)
        first = furnishing.add_guest(world[1], "web", memory=40 * GIB, sr="NFS")
        await world.call(0, "VM.set_ha_restart_priority", first, "restart")
        await world.call(0, "pool.set_ha_host_failures_to_tolerate", db.pool, "1")
        assert failures(db) == (1, False)
        assert await world.call(0, "pool.ha_failover_plan_exists", "1") is True
        assert await world.call(0, "pool.ha_compute_max_host_failures_to_tolerate") == 1
        broken = ["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"]
        for call in ("host.disable", "host.evacuate"):
            assert await world.failure(0, call, world.host(0)) == broken
        second = furnishing.add_guest(world[0], "db", memory=40 * GIB, sr="NFS", running=False)
        start = ("VM.start_on", second, world.host(0), False, False)
        assert await world.failure(0, *start) == broken
        assert await world.failure(0, "VM.start", second, False, False) == broken
        small = furnishing.add_guest(world[0], "small", memory=10 * GIB, sr="NFS")
        await world.call(0, "VM.pool_migrate", small, world.host(1), {})
        db.set("VM", small, memory_static_max=30 * GIB)
        assert await world.failure(0, "VM.set_ha_restart_priority", small, "restart") == broken
        more = ("pool.set_ha_host_failures_to_tolerate", db.pool, "2")
        assert await world.failure(0, *more) == broken
        error = await world.failure(0, "pool.set_ha_host_failures_to_tolerate", db.pool, "-1")
        assert error == ["INVALID_VALUE", "ha_host_failures_to_tolerate", "-1"]
        db.set("pool", db.pool, ha_allow_overcommit=True)
        assert await world.call(0, "host.disable", world.host(0)) == ""

    run(scenario)


def test_protected_guests_of_a_dead_host_start_elsewhere() -> None:
    async def scenario(world: World) -> None:
        await protected_pool(world, 1)
        db = world.db(0)
        names = {"a": "restart", "b": "best-effort", "c": ""}
        refs = {
            n: furnishing.add_guest(world[1], n, sr="NFS", ha=priority)
            for n, priority in names.items()
        }
        await changes.fault(world.site, "power-off", "host2")
        await world.sleep(120)
        states = {n: db.get("VM", r)["power_state"] for n, r in refs.items()}
        assert states == {"a": "Running", "b": "Running", "c": "Halted"}
        assert db.get("VM", refs["a"])["resident_on"] == db.master
        assert not db.get("host_metrics", db.get("host", world.host(1))["metrics"])["live"]

    run(scenario)


def test_storage_that_is_missing_keeps_a_host_disabled() -> None:
    async def scenario(world: World) -> None:
        await protected_pool(world, 1)
        world.site.faults.unplugged_storage.add("host2")
        member = world.host(1)
        pbd = world.db(0).get("host", member)["PBDs"][0]
        world.db(0).set("PBD", pbd, currently_attached=False)
        await world.call(0, "host.restart_agent", member)
        await world.sleep(60)
        assert not world.db(0).get("host", member)["enabled"]

    run(scenario)


def test_guests_bound_to_a_host_are_not_agile() -> None:
    async def scenario(world: World) -> None:
        await protected_pool(world, 1)
        db = world.db(0)
        assert agility.is_agile(db, furnishing.add_guest(world[1], "free", sr="NFS"))
        for blocker in ("pci", "vgpu", "vusb", "sriov", "local-disk"):
            vm = furnishing.add_guest(world[1], blocker, sr="NFS", blockers=[blocker])
            assert not agility.is_agile(db, vm), blocker
        protect = ("VM.set_ha_restart_priority", vm, "restart")
        broken = ["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"]
        assert await world.failure(0, *protect) == broken
        await world.call(0, "pool.disable_ha")
        await world.call(0, *protect)
        assert ha.status(world.site, db, 0) is ha.Status.AGILE

    run(scenario)


def test_what_binds_a_guest() -> None:
    async def scenario(world: World) -> None:
        await protected_pool(world, 1)
        db = world.db(0)

        async def bound(name: str, *blockers: str) -> tuple[str, list[str]]:
            vm = furnishing.add_guest(world[1], name, sr="NFS", blockers=blockers)
            return vm, await world.failure(0, "VM.assert_agile", vm)

        vm, error = await bound("gpu", "vgpu")
        assert error == ["VM_HAS_VGPU", vm]
        vm, error = await bound("usb", "vusb")
        assert error == ["VM_HAS_VUSBS", vm]
        _, error = await bound("disk", "local-disk")
        local = furnishing.find_sr(world[1])
        assert error == ["HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", local]
        vm, error = await bound("card", "sriov")
        network = next(r for r, _ in db.find("network", bridge="xapi-sriov"))
        assert error == ["HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", network]
        furnishing.add_virtual_functions(db, network, world.host(0))
        assert await world.failure(0, "VM.assert_agile", vm) == ["VM_HAS_SRIOV_VIF", vm]
        free = furnishing.add_guest(world[1], "free", sr="NFS")
        assert await world.call(0, "VM.assert_agile", free) == ""

    run(scenario)


def test_a_network_on_top_of_virtual_functions_binds_as_well() -> None:
    async def scenario(world: World) -> None:
        db, host = world.db(0), world.host(0)
        below = furnishing.add_virtual_functions(db, db.create("network"), host)
        network = db.create("network")
        tagged = db.create("PIF", host=host, network=network, VLAN=7)
        vlan = db.create("VLAN", tagged_PIF=below, untagged_PIF=tagged, tag=7)
        db.set("PIF", tagged, VLAN_master_of=vlan)
        vm = furnishing.add_guest(world[0], "web", disk=0)
        db.create("VIF", VM=vm, network=network)
        assert await world.failure(0, "VM.assert_agile", vm) == ["VM_HAS_SRIOV_VIF", vm]

    run(scenario, hosts=1)


def test_packing() -> None:
    assert pack({"big": 5, "small": 1}, {"a": 6, "b": 2}) == {"big": "a", "small": "b"}
    assert pack({"big": 5, "small": 1}, {"a": 4}) == {"small": "a"}
    assert pack({}, {"a": 4}) == pack({"x": 1}, {}) == {}


@pytest.mark.parametrize(
    ("hosts", "guests", "number", "possible"),
    [
        ({"a": 2, "b": 2}, {"x": 2}, 1, True),
        ({"a": 2, "b": 1}, {"x": 2}, 1, False),
        ({"a": 2, "b": 2}, {"x": 2}, 2, False),
        ({"a": 2, "b": 2}, {}, 2, True),
        ({"a": 2}, {"x": 2}, 2, False),
        ({"a": 0, "b": 3, "c": 3}, {"x": 2, "y": 1}, 2, True),
        ({"a": 0, "b": 3, "c": 2}, {"x": 2, "y": 1}, 2, False),
    ],
)
def test_plans(hosts: dict[str, int], guests: dict[str, int], number: int, possible: bool) -> None:
    """All guests run on the first host."""
    placed = dict.fromkeys(guests, "a")
    config = Configuration(hosts, guests, placed, len(hosts), number)
    assert plan_always_possible(config) is possible


def test_large_pools_are_estimated() -> None:
    hosts = {f"h{n}": 4 for n in range(64)}
    guests = {f"g{n}": 2 for n in range(64)}
    placed = dict(zip(guests, hosts, strict=True))
    assert plan_always_possible(Configuration(hosts, guests, placed, 64, 3))
    assert not plan_always_possible(Configuration(dict.fromkeys(hosts, 1), guests, placed, 64, 3))


def test_a_lone_host_is_no_pool() -> None:
    async def scenario(world: World) -> None:
        builder.add_guest(world[0], "web", disk=0)
        assert ha.status(world.site, world.db(0), 0) is ha.Status.ALL
        assert ha.most_failures(world.site, world.db(0)) == 1  # nobody is protected

    run(scenario, hosts=1)
