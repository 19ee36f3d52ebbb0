"""Updates of hosts: both models, guidances, errors; plugins by table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nova_aggregates.simulator import builder, changes, furnishing
from tests.unit.simulator.world import World, run

REBOOT = {"name": "kernel", "mandatory": ["reboot_host"], "software": {"product_version": "9"}}
TOOLSTACK = {"name": "xapi", "mandatory": ["restart_toolstack"], "full": ["restart_vm"]}


async def repository(world: World, *offered: dict[str, Any]) -> str:
    """A synchronised repository that offers these. Gives the hash."""
    change = {"change": "offer-updates", "host": "host1", "offered": list(offered)}
    await changes.change(world.site, change)
    given = ("repo", "", "https://repo.example.org", "", True)
    ref = await world.call(0, "Repository.introduce", *given)
    await world.call(0, "pool.set_repositories", world.db(0).pool, [ref])
    found: str = await world.call(0, "pool.sync_updates", world.db(0).pool, False, "", "")
    return found


def test_an_update_asks_for_a_reboot() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        member, db = world.host(1), world.db(0)
        checksum = await repository(world, REBOOT, TOOLSTACK)
        assert db.get("host", member)["latest_synced_updates_applied"] == "no"
        assert await world.call(0, "host.apply_updates", member, checksum) == []
        record = db.get("host", member)
        assert record["pending_guidances"] == ["reboot_host"]
        assert (record["enabled"], record["last_update_hash"]) == (False, checksum)
        assert record["latest_synced_updates_applied"] == "yes"
        pending = ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", member]
        assert await world.failure(0, "host.enable", member) == pending
        assert await world.failure(0, "host.apply_updates", member, checksum) == pending
        await world.call(0, "host.restart_agent", member)
        await world.sleep(60)
        assert db.get("host", member)["pending_guidances"] == ["reboot_host"]
        assert not db.get("host", member)["enabled"]
        await world.call(0, "host.reboot", member)
        await world.sleep(120)
        record = db.get("host", member)
        assert (record["pending_guidances"], record["enabled"]) == ([], True)
        assert record["software_version"]["product_version"] == "9"

    run(scenario)


def test_an_update_asks_for_a_restart_of_the_toolstack() -> None:
    async def scenario(world: World) -> None:
        vm = builder.add_guest(world[0], "web", disk=0)
        db = world.db(0)
        checksum = await repository(world, TOOLSTACK)
        await world.call(0, "host.apply_updates", db.master, checksum)
        assert db.get("host", db.master)["pending_guidances"] == ["restart_toolstack"]
        assert db.get("VM", vm)["pending_guidances_full"] == ["restart_vm"]
        await world.call(0, "host.restart_agent", db.master)
        await world.sleep(60)
        record = world.db(0).get("host", world.db(0).master)
        assert (record["pending_guidances"], record["enabled"]) == ([], True)

    run(scenario, hosts=1)


def test_updates_are_refused() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        member, db = world.host(1), world.db(0)
        sync = ("pool.sync_updates", db.pool, False, "", "")
        assert await world.failure(0, *sync) == ["NO_REPOSITORY_ENABLED"]
        checksum = await repository(world, {**REBOOT, "fails_on": ["host1"]})
        apply = ("host.apply_updates", member, checksum)
        wrong = await world.failure(0, "host.apply_updates", member, "0" * 64)
        assert wrong == ["UPDATEINFO_HASH_MISMATCH"]
        assert not db.get("host", member)["enabled"]
        furnishing.add_guest(world[1], "web", disk=0)
        assert await world.failure(0, *apply) == ["HOST_EVACUATION_IS_REQUIRED", member]
        db.set("pool", db.pool, ha_enabled=True)
        assert await world.failure(0, *apply) == ["HA_IS_ENABLED"]
        db.set("pool", db.pool, ha_enabled=False)
        first = await world.failure(0, "host.apply_updates", db.master, checksum)
        assert first == ["APPLY_UPDATES_FAILED", db.master]
        assert db.get("host", db.master)["pending_guidances"] == []
        second = await world.call(0, "Repository.introduce", "two", "", "https://x", "", True)
        await world.call(0, "pool.add_repository", db.pool, second)
        assert await world.failure(0, *sync) == ["MULTIPLE_UPDATE_REPOSITORIES_ENABLED"]
        assert await world.failure(0, "Repository.forget", second) == ["REPOSITORY_IS_IN_USE"]

    run(scenario)


def test_one_at_a_time() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        checksum = await repository(world, REBOOT)
        await world.call(0, "Async.host.apply_updates", world.host(1), checksum)
        await world.sleep(5)
        record = world.db(0).get("host", world.host(1))
        assert "apply_updates" in record["current_operations"].values()
        error = await world.failure(0, "host.apply_updates", world.host(0), checksum)
        assert error == ["APPLY_UPDATES_IN_PROGRESS"]

    run(scenario)


def test_readiness() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db = world.db(0)
        ask = ("pool.check_update_readiness", db.pool)
        assert await world.call(0, *ask, True) == []
        vm = furnishing.add_guest(world[1], "web", disk=0, blockers=["pci"])
        assert await world.call(0, *ask, False) == []
        assert await world.call(0, *ask, True) == [["VM_HAS_PCI_ATTACHED", vm]]
        db.set("pool", db.pool, ha_enabled=True)
        db.set("host_metrics", db.get("host", world.host(0))["metrics"], live=False)
        expected = [["HA_IS_ENABLED"], ["HOST_OFFLINE", world.host(0)]]
        assert await world.call(0, *ask, False) == expected

    run(scenario)


def disk(world: World, name: str = "XS82E001") -> str:
    return furnishing.add_disk(world[0], name)


def test_an_update_that_is_a_disk() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db = world.db(0)
        vdi = disk(world)
        update = await world.call(0, "pool_update.introduce", vdi)
        assert await world.call(0, "pool_update.introduce", vdi) == update
        record = db.get("pool_update", update)
        again = await world.failure(0, "pool_update.introduce", disk(world))
        assert again == ["UPDATE_ALREADY_EXISTS", record["uuid"]]
        assert await world.call(0, "pool_update.precheck", update, db.master) == "ok"
        await world.call(0, "pool_update.apply", update, db.master)
        assert record["hosts"] == [db.master]
        assert db.get("host", db.master)["updates"] == [update]
        assert db.get("host", db.master)["updates_requiring_reboot"] == [update]
        applied = await world.failure(0, "pool_update.apply", update, db.master)
        assert applied == ["UPDATE_ALREADY_APPLIED", update]
        await world.call(0, "pool_update.pool_apply", update)
        applied = await world.failure(0, "pool_update.pool_apply", update)
        assert applied == ["UPDATE_ALREADY_APPLIED_IN_POOL", update]
        assert await world.failure(0, "pool_update.destroy", update) == ["UPDATE_IS_APPLIED"]
        await world.call(0, "pool_update.pool_clean", update)
        missing = await world.failure(0, "pool_update.precheck", update, db.master)
        assert missing == ["CANNOT_FIND_UPDATE"]
        await world.call(0, "host.disable", world.host(1))
        await world.call(0, "host.reboot", world.host(1))
        await world.sleep(120)
        assert db.get("host", world.host(1))["updates_requiring_reboot"] == []

    run(scenario)


def test_an_update_that_fails_on_a_host() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        update = await world.call(0, "pool_update.introduce", disk(world))
        config = {
            "simulated_precheck": "UPDATE_PRECHECK_FAILED_OUT_OF_SPACE|XS82E001|1|2",
            "simulated_hosts": "host2",
        }
        await world.call(0, "pool_update.set_other_config", update, config)
        error = await world.failure(0, "pool_update.apply", update, world.host(1))
        assert error == ["UPDATE_PRECHECK_FAILED_OUT_OF_SPACE", "XS82E001", "1", "2"]
        error = await world.failure(0, "pool_update.pool_apply", update)
        assert error == ["UPDATE_POOL_APPLY_FAILED", world.host(1)]
        config = {"simulated_precheck": "INVALID_UPDATE|no metadata"}
        await world.call(0, "pool_update.set_other_config", update, config)
        error = await world.failure(0, "pool_update.precheck", update, world.host(1))
        assert error == ["INVALID_UPDATE", "no metadata"]
        config = {"simulated_apply": "UPDATE_APPLY_FAILED|no space"}
        await world.call(0, "pool_update.set_other_config", update, config)
        error = await world.failure(0, "pool_update.apply", update, world.host(1))
        assert error == ["UPDATE_APPLY_FAILED", "no space"]

    run(scenario)


def test_plugins_by_table() -> None:
    async def scenario(world: World) -> None:
        host = world.db(0).master
        call = ("host.call_plugin", host)
        assert await world.failure(0, *call, "xenhost", "host_data", {}) == [
            "XENAPI_MISSING_PLUGIN",
            "xenhost",
        ]
        table = {
            "xenhost": {
                "host_data": '{"host_ip": "10.0.0.1"}',
                "host_reboot": {"error": ["XENAPI_PLUGIN_FAILURE", "reboot", "Exception", "no"]},
                "slow": {"answer": "at last", "seconds": 100},
            }
        }
        change = {"change": "plugin", "host": "host1", "table": table}
        await changes.change(world.site, change)
        data = await world.call(0, *call, "xenhost", "host_data", {})
        assert json.loads(data) == {"host_ip": "10.0.0.1"}
        error = await world.failure(0, *call, "xenhost", "host_reboot", {})
        assert error == ["XENAPI_PLUGIN_FAILURE", "reboot", "Exception", "no"]
        before = world.clock.now()
        assert await world.call(0, *call, "xenhost", "slow", {}) == "at last"
        assert world.clock.now() - before >= 100
        error = await world.failure(0, *call, "xenhost", "fly", {})
        assert error[:3] == ["XENAPI_PLUGIN_FAILURE", "fly", "UnknownFunction"]
        with pytest.raises(ValueError, match="plugin xenhost, x: unknown result"):
            await changes.change(world.site, {**change, "table": {"xenhost": {"x": {"result": 1}}}})

    run(scenario, hosts=1)


def test_the_updater_of_xcp_ng() -> None:
    async def scenario(world: World) -> None:
        host = world.db(0).master
        await changes.change(world.site, {"change": "updater", "host": "host1"})
        offer = {"change": "offer-updates", "host": "host1"}
        await changes.change(world.site, {**offer, "offered": [{"name": "xen-hypervisor"}]})
        ask = ("host.call_plugin", host, "updater.py")
        found = json.loads(await world.call(0, *ask, "check_update", {}))
        assert [p["name"] for p in found] == ["xen-hypervisor"]
        assert json.loads(await world.call(0, *ask, "update", {}))["exit"] == 0
        assert json.loads(await world.call(0, *ask, "check_update", {})) == []
        with pytest.raises(ValueError, match="update kernel: unknown colour"):
            await changes.change(
                world.site, {**offer, "offered": [{"name": "kernel", "colour": "red"}]}
            )

    run(scenario, hosts=1)
