"""What keeps a guest on its host, and what keeps it off another one.

In the order and with the codes of xapi (``ocaml/xapi/xapi_host.ml`` compute_evacuation_plan,
``ocaml/xapi/xapi_vm_lifecycle.ml``, ``ocaml/xapi/xapi_vm_helpers.ml`` assert_can_boot_here).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from nova_aggregates.xenapi import catalogue
from nova_aggregates.xenapi.evacuation.facts import GuestFacts, HostFacts, PoolFacts

MOVING = frozenset({"pool_migrate"})  # an operation that ends by itself and is no reason to wait
_DEVICES = (
    ("pci", "VM_HAS_PCI_ATTACHED"),
    ("vgpu", "VM_HAS_VGPU"),
    ("usb", "VM_HAS_VUSBS"),
    ("sriov", "VM_HAS_SRIOV_VIF"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Reason:
    """One reason in the words of XenServer; the parameters are names already."""

    code: str
    params: tuple[str, ...] = ()
    host: str = ""  # the other host that it is about; empty: the guest itself

    @property
    def words(self) -> catalogue.Explanation:
        return catalogue.explain(self.code, self.params)


def named(guest: GuestFacts) -> str:
    return f"guest {guest.name or guest.uuid}"


def of_guest(guest: GuestFacts, pool: PoolFacts) -> Iterator[Reason]:
    """Whatever the other hosts are like."""
    name = named(guest)
    if guest.power_state != "Running":
        yield Reason("VM_BAD_POWER_STATE", (name, "running", guest.power_state.lower()))
    if guest.blocked is not None:
        yield Reason("OPERATION_BLOCKED", (name, guest.blocked))
    others = [each for each in guest.operations if each not in MOVING]
    if others:
        yield Reason("OTHER_OPERATION_IN_PROGRESS", ("VM", name, others[0]))
    for device, code in _DEVICES:
        if device in guest.devices:
            yield Reason(code, (name,))
    if guest.immobile:
        yield Reason("VM_IS_IMMOBILE", (name,))
    if pool.ha_enabled and not guest.protected:
        yield Reason("HOST_EVACUATE_VM_NOT_HA_PROTECTED", (name,))


def of_host(host: HostFacts, source: HostFacts | None) -> Reason | None:
    """Why a host takes no guest at all; the first reason."""
    if not host.live:
        return Reason("HOST_NOT_LIVE", (), host.name)
    if not host.enabled:
        return Reason("HOST_DISABLED", (f"host {host.name}",), host.name)
    if host.busy:
        return Reason("HOST_EVACUATE_IN_PROGRESS", (f"host {host.name}",), host.name)
    if source is not None and host.version < source.version:
        return Reason("NOT_SUPPORTED_DURING_UPGRADE", (), host.name)
    return None


def of_pair(guest: GuestFacts, host: HostFacts, pool: PoolFacts) -> Iterator[Reason]:
    """Why this guest cannot run on this host, room apart."""
    name, where = named(guest), f"host {host.name}"
    if unlike := _cpu(guest, host):
        yield Reason("VM_INCOMPATIBLE_WITH_THIS_HOST", (name, where, unlike), host.name)
    if host.hardware_versions and guest.hardware_version not in host.hardware_versions:
        offered = ", ".join(map(str, sorted(host.hardware_versions)))
        yield Reason(
            "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION",
            (where, offered, name, str(guest.hardware_version)),
            host.name,
        )
    for sr in sorted(guest.storage - host.storage):
        yield Reason("VM_REQUIRES_SR", (name, pool.storage_names.get(sr, sr)), host.name)
    for network in sorted(guest.networks & pool.network_names.keys()):
        title = pool.network_names[network]
        if network not in host.networks:
            yield Reason("VM_REQUIRES_NETWORK", (name, title), host.name)
        elif network not in host.networks_up:
            yield Reason("HOST_CANNOT_ATTACH_NETWORK", (where, title), host.name)
    if guest.vcpus > host.cpus:
        yield Reason("HOST_NOT_ENOUGH_PCPUS", (str(guest.vcpus), str(host.cpus)), host.name)


def _cpu(guest: GuestFacts, host: HostFacts) -> str:
    """What differs; the guest keeps the features that it was started with."""
    if guest.cpu_vendor and host.cpu_vendor and guest.cpu_vendor != host.cpu_vendor:
        return f"its CPU is from {host.cpu_vendor}, not {guest.cpu_vendor}"
    offered = host.features_hvm if guest.hvm else host.features_pv
    if not (guest.cpu_features and offered):
        return ""
    if covers(offered, guest.cpu_features):
        return ""
    return "its CPU lacks features that the guest was started with"


def covers(offered: str, wanted: str) -> bool:
    """Whether every bit of the one is in the other; both are words such as ``1789cbf5-f7fa3223``,
    and missing words are zeros (xapi ``ocaml/xapi/cpuid_helpers.ml``)."""
    try:
        has = [int(word, 16) for word in offered.split("-")]
        needs = [int(word, 16) for word in wanted.split("-")]
    except ValueError:
        return True  # nobody can tell; the toolstack will
    has += [0] * (len(needs) - len(has))
    return all(need & ~have == 0 for need, have in zip(needs, has, strict=False))
