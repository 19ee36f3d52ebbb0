"""Guests that are moved with their disks, within a pool and to another one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nova_aggregates.simulator import changes, furnishing, motion_checks
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.profile import GIB
from tests.unit.simulator.world import World, run

OLDER = {"change": "set-hardware", "software": {"platform_version": "3.0.0"}}


class Move:
    """Of a guest with a local disk at a host; ``send`` and ``check`` are the calls for it."""

    def __init__(self, world: World, vm: str, source: int, target: int, at: int) -> None:
        self.world, self.vm, self.source = world, vm, source
        self.target, self.at = target, at  # the host that it goes to, and that one's master
        self.db, self.there = world.db(source), world.db(at)
        self.host = world.host(target, at)
        (self.disk,) = motion_checks.disks_of(self.db, vm)
        (self.card,) = self.db.get("VM", vm)["VIFs"]
        self.network = next(r for r, _ in self.there.find("network", bridge="xenbr0"))
        self.storage = furnishing.find_sr(world[target])
        self.disks = {self.disk: self.storage}
        self.cards = {} if at == source else {self.card: self.network}
        self.options: dict[str, str] = {}
        self.dest: dict[str, str] = {}

    async def ask(self) -> Move:
        method = "host.migrate_receive"
        self.dest = await self.world.call(self.at, method, self.host, self.network, {})
        return self

    @property
    def arguments(self) -> list[Any]:
        return [self.vm, self.dest, True, self.disks, self.cards, self.options]

    async def send(self) -> str:
        return str(await self.world.call(self.source, "VM.migrate_send", *self.arguments))

    async def refused(self, *expected: str) -> None:
        for method in ("VM.assert_can_migrate", "VM.migrate_send"):
            found = await self.world.failure(self.source, method, *self.arguments)
            assert found == list(expected), method
        assert self.db.get("VM", self.vm)["current_operations"] == {}
        assert self.there.get("host", self.host)["current_operations"] == {}


async def within(world: World, **more: Any) -> Move:
    await world.pool(1)
    vm = furnishing.add_guest(world[0], "web", disk=GIB, **more)
    return await Move(world, vm, 0, 1, 0).ask()


async def across(world: World, **more: Any) -> Move:
    vm = furnishing.add_guest(world[0], "web", disk=GIB, **more)
    return await Move(world, vm, 0, 1, 1).ask()


def test_a_guest_moves_within_its_pool_with_its_disk() -> None:
    async def scenario(world: World) -> None:
        move = await within(world)
        size = move.db.get("SR", move.storage)["physical_utilisation"]
        sending = asyncio.ensure_future(move.send())
        await world.sleep(1.5)
        assert list(move.db.get("VM", move.vm)["current_operations"].values()) == ["migrate_send"]
        assert list(move.db.get("host", move.host)["current_operations"].values()) == ["vm_migrate"]
        assert move.db.get("VM", move.vm)["scheduled_to_be_resident_on"] == move.host
        assert await sending == move.vm
        assert move.db.get("VM", move.vm)["resident_on"] == move.host
        assert move.db.get("VM", move.vm)["scheduled_to_be_resident_on"] == NULL_REF
        (disk,) = motion_checks.disks_of(move.db, move.vm)
        assert disk != move.disk
        assert move.db.get("VDI", disk)["SR"] == move.storage
        assert move.db.peek("VDI", move.disk) is None
        assert move.db.get("SR", move.storage)["physical_utilisation"] == size + GIB

    run(scenario)


@pytest.mark.parametrize("running", [True, False])
def test_a_guest_moves_to_another_pool(running: bool) -> None:
    async def scenario(world: World) -> None:
        move = await across(world, running=running)
        uuid = move.db.get("VM", move.vm)["uuid"]
        new = await move.send()
        record = move.there.get("VM", new)
        assert record["uuid"] == uuid
        assert record["power_state"] == ("Running" if running else "Halted")
        assert record["resident_on"] == (move.host if running else NULL_REF)
        assert move.db.peek("VM", move.vm) is None
        assert move.db.peek("VDI", move.disk) is None
        (disk,) = motion_checks.disks_of(move.there, new)
        assert move.there.get("VDI", disk)["SR"] == move.storage
        assert move.there.get("VIF", record["VIFs"][0])["network"] == move.network
        assert move.there.get("host", move.host)["current_operations"] == {}

    run(scenario)


def test_a_copy_leaves_the_guest_where_it_is() -> None:
    async def scenario(world: World) -> None:
        move = await across(world, running=False)
        move.options = {"copy": "true"}
        new = await move.send()
        assert move.db.get("VM", move.vm)["uuid"] != move.there.get("VM", new)["uuid"]
        assert move.db.peek("VDI", move.disk)

    run(scenario)


def test_one_host_sends_three_at_once() -> None:
    async def scenario(world: World) -> None:
        first = await within(world)
        moves = [first]
        for number in range(3):
            vm = furnishing.add_guest(world[0], f"more {number}", disk=GIB)
            moves.append(await Move(world, vm, 0, 1, 0).ask())
        found = await asyncio.gather(*(m.send() for m in moves), return_exceptions=True)
        refused = [f for f in found if isinstance(f, ApiError)]
        assert [e.description for e in refused] == [["TOO_MANY_STORAGE_MIGRATES", "3"]]
        late = moves[found.index(refused[0])]
        assert late.db.get("VM", late.vm)["resident_on"] == world.host(0)
        assert late.db.get("host", late.host)["current_operations"] == {}
        told = [e.kind for e in world.site.history.since(0)]
        assert [told.count(k) for k in ("move-began", "moved", "move-failed")] == [4, 3, 1]
        assert await late.send() == late.vm

    run(scenario)


def test_refusals_of_any_destination() -> None:
    async def scenario(world: World) -> None:
        move = await within(world)
        db, vm, disk = move.db, move.vm, move.disk
        move.disks = {}
        await move.refused("VDI_NOT_IN_MAP", disk)
        move.disks = {disk: move.storage}
        db.set("VDI", disk, cbt_enabled=True)
        await move.refused("VDI_CBT_ENABLED", disk)
        db.set("VDI", disk, cbt_enabled=False, sm_config={"key_hash": "x"})
        await move.refused("VDI_IS_ENCRYPTED", disk)
        db.set("VDI", disk, sm_config={})
        here = db.get("VDI", disk)["SR"]
        for manager, record in list(db.find("SM", type="ext")):
            features = dict(record["features"])
            db.set("SM", manager, features={"VDI_CREATE": 1})
            lacking = "VDI_SNAPSHOT;VDI_MIRROR"
            await move.refused("SR_DOES_NOT_SUPPORT_MIGRATION", here, lacking)
            db.set("SM", manager, features=features)
        licence = db.get("host", db.master)["license_params"]
        restricted = {**licence, "restrict_storage_xen_motion": "true"}
        db.set("host", db.master, license_params=restricted)
        await move.refused("LICENCE_RESTRICTION", "Storage_motion")
        receive: tuple[Any, ...] = ("host.migrate_receive", move.host, move.network, {})
        assert await world.failure(0, *receive) == ["LICENCE_RESTRICTION", "Storage_motion"]
        db.set("host", db.master, license_params=licence)
        move.dest.pop("xenops")
        await move.refused("INTERNAL_ERROR", "Not_found")
        assert db.get("VM", vm)["resident_on"] == db.master

    run(scenario)


def test_refusals_within_a_pool() -> None:
    async def scenario(world: World) -> None:
        move = await within(world)
        db, host = move.db, move.host
        move.cards = {move.card: move.network}
        await move.refused("OPERATION_NOT_ALLOWED", motion_checks.NO_NETWORKS)
        move.cards = {}
        await world.call(0, "host.disable", host)
        await move.refused("HOST_DISABLED", host)
        await world.call(0, "host.enable", host)
        db.set("host", host, virtual_hardware_platform_versions=[0])
        code = "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION"
        await move.refused(code, host, "[0]", move.vm, "2")
        db.set("host", host, virtual_hardware_platform_versions=[0, 1, 2])
        await changes.change(world.site, {**OLDER, "host": "host2"})
        await move.refused("NOT_SUPPORTED_DURING_UPGRADE")

    run(scenario)


def test_what_only_the_sender_sees() -> None:
    async def scenario(world: World) -> None:
        move = await within(world)
        send = ("VM.migrate_send", *move.arguments)
        move.options["copy"] = "true"
        expected = ["OPERATION_NOT_ALLOWED", motion_checks.NO_COPY]
        assert await world.failure(0, *send) == expected
        del move.options["copy"]
        move.db.set("VDI", move.disk, on_boot="reset")
        expected = ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", move.disk]
        assert await world.failure(0, *send) == expected
        move.db.set("VDI", move.disk, on_boot="persist")
        elsewhere = furnishing.add_pool_storage(world[0], "one host's")
        for pbd, _ in list(move.db.find("PBD", SR=elsewhere, host=move.host)):
            move.db.delete("PBD", pbd)
        move.disks[move.disk] = elsewhere
        uuid = move.db.get("SR", elsewhere)["uuid"]
        assert await world.failure(0, *send) == ["SR_NOT_ATTACHED", uuid]

    run(scenario)


def test_refusals_of_another_pool() -> None:
    async def scenario(world: World) -> None:
        move = await across(world)
        there, host, vm = move.there, move.host, move.vm
        move.cards = {}
        await move.refused("VIF_NOT_IN_MAP", move.card)
        move.cards = {move.card: move.network}
        move.options["copy"] = "true"
        await move.refused("VM_BAD_POWER_STATE", vm, "halted", "running")
        del move.options["copy"]
        pcpus = there.get("host", host)["cpu_info"]["cpu_count"]
        move.db.set("VM", vm, VCPUs_max=99)
        await move.refused("HOST_NOT_ENOUGH_PCPUS", "99", pcpus)
        move.db.set("VM", vm, VCPUs_max=1)
        there.set("host", host, enabled=False)
        await move.refused("HOST_DISABLED", host)
        there.set("host", host, enabled=True)
        await changes.change(world.site, {**OLDER, "host": "host2"})
        await move.refused("VM_HOST_INCOMPATIBLE_VERSION_MIGRATE", vm, host)
        await changes.change(world.site, {**OLDER, "host": "host2", "software": {}})
        furnishing.add_guest(world[1], "big", memory=59 * GIB, disk=0)
        send = ("VM.migrate_send", *move.arguments)
        error = await world.failure(0, *send)
        assert error[0] == "HOST_NOT_ENOUGH_FREE_MEMORY"
        assert int(error[1]) > int(error[2])
        await world.call(1, "session.logout")
        await world.raw(1, "session.logout", move.dest["session_id"])
        await move.refused("SESSION_INVALID", move.dest["session_id"])
        await changes.fault(world.site, "power-off", "host2")
        await move.refused("CANNOT_CONTACT_HOST", world[1].address)

    run(scenario)


def test_a_destination_needs_an_address_on_the_network() -> None:
    async def scenario(world: World) -> None:
        db, host = world.db(0), world.host(0)
        network = db.create("network", bridge="xenbr9")
        receive: tuple[Any, ...] = ("host.migrate_receive", host, network, {})
        expected = ["HOST_CANNOT_ATTACH_NETWORK", host, network]
        assert await world.failure(0, *receive) == expected
        pif = db.create("PIF", host=host, network=network, ip_configuration_mode="None")
        expected = ["PIF_HAS_NO_NETWORK_CONFIGURATION", pif]
        assert await world.failure(0, *receive) == expected
        db.set("PIF", pif, ip_configuration_mode="DHCP")
        assert await world.failure(0, *receive) == ["INTERFACE_HAS_NO_IP", pif]
        db.set("PIF", pif, IP="10.9.9.9")
        found = await world.call(0, *receive)
        assert set(found) == {"SM", "host", "xenops", "session_id", "master"}
        assert found["xenops"].startswith("http://10.9.9.9/services/xenops?session_id=")
        assert await world.raw(0, "host.get_all", found["session_id"]) == [host]

    run(scenario, hosts=1)


@pytest.mark.parametrize(
    ("blocker", "code"),
    [("pci", "VM_HAS_PCI_ATTACHED"), ("vgpu", "VM_HAS_VGPU"), ("vusb", "VM_HAS_VUSBS")],
)
def test_guests_that_cannot_be_sent(blocker: str, code: str) -> None:
    async def scenario(world: World) -> None:
        move = await within(world, blockers=[blocker])
        error = await world.failure(0, "VM.migrate_send", *move.arguments)
        assert error == [code, move.vm]

    run(scenario)


def test_a_send_can_be_cancelled() -> None:
    async def scenario(world: World) -> None:
        move = await within(world)
        task = await world.call(0, "Async.VM.migrate_send", *move.arguments)
        await world.sleep(1.5)
        await world.call(0, "task.cancel", task)
        await world.sleep(5)
        assert move.db.get("task", task)["status"] == "cancelled"
        assert move.db.get("VM", move.vm)["resident_on"] == world.host(0)
        assert move.db.peek("VDI", move.disk)

    run(scenario)
