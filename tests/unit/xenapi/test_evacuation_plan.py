"""Every blocker with the guest's name, a cause and a cure; the load after; what a pool can lose."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from nova_aggregates.xenapi.evacuation.facts import GuestFacts, HostFacts, PoolFacts
from nova_aggregates.xenapi.evacuation.plan import Settings, headroom, plan
from nova_aggregates.xenapi.evacuation.rules import Reason, covers
from nova_aggregates.xenapi.types import Severity

GIB = 2**30


def host(name: str, **changes: Any) -> HostFacts:
    values: dict[str, Any] = {
        "memory": 64 * GIB,
        "memory_free": 32 * GIB,
        "cpus": 8,
        "hardware_versions": frozenset({0, 1, 2}),
        "version": (3, 4, 0),
        "cpu_vendor": "GenuineIntel",
        "features_hvm": "ffffffff-0000ffff",
        "storage": frozenset({"nfs"}),
        "networks": frozenset({"lan"}),
        "networks_up": frozenset({"lan"}),
        "networks_with_address": frozenset({"lan"}),
    }
    return HostFacts(ref=f"ref-{name}", uuid=name, name=name, **{**values, **changes})


def guest(name: str, on: str = "h1", **changes: Any) -> GuestFacts:
    values: dict[str, Any] = {
        "power_state": "Running",
        "memory": 4 * GIB,
        "hardware_version": 2,
        "cpu_vendor": "GenuineIntel",
        "cpu_features": "0000000f-00000001",
        "storage": frozenset({"nfs"}),
        "networks": frozenset({"lan"}),
    }
    return GuestFacts(ref=f"ref-{name}", uuid=name, name=name, host=on, **{**values, **changes})


def pool(hosts: list[HostFacts], *guests: GuestFacts, **changes: Any) -> PoolFacts:
    names = {"lan": "Backbone", "storage": "Storage net"}
    storage = {"nfs": "Shared NFS", "local": "Local storage"}
    return PoolFacts(tuple(hosts), guests, storage_names=storage, network_names=names, **changes)


OWN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "VM_BAD_POWER_STATE": ({"power_state": "Paused"}, {}),
    "OPERATION_BLOCKED": ({"blocked": "ask the owner"}, {}),
    "OTHER_OPERATION_IN_PROGRESS": ({"operations": ("snapshot",)}, {}),
    "VM_HAS_PCI_ATTACHED": ({"devices": frozenset({"pci"})}, {}),
    "VM_HAS_VGPU": ({"devices": frozenset({"vgpu"})}, {}),
    "VM_HAS_VUSBS": ({"devices": frozenset({"usb"})}, {}),
    "VM_HAS_SRIOV_VIF": ({"devices": frozenset({"sriov"})}, {}),
    "VM_IS_IMMOBILE": ({"immobile": True}, {}),
    "HOST_EVACUATE_VM_NOT_HA_PROTECTED": ({}, {"ha_enabled": True}),
}
OTHER_HOST: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "NO_HOSTS_AVAILABLE": ({}, {}),
    "HOST_NOT_ENOUGH_FREE_MEMORY": ({"memory": 40 * GIB}, {}),
    "HOST_NOT_ENOUGH_PCPUS": ({"vcpus": 16}, {}),
    "VM_REQUIRES_SR": ({"storage": frozenset({"local"})}, {}),
    "VM_REQUIRES_NETWORK": ({"networks": frozenset({"storage"})}, {}),
    "HOST_CANNOT_ATTACH_NETWORK": ({}, {"networks_up": frozenset()}),
    "VM_INCOMPATIBLE_WITH_THIS_HOST": ({}, {"features_hvm": "00000000-0000ffff"}),
    "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION": ({"hardware_version": 9}, {}),
    "HOST_DISABLED": ({}, {"enabled": False}),
    "HOST_NOT_LIVE": ({}, {"live": False}),
    "HOST_EVACUATE_IN_PROGRESS": ({}, {"busy": True}),
    "NOT_SUPPORTED_DURING_UPGRADE": ({}, {"version": (3, 3, 9)}),
}


def require_told(found: PoolFacts, code: str) -> None:
    made = plan(found, {"h1"})
    assert not made.moves
    (blocker,) = made.blockers
    finding = blocker.finding
    assert finding.code == code
    assert finding.severity is Severity.BLOCKING
    assert "web1" in finding.message
    assert finding.ours == "web1"
    assert finding.cure
    # Cause: the catalogue's, beside the fact itself.
    assert blocker.reasons[0].words.cause
    assert blocker.reasons[0].words.cause in finding.message


@pytest.mark.parametrize("code", OWN)
def test_what_keeps_a_guest_here(code: str) -> None:
    of_guest, of_pool = OWN[code]
    require_told(pool([host("h1"), host("h2")], guest("web1", **of_guest), **of_pool), code)


@pytest.mark.parametrize("code", OTHER_HOST)
def test_what_keeps_a_guest_off_the_others(code: str) -> None:
    of_guest, of_host = OTHER_HOST[code]
    others = [] if code == "NO_HOSTS_AVAILABLE" else [host("h2", **of_host)]
    require_told(pool([host("h1"), *others], guest("web1", **of_guest)), code)


def test_one_able_host_is_enough() -> None:
    hosts = [host("h1"), host("h2", enabled=False), host("h3", storage=frozenset()), host("h4")]
    made = plan(pool(hosts, guest("web1")), {"h1"})
    assert [(move.name, move.destination) for move in made.moves] == [("web1", "h4")]
    assert not made.blockers


def test_all_blockers_are_told_at_once_and_what_moves_is_still_planned() -> None:
    found = pool(
        [host("h1"), host("h2")],
        guest("web1"),
        guest("gpu1", devices=frozenset({"vgpu"})),
        guest("local1", storage=frozenset({"local"})),
    )
    made = plan(found, {"h1"})
    assert {blocker.name for blocker in made.blockers} == {"gpu1", "local1"}
    assert [move.name for move in made.moves] == ["web1"]


def test_a_host_that_is_full_for_all_of_them_together() -> None:
    hosts = [host("h1"), host("h2", memory_free=10 * GIB)]
    guests = [guest(f"web{n}") for n in range(3)]
    made = plan(pool(hosts, *guests), {"h1"})
    assert len(made.moves) == 2
    (blocker,) = made.blockers
    assert blocker.finding.code == "HOST_NOT_ENOUGH_FREE_MEMORY"
    assert "4.0 GiB" in blocker.finding.message


def test_the_load_after() -> None:
    hosts = [host("h1"), host("h2"), host("h3", memory_free=8 * GIB)]
    made = plan(pool(hosts, guest("web1"), guest("db1", on="h2")), {"h1"})
    after = {each.name: each for each in made.load}
    assert (after["h1"].guests, after["h1"].memory_free) == (0, 36 * GIB)
    assert (after["h2"].guests, after["h2"].vcpus, after["h2"].memory_free) == (2, 2, 28 * GIB)


def test_the_estimate_knows_bandwidth_and_concurrency() -> None:
    guests = [guest(f"web{n}") for n in range(6)]
    found = pool([host("h1"), host("h2")], *guests)
    slow = plan(found, {"h1"}, Settings(concurrency=1, bandwidth=GIB))
    fast = plan(found, {"h1"}, Settings(concurrency=3, bandwidth=2 * GIB))
    assert slow.seconds == pytest.approx(24 + 6 * 3)
    assert fast.seconds == pytest.approx(12 + 2 * 3)


def test_a_network_that_a_host_has_no_address_on() -> None:
    hosts = [host("h1"), host("h2", networks_with_address=frozenset())]
    made = plan(pool(hosts, guest("web1")), {"h1"}, Settings(network="Backbone"))
    assert [(f.code, f.ours) for f in made.findings] == [("PIF_NOT_PRESENT", "h2")]
    unknown = plan(pool(hosts, guest("web1")), {"h1"}, Settings(network="nonsense"))
    assert {f.ours for f in unknown.findings} == {"h1", "h2"}


def test_a_host_that_a_guest_was_refused_at_is_not_asked_again() -> None:
    refused = {"web1": {"h2": Reason("HOST_NOT_ENOUGH_FREE_MEMORY", ("a", "b"), "h2")}}
    hosts = [host("h1"), host("h2"), host("h3", memory_free=8 * GIB)]
    made = plan(pool(hosts, guest("web1")), {"h1"}, Settings(refused=refused))
    assert made.destination("web1") == "h3"


def test_affinity() -> None:
    hosts = [host("h1"), host("h2"), host("h3", memory_free=8 * GIB)]
    made = plan(pool(hosts, guest("web1", affinity="h3")), {"h1"})
    assert made.destination("web1") == "h3"


def test_who_is_on_the_way_elsewhere_is_no_blocker() -> None:
    leaving = guest("web1", heading="h2", operations=("pool_migrate",))
    made = plan(pool([host("h1"), host("h2")], leaving), {"h1"})
    assert (made.moves, made.blockers) == ((), ())


@pytest.mark.parametrize(
    ("offered", "wanted", "covered"),
    [
        ("ff-ff", "0f-f0", True),
        ("0f", "10", False),
        ("ff", "ff-00", True),
        ("ff", "ff-01", False),
        ("nonsense", "ff", True),
    ],
)
def test_features(offered: str, wanted: str, covered: bool) -> None:
    assert covers(offered, wanted) is covered


def test_headroom() -> None:
    hosts = [host(name, memory_free=24 * GIB) for name in ("h1", "h2", "h3")]
    guests = [guest(f"{h.name}-{n}", on=h.name) for h in hosts for n in range(4)]
    found = headroom(pool(hosts, *guests))
    # 16 GiB a host: one host's guests fit on the two others, two hosts' 32 GiB do not on the last.
    assert found.hosts == 1
    assert found.guest
    assert len(found.lost) == 2
    roomy = [dataclasses.replace(each, memory_free=48 * GIB) for each in hosts]
    assert headroom(pool(roomy, *guests)).hosts == 2


def test_headroom_names_the_guest_that_is_bound_to_its_host() -> None:
    hosts = [host("h1"), host("h2")]
    found = headroom(pool(hosts, guest("gpu1", devices=frozenset({"vgpu"}))))
    assert (found.hosts, found.guest, found.lost) == (0, "gpu1", ("h1",))
    local = headroom(pool(hosts, guest("local1", storage=frozenset({"local"}))))
    assert (local.hosts, local.guest) == (0, "local1")
    assert "Local storage" in local.reason


def test_headroom_of_a_large_pool() -> None:
    hosts = [host(f"h{n}", memory_free=20 * GIB) for n in range(24)]
    guests = [guest(f"g{h.name}-{n}", on=h.name) for h in hosts for n in range(10)]
    found = headroom(pool(hosts, *guests))
    assert 0 < found.hosts < 12
