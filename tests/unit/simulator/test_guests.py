"""Guests: who may do what with them when, where they fit, and what is seen of a move."""

from __future__ import annotations

import asyncio

import pytest

from nova_aggregates.simulator import builder, changes, furnishing, placement
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.profile import GIB
from tests.unit.simulator.world import World, run

LESS = "178bfbff-f7fa3203-2c100800-00000121-0000000f-219c07ab-0040060c-00000000"
MORE = "178bfbff-f7fa3203-2c100800-00000121-0000000f-219c07ab-0040060c-00000001"


async def guest_with(world: World, *blockers: str, position: int = 1, **more: object) -> str:
    """A guest without a disk, unless that is what blocks it, on a pool of two with storage."""
    await world.pool(1)
    disk = GIB if "local-disk" in blockers else 0
    options = {"disk": disk, "blockers": blockers, **more}
    return furnishing.add_guest(world[position], "web", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("blocker", "code"),
    [
        ("pci", "VM_HAS_PCI_ATTACHED"),
        ("vgpu", "VM_HAS_VGPU"),
        ("vusb", "VM_HAS_VUSBS"),
        ("no-tools", "VM_LACKS_FEATURE"),
        ("nomigrate", "VM_IS_IMMOBILE"),
    ],
)
def test_guests_that_do_not_move(blocker: str, code: str) -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world, blocker)
        expected = [code, vm]
        found = await world.call(0, "host.get_vms_which_prevent_evacuation", world.host(1))
        assert found == {vm: expected}
        assert await world.failure(0, "host.evacuate", world.host(1)) == expected
        assert await world.failure(0, "VM.pool_migrate", vm, world.host(0), {}) == expected
        assert "pool_migrate" not in world.db(0).get("VM", vm)["allowed_operations"]
        assert await world.failure(0, "VM.assert_operation_valid", vm, "pool_migrate") == expected

    run(scenario)


def test_force_moves_guests_that_would_have_to_help() -> None:
    async def scenario(world: World) -> None:
        for blocker in ("no-tools", "nomigrate"):
            vm = furnishing.add_guest(world[1], blocker, disk=0, blockers=[blocker])
            await world.call(0, "VM.pool_migrate", vm, world.host(0), {"force": "true"})
            assert world.db(0).get("VM", vm)["resident_on"] == world.host(0)

    async def in_a_pool(world: World) -> None:
        await world.pool(1)
        await scenario(world)

    run(in_a_pool)


def test_nomigrate_on_a_running_guest_changes_nothing_until_it_restarts() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world)
        await world.call(0, "VM.add_to_platform", vm, "nomigrate", "true")
        assert await world.call(0, "host.assert_can_evacuate", world.host(1)) == ""
        await world.call(0, "VM.hard_shutdown", vm)
        await world.call(0, "VM.start_on", vm, world.host(1), False, False)
        expected = ["CANNOT_EVACUATE_HOST", f"VM_IS_IMMOBILE,{vm}"]
        assert await world.failure(0, "host.assert_can_evacuate", world.host(1)) == expected

    run(scenario)


def test_a_local_disk_and_a_network_of_one_host_bind_a_guest() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world, "local-disk")
        db = world.db(0)
        local = furnishing.find_sr(world[1])
        expected = ["VM_REQUIRES_SR", vm, local]
        assert await world.failure(0, "VM.pool_migrate", vm, world.host(0), {}) == expected
        assert await world.failure(0, "host.evacuate", world.host(1)) == expected
        other = furnishing.add_guest(world[1], "router", disk=0, blockers=["sriov"])
        network = next(r for r, n in db.find("network", bridge="xapi-sriov"))
        expected = ["VM_REQUIRES_NETWORK", other, network]
        assert await world.failure(0, "VM.pool_migrate", other, world.host(0), {}) == expected
        db.create(
            "PIF", network=network, host=world.host(0), device="eth1", currently_attached=False
        )
        expected = ["HOST_CANNOT_ATTACH_NETWORK", world.host(0), network]
        assert await world.failure(0, "VM.pool_migrate", other, world.host(0), {}) == expected

    run(scenario)


def test_a_suspension_that_the_guest_refuses() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world)
        tools = world.db(0).get("VM", vm)["guest_metrics"]
        world.db(0).set("VM_guest_metrics", tools, other={"data-cant-suspend-reason": "a device"})
        expected = ["VM_NON_SUSPENDABLE", vm, "a device"]
        assert await world.failure(0, "VM.pool_migrate", vm, world.host(0), {}) == expected
        assert await world.failure(0, "host.evacuate", world.host(1)) == expected

    run(scenario)


def test_a_guest_keeps_the_cpu_that_it_was_started_with() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world, cpu_features=MORE)
        text = "VM last booted on a CPU with features this host's CPU does not have."
        expected = ["VM_INCOMPATIBLE_WITH_THIS_HOST", vm, world.host(0), text]
        assert await world.failure(0, "VM.pool_migrate", vm, world.host(0), {}) == expected
        assert await world.failure(0, "host.evacuate", world.host(1)) == expected
        world.db(0).set("VM", vm, last_boot_CPU_flags={"vendor": "AuthenticAMD"})
        text = "VM last booted on a host which had a CPU from a different vendor."
        expected = ["VM_INCOMPATIBLE_WITH_THIS_HOST", vm, world.host(0), text]
        assert await world.failure(0, "VM.pool_migrate", vm, world.host(0), {}) == expected
        await world.call(0, "VM.pool_migrate", vm, world.host(0), {"force": "true"})
        await world.call(0, "VM.hard_shutdown", vm)
        await world.call(0, "VM.start_on", vm, world.host(1), False, False)
        await world.call(0, "VM.pool_migrate", vm, world.host(0), {})

    run(scenario)


def test_cpus_of_a_pool_are_levelled() -> None:
    assert placement.includes(MORE, LESS)
    assert not placement.includes(LESS, MORE)
    assert not placement.includes("ffffffff", LESS)

    async def scenario(world: World) -> None:
        change = {"change": "set-hardware", "host": "host1", "cpu_features": MORE}
        await changes.change(world.site, change)
        assert world.db(0).pool_record["cpu_info"]["features_hvm_host"] == MORE
        await world.pool(1)
        assert world.db(0).pool_record["cpu_info"]["features_hvm_host"] == LESS

    run(scenario)


def test_hardware_memory_and_processors_must_suffice() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        vm = builder.add_guest(world[0], "big", memory=59 * GIB, running=False, disk=0)
        busy = furnishing.add_guest(world[1], "busy", memory=2 * GIB, disk=0)
        needed = placement.needed(db.get("VM", vm))
        there = 60 * GIB - placement.needed(db.get("VM", busy))
        expected = ["HOST_NOT_ENOUGH_FREE_MEMORY", str(needed), str(there)]
        assert await world.failure(0, "VM.start_on", vm, member, False, False) == expected
        wide = builder.add_guest(world[0], "wide", vcpus=99, running=False, disk=0)
        expected = ["HOST_NOT_ENOUGH_PCPUS", "99", "8"]
        assert await world.failure(0, "VM.start_on", wide, member, False, False) == expected
        assert await world.failure(0, "VM.start", wide, False, False) == ["NO_HOSTS_AVAILABLE"]
        db.set("VM", wide, platform={"vcpu-unrestricted": "true"})
        assert await world.call(0, "VM.start_on", wide, member, False, False) == ""
        new = builder.add_guest(world[0], "new", running=False, disk=0)
        db.set("VM", new, hardware_platform_version=9)
        error = await world.failure(0, "VM.start_on", new, member, False, False)
        assert error == [
            "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION",
            member,
            "[0; 1; 2]",
            new,
            "9",
        ]

    run(scenario)


def test_hosts_that_take_no_guests() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        vm = builder.add_guest(world[0], "web", running=False, disk=0)
        await world.call(0, "host.disable", member)
        start = ("VM.start_on", vm, member, False, False)
        assert await world.failure(0, *start) == ["HOST_DISABLED", member]
        await world.call(0, "host.enable", member)
        db.set("host", member, current_operations={NULL_REF: "evacuate"})
        assert await world.failure(0, *start) == ["HOST_EVACUATE_IN_PROGRESS", member]
        db.set("host", member, current_operations={})
        db.set("host_metrics", db.get("host", member)["metrics"], live=False)
        assert await world.failure(0, *start) == ["HOST_NOT_LIVE"]

    run(scenario)


def test_wrong_power_states_and_templates() -> None:
    async def scenario(world: World) -> None:
        vm = builder.add_guest(world[0], "web", disk=0)
        db = world.db(0)
        start = ("VM.start", vm, False, False)
        assert await world.failure(0, *start) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
        await world.call(0, "VM.pause", vm)
        expected = ["VM_BAD_POWER_STATE", vm, "running", "paused"]
        assert await world.failure(0, "VM.pool_migrate", vm, db.master, {}) == expected
        await world.call(0, "VM.unpause", vm)
        await world.call(0, "VM.suspend", vm)
        assert db.get("VM", vm)["resident_on"] == NULL_REF
        expected = ["VM_BAD_POWER_STATE", vm, "paused, running", "suspended"]
        assert await world.failure(0, "VM.hard_reboot", vm) == expected
        await world.call(0, "VM.resume", vm, False, False)
        await world.call(0, "VM.clean_reboot", vm)
        assert db.get("VM", vm)["power_state"] == "Running"
        template = next(r for r, v in db.find("VM", is_a_template=True))
        expected = ["VM_IS_TEMPLATE", template, "start"]
        assert await world.failure(0, "VM.start", template, False, False) == expected
        dom0 = db.get("host", db.master)["control_domain"]
        text = "This operation is not allowed on a control domain"
        assert await world.failure(0, "VM.hard_shutdown", dom0) == ["OPERATION_NOT_ALLOWED", text]

    run(scenario, hosts=1)


def test_a_hard_shutdown_waits_for_nothing() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world, memory=40 * GIB)
        task = await world.call(0, "Async.VM.pool_migrate", vm, world.host(0), {})
        await world.sleep(3)
        await world.call(0, "VM.hard_shutdown", vm)
        while world.db(0).get("task", task)["status"] == "pending":
            await world.sleep(1)
        error = world.db(0).get("task", task)["error_info"]
        assert error == ["VM_BAD_POWER_STATE", vm, "running", "halted"]

    run(scenario)


def test_moves_share_the_bandwidth_and_no_more_than_four_leave_at_once() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        member = world.host(1)
        for number in range(6):
            furnishing.add_guest(world[1], f"g{number}", memory=4 * GIB, disk=0)
        before = world.clock.now()
        await world.call(0, "host.evacuate", member)
        took = world.clock.now() - before
        assert 24 <= took <= 45  # 24 GiB at 1 GiB a second, and the set-up of each move
        summary = world.site.history.summary()
        assert summary.most_moves_from == {"host2": 4}
        assert summary.most_moves_to == {"host1": 4}
        assert summary.moves == {f"g{n}": 1 for n in range(6)}

    run(scenario)


def test_an_evacuation_that_fails_half_way_moves_on() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        member, db = world.host(1), world.db(0)
        refs = [furnishing.add_guest(world[1], f"g{n}", disk=0) for n in range(3)]
        error = ["VM_MIGRATE_FAILED", refs[1], member, world.host(0), "injected"]
        change = {"change": "fail-move", "host": "host2", "guest": "g1", "error": error}
        await changes.change(world.site, change)
        assert await world.failure(0, "host.evacuate", member) == error
        await world.sleep(60)
        assert placement.residents(db, member) == [refs[1]]
        assert await world.call(0, "host.evacuate", member) == ""

    run(scenario)


def test_a_destination_that_dies_fails_the_move() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world, memory=40 * GIB, position=0)
        task = await world.call(0, "Async.VM.pool_migrate", vm, world.host(1), {})
        await world.sleep(5)
        await changes.fault(world.site, "power-off", "host2")
        await world.sleep(5)
        record, host = world.db(0).get("VM", vm), world.host(0)
        assert world.db(0).get("task", task)["error_info"][:4] == [
            "VM_MIGRATE_FAILED",
            vm,
            host,
            world.host(1),
        ]
        assert (record["resident_on"], record["scheduled_to_be_resident_on"]) == (host, NULL_REF)

    run(scenario)


def test_memory_decides_where_guests_go() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        db = world.db(0)
        furnishing.add_guest(world[2], "there", memory=30 * GIB, disk=0)
        sizes = {"a": 40, "b": 25, "c": 20}
        refs = {
            n: furnishing.add_guest(world[1], n, memory=s * GIB, disk=0) for n, s in sizes.items()
        }
        found = await world.call(0, "host.get_vms_which_prevent_evacuation", world.host(1))
        assert found == {refs["c"]: ["HOST_NOT_ENOUGH_FREE_MEMORY", refs["c"]]}
        await world.call(0, "VM.hard_shutdown", refs["c"])
        await world.call(0, "host.evacuate", world.host(1))
        assert db.get("VM", refs["a"])["resident_on"] == world.host(0)
        assert db.get("VM", refs["b"])["resident_on"] == world.host(2)

    run(scenario, hosts=3)


def test_one_unfit_target_keeps_everybody_in() -> None:
    """Even when another host could take them: that is the rule of xapi."""

    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        db = world.db(0)
        shared = furnishing.add_pool_storage(world[0], "NFS")
        vm = furnishing.add_guest(world[1], "web", sr="NFS")
        assert await world.call(0, "host.assert_can_evacuate", world.host(1)) == ""
        pbd = next(p for p, r in db.find("PBD", host=world.host(2), SR=shared))
        await world.call(0, "PBD.unplug", pbd)
        expected = ["VM_REQUIRES_SR", vm, shared]
        assert await world.failure(0, "host.evacuate", world.host(1)) == expected
        await world.call(0, "host.disable", world.host(2))
        assert await world.call(0, "host.evacuate", world.host(1)) == ""

    run(scenario, hosts=3)


def test_without_a_target_nothing_else_is_said() -> None:
    async def scenario(world: World) -> None:
        vm = builder.add_guest(world[0], "web", disk=0, blocked={"pool_migrate": "no"})
        found = await world.call(0, "host.get_vms_which_prevent_evacuation", world.host(0))
        assert found == {vm: ["NO_HOSTS_AVAILABLE", vm]}

    run(scenario, hosts=1)


def test_a_reboot_shuts_down_what_it_cannot_move() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        bound = furnishing.add_guest(world[1], "bound", disk=0, blockers=["pci"])
        free = furnishing.add_guest(world[1], "free", disk=0)
        await world.call(0, "host.disable", member)
        await world.call(0, "host.reboot", member)
        await world.sleep(120)
        assert db.get("VM", bound)["power_state"] == "Halted"
        assert db.get("VM", free)["resident_on"] == db.master
        summary = world.site.history.summary()
        assert summary.stops == {"bound": ["clean_shutdown"]}
        assert summary.moves == {"free": 1}
        down = summary.down["host2"][-1]
        assert down.why == "reboot"
        assert down.until is not None

    run(scenario)


def test_a_host_that_loses_power_has_lost_its_guests() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world)
        await changes.fault(world.site, "power-off", "host2")
        await world.sleep(30)
        assert world.db(0).get("VM", vm)["power_state"] == "Running"
        await changes.fault(world.site, "power-on", "host2")
        await world.sleep(120)
        assert world.db(0).get("VM", vm)["power_state"] == "Halted"
        assert world.site.history.summary().stops == {"web": ["host-lost"]}

    run(scenario)


def test_a_restart_of_the_toolstack_leaves_guests_alone() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world)
        await world.call(0, "host.restart_agent", world.host(1))
        await world.sleep(60)
        record = world.db(0).get("VM", vm)
        assert (record["power_state"], record["resident_on"]) == ("Running", world.host(1))
        assert world.site.history.summary().down["host2"][-1].why == "toolstack"

    run(scenario)


def test_bad_options_are_named() -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(ValueError, match=r"unknown blockers .'glue'"):
            furnishing.add_guest(world[0], "web", blockers=["glue"])
        with pytest.raises(LookupError, match="host1 has no storage NFS"):
            furnishing.add_guest(world[0], "web", sr="NFS")
        with pytest.raises(ApiError, match="HANDLE_INVALID"):
            await world.call(0, "VM.start", "OpaqueRef:none", False, False)
        await asyncio.sleep(0)

    run(scenario, hosts=1)


async def reasons(world: World, vm: str, host: str) -> list[str]:
    """Why the guest cannot leave: the plan and the evacuation agree."""
    found = await world.call(0, "host.get_vms_which_prevent_evacuation", host)
    assert await world.failure(0, "host.evacuate", host) == found[vm]
    return list(found[vm])


def test_the_rest_of_what_holds_an_evacuation_up() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world)
        db, member, target = world.db(0), world.host(1), world.host(0)
        await world.call(0, "VM.pause", vm)
        assert await reasons(world, vm, member) == ["VM_BAD_POWER_STATE", vm, "running", "paused"]
        await world.call(0, "VM.unpause", vm)
        db.set("VM", vm, current_operations={NULL_REF: "snapshot"})
        expected = ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, "snapshot", NULL_REF]
        assert await reasons(world, vm, member) == expected
        db.set("VM", vm, current_operations={NULL_REF: "snapshot", "OpaqueRef:2": "checkpoint"})
        expected = ["OTHER_OPERATION_IN_PROGRESS", "VM", vm]
        expected += ["{snapshot,checkpoint}", f"{{{NULL_REF},OpaqueRef:2}}"]
        assert await reasons(world, vm, member) == expected
        db.set("VM", vm, current_operations={})
        capabilities = db.get("host", target)["capabilities"]
        db.set("host", target, capabilities=["xen-3.0-x86_64"])
        assert await reasons(world, vm, member) == ["VM_HVM_REQUIRED", vm]
        db.set("host", target, capabilities=capabilities)
        db.set("VM", vm, hardware_platform_version=9)
        assert (await reasons(world, vm, member))[0] == (
            "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION"
        )
        db.set("VM", vm, hardware_platform_version=2, VCPUs_max=64)
        assert await reasons(world, vm, member) == ["HOST_NOT_ENOUGH_PCPUS", "64", "8"]
        db.set("VM", vm, VCPUs_max=2)
        nowhere = "OpaqueRef:nowhere"
        error = await world.failure(0, "host.evacuate", member, nowhere)
        assert error == ["PIF_NOT_PRESENT", target, nowhere]
        vdi = furnishing.add_disk(
            world[1], "cached", vm=vm, sr=furnishing.add_pool_storage(world[0], "NFS")
        )
        db.set("VDI", vdi, sm_config={"on_boot": "reset", "caching": "true"})
        expected = ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]
        assert await reasons(world, vm, member) == expected

    run(scenario)


def test_a_guest_that_starts_while_its_host_is_emptied() -> None:
    async def scenario(world: World) -> None:
        await guest_with(world, memory=20 * GIB)
        db, member = world.db(0), world.host(1)
        task = await world.call(0, "Async.host.evacuate", member)
        await world.sleep(3)
        late = furnishing.add_guest(world[1], "late", disk=0)
        while db.get("task", task)["status"] == "pending":
            await world.sleep(1)
        text = f"evacuate: 1 VMs are still resident on {member}"
        assert db.get("task", task)["error_info"] == ["INTERNAL_ERROR", text]
        assert placement.residents(db, member) == [late]

    run(scenario)


def test_guests_that_need_a_device_start_only_where_it_is() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, target = world.db(0), world.host(0)
        gpu = furnishing.add_guest(world[1], "gpu", disk=0, running=False, blockers=["vgpu"])
        group = db.get("VGPU", db.get("VM", gpu)["VGPUs"][0])["GPU_group"]
        start = ("VM.start_on", gpu, target, False, False)
        assert await world.failure(0, *start) == ["VM_REQUIRES_GPU", gpu, group]
        dongle = furnishing.add_guest(world[1], "dongle", disk=0, running=False, blockers=["vusb"])
        vusb = db.get("VM", dongle)["VUSBs"][0]
        text = f"VUSB {vusb} is not available on Host {target}"
        start = ("VM.start_on", dongle, target, False, False)
        assert await world.failure(0, *start) == ["OPERATION_NOT_ALLOWED", text]
        await world.call(0, "VM.start", dongle, False, False)
        assert db.get("VM", dongle)["resident_on"] == world.host(1)

    run(scenario)


def test_while_hosts_are_upgraded_guests_go_to_newer_ones() -> None:
    async def scenario(world: World) -> None:
        vm = await guest_with(world, position=0)
        db, old, new = world.db(0), world.host(0), world.host(1)
        hardware = {"change": "set-hardware", "host": "host2"}
        software = {"platform_version": "9.9.9"}
        await changes.change(world.site, {**hardware, "software": software})
        assert db.pool_record["other_config"]["rolling_upgrade_in_progress"] == "true"
        refused = ["NOT_SUPPORTED_DURING_UPGRADE"]
        await world.call(0, "VM.pool_migrate", vm, new, {})
        assert await world.failure(0, "VM.pool_migrate", vm, old, {}) == refused
        found = await world.call(0, "host.get_vms_which_prevent_evacuation", new)
        assert found == {vm: ["NO_HOSTS_AVAILABLE", vm]}
        assert await world.failure(0, "VM.checkpoint", vm, "x") != []
        await world.call(0, "VM.suspend", vm)
        assert await world.failure(0, "VM.resume_on", vm, old, False, False) == refused
        await world.call(0, "VM.resume", vm, False, False)
        assert db.get("VM", vm)["resident_on"] == new
        assert await world.failure(0, "pool.enable_ha", [], {}) == refused
        await changes.change(world.site, {**hardware, "software": {}})
        assert "rolling_upgrade_in_progress" not in db.pool_record["other_config"]
        await world.call(0, "VM.pool_migrate", vm, old, {})

    run(scenario)
