"""A site's file from what its hosts answer: simulated ones, or real ones over XenAPI.

Secrets are left out: passwords, keys, tokens, and whatever the name of an entry calls so. What
has no field in a site file is not exported: bonds, IP addresses, templates, snapshots, users.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nova_aggregates.simulator.levels import LEVELS, NEWEST, Level
from nova_aggregates.simulator.records import facts
from nova_aggregates.simulator.spec import (
    DiskSpec,
    GuestSpec,
    HostSpec,
    NetworkSpec,
    PoolSpec,
    StorageSpec,
)

CLASSES = (
    "pool", "host", "host_metrics", "SR", "PBD", "network", "PIF", "VM", "VM_metrics",
    "VM_guest_metrics", "VBD", "VDI", "VIF",
)  # fmt: skip
SECRET = re.compile(r"pass|secret|token|key|credential|auth|cookie|chap|license", re.IGNORECASE)
MANAGED = re.compile(
    r"boot_time|agent_start_time|mac_seed|memory-ratio|no_local_storage|rpm_patch|iscsi_iqn|"
    r"MAINTENANCE_MODE|rolling_upgrade|auto_poweron|ha_|cpuid_feature_mask|is_guest_installer"
)
SOFTWARE = (
    "product_version", "product_version_text", "product_version_text_short", "product_brand",
    "platform_name", "platform_version", "xapi", "xapi_build", "build_number", "git_id", "linux",
    "network_backend", "db_schema", "dbv",
)  # fmt: skip
DEVICE = ("server", "serverpath", "nfsversion", "location", "target", "targetIQN", "SCSIid",
          "device", "multihomelist", "type", "LUNid")  # fmt: skip
Table = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Source:
    """One pool's records by class. ``zone`` is that of all its hosts, unless ``zones`` differs.

    ``dom0_apart``: a real host's memory_overhead does not have its control domain in it.
    """

    tables: Mapping[str, Table]
    zone: str = "nova"
    zones: Mapping[str, str] = field(default_factory=dict)  # by host uuid
    addresses: bool = False  # the hosts' addresses can be used again
    dom0_apart: bool = True

    def name(self, host: str) -> str:
        record = self.tables["host"].get(host)
        return str(record["hostname"] or record["name_label"]) if record is not None else ""

    @property
    def pool(self) -> Mapping[str, Any]:
        return next(iter(self.tables["pool"].values()))


def harmless(config: Mapping[str, str]) -> dict[str, str]:
    """Entries that are neither secret nor the toolstack's own, in the order of their names."""
    kept = {k: v for k, v in config.items() if not SECRET.search(k) and not MANAGED.search(k)}
    return dict(sorted(kept.items()))


def pool_of(source: Source) -> PoolSpec:
    record, tables = source.pool, source.tables
    names = sorted(source.name(h) for h in tables["host"])
    shared = (
        (ref, sr) for ref, sr in tables["SR"].items() if sr["shared"] and not sr["is_tools_sr"]
    )
    return PoolSpec(
        master=source.name(record["master"]),
        hosts=tuple(names),
        name=record["name_label"],
        uuid=record["uuid"],
        description=record["name_description"],
        tags=tuple(sorted(record["tags"])),
        other_config=harmless(record["other_config"]),
        networks=tuple(sorted(_networks(source), key=lambda n: (n.name, n.uuid))),
        storage=tuple(
            sorted((_storage(source, r, sr) for r, sr in shared), key=lambda s: (s.name, s.uuid))
        ),
        ha=bool(record["ha_enabled"]),
        ha_failures=int(record["ha_host_failures_to_tolerate"]) if record["ha_enabled"] else 0,
    )


def _networks(source: Source) -> Iterable[NetworkSpec]:
    """Those that hosts have an interface on."""
    tables = source.tables
    for ref, record in tables["network"].items():
        pifs = [p for p in tables["PIF"].values() if p["network"] == ref]
        if not pifs or record["other_config"].get("is_host_internal_management_network"):
            continue
        there = sorted({source.name(p["host"]) for p in pifs} - {""})
        everywhere = len(there) == len(tables["host"])
        yield NetworkSpec(
            name=record["name_label"],
            uuid=record["uuid"],
            bridge=record["bridge"],
            device=pifs[0]["device"],
            vlan=int(pifs[0]["VLAN"]),
            mtu=int(record["MTU"]),
            management=any(p["management"] for p in pifs),
            hosts=() if everywhere else tuple(there),
        )


def _storage(source: Source, ref: str, record: Mapping[str, Any]) -> StorageSpec:
    pbds = [p for p in source.tables["PBD"].values() if p["SR"] == ref]
    config = pbds[0]["device_config"] if pbds else {}
    attached = {p["host"] for p in pbds if p["currently_attached"]}
    missing = [h for h in source.tables["host"] if h not in attached] if record["shared"] else []
    return StorageSpec(
        name=record["name_label"],
        uuid=record["uuid"],
        type=record["type"],
        content=record["content_type"],
        size=max(0, int(record["physical_size"])),
        used=max(0, int(record["physical_utilisation"])),
        device_config={k: v for k, v in sorted(config.items()) if k in DEVICE},
        unplugged=tuple(sorted(source.name(h) for h in missing)),
    )


def hosts_of(source: Source) -> list[HostSpec]:
    found = [_host(source, ref, h) for ref, h in source.tables["host"].items()]
    return sorted(found, key=lambda h: h.name)


def _host(source: Source, ref: str, record: Mapping[str, Any]) -> HostSpec:
    metrics = source.tables["host_metrics"].get(record["metrics"], {})
    level = _level(record["software_version"])
    cpu = record["cpu_info"]
    features = str(cpu.get("features_hvm_host", ""))
    usual = facts()["cpu_info"]["features_hvm_host"]
    local = [
        (sr, source.tables["SR"][sr])
        for sr in (source.tables["PBD"][p]["SR"] for p in record["PBDs"])
        if sr in source.tables["SR"]
    ]
    return HostSpec(
        name=source.name(ref),
        uuid=record["uuid"],
        zone=source.zones.get(record["uuid"], source.zone),
        address=record["address"] if source.addresses else "",
        description=record["name_description"],
        memory=int(metrics.get("memory_total", 0)) or HostSpec("").memory,
        memory_reserved=_reserved(source, record),
        cpus=int(cpu.get("cpu_count", 1)),
        cpu_vendor=str(cpu.get("vendor", "")) or "GenuineIntel",
        cpu_features="" if features == usual else features,
        xapi=level.name,
        edition=record["edition"],
        software=_software(record["software_version"], level),
        enabled=bool(record["enabled"]),
        power_on_mode=record["power_on_mode"],
        tags=tuple(sorted(record["tags"])),
        other_config=harmless(record["other_config"]),
        storage=tuple(
            _storage(source, sr, r)
            for sr, r in sorted(local, key=lambda s: (s[1]["name_label"], s[1]["uuid"]))
            if not r["shared"] and r["content_type"] == "user"
        ),
    )


def _reserved(source: Source, record: Mapping[str, Any]) -> int:
    own = source.tables["VM"].get(record.get("control_domain", ""))
    apart = int(own["memory_static_max"]) if own is not None and source.dom0_apart else 0
    return int(record["memory_overhead"]) + apart


def _level(software: Mapping[str, str]) -> Level:
    """The newest that is not newer than the host."""
    text = software.get("xapi_build") or software.get("xapi", "")
    build = tuple(int(n) for n in re.findall(r"\d+", text)[:3])
    older = [level for level in LEVELS.values() if level.xapi <= build]
    return max(older, key=lambda level: level.xapi) if older else LEVELS[NEWEST]


def _software(software: Mapping[str, str], level: Level) -> dict[str, str]:
    usual = {**facts()["software_version"], **level.software}
    return {k: software[k] for k in SOFTWARE if k in software and software[k] != usual.get(k)}


def guests_of(source: Source) -> list[GuestSpec]:
    kept = (
        (ref, vm)
        for ref, vm in source.tables["VM"].items()
        if not (vm["is_a_template"] or vm["is_control_domain"] or vm["is_a_snapshot"])
    )
    found = [_guest(source, ref, vm) for ref, vm in kept]
    return sorted(found, key=lambda g: (g.name, g.uuid))


def _guest(source: Source, ref: str, vm: Mapping[str, Any]) -> GuestSpec:
    tables = source.tables
    home = vm["resident_on"] if vm["resident_on"] in tables["host"] else source.pool["master"]
    vifs = sorted((tables["VIF"][v] for v in vm["VIFs"]), key=lambda v: int(v["device"]))
    memory, least = int(vm["memory_static_max"]), int(vm["memory_dynamic_min"])
    spec = GuestSpec(
        name=vm["name_label"],
        host=source.name(home),
        uuid=vm["uuid"],
        state=vm["power_state"],
        memory=memory,
        memory_min=least if least != memory else 0,
        vcpus=int(vm["VCPUs_max"]),
        disks=tuple(_disks(source, vm, home)),
        networks=tuple(_named(tables["network"], v["network"]) for v in vifs),
        ha=vm["ha_restart_priority"],
        tags=tuple(sorted(vm["tags"])),
        blocked=dict(sorted(vm["blocked_operations"].items())),
        blockers=tuple(_blockers(source, vm)),
        other_config={k: v for k, v in harmless(vm["other_config"]).items() if k != "pci"},
    )
    return replace(spec, cpu_features=_booted_with(source, vm, home))


def _booted_with(source: Source, vm: Mapping[str, Any], home: str) -> str:
    """The features that it was started with, if its host has others."""
    had = str(vm["last_boot_CPU_flags"].get("features", ""))
    running = vm["power_state"] in ("Running", "Paused")
    return (
        had
        if running and had != source.tables["host"][home]["cpu_info"].get("features_hvm")
        else ""
    )


def _disks(source: Source, vm: Mapping[str, Any], home: str) -> Iterable[DiskSpec]:
    tables = source.tables
    vbds = sorted((tables["VBD"][v] for v in vm["VBDs"]), key=lambda v: str(v["userdevice"]))
    for number, vbd in enumerate(vbds):
        vdi = tables["VDI"].get(vbd["VDI"])
        if vdi is None or vbd["empty"] or vbd["type"] == "CD":
            continue
        usual = f"{vm['name_label']} disk {number}"
        name = vdi["name_label"]
        yield DiskSpec(
            storage=_where(source, vdi["SR"], home),
            size=int(vdi["virtual_size"]),
            name="" if name == usual else name,
        )


def _where(source: Source, sr: str, home: str) -> str:
    """``local`` for the only repository of its kind at the guest's host."""
    record, tables = source.tables["SR"][sr], source.tables
    if not record["shared"]:
        here = [tables["PBD"][p]["SR"] for p in tables["host"][home]["PBDs"]]
        own = [
            s
            for s in here
            if not tables["SR"][s]["shared"] and tables["SR"][s]["content_type"] == "user"
        ]
        if own == [sr]:
            return "local"
    return _named(tables["SR"], sr)


def _named(table: Table, ref: str) -> str:
    """The name, if no other record has it; the uuid otherwise."""
    record = table[ref]
    name = str(record["name_label"])
    same = sum(1 for other in table.values() if other["name_label"] == name)
    return name if same == 1 and name not in ("local", "shared", "") else str(record["uuid"])


def _blockers(source: Source, vm: Mapping[str, Any]) -> Iterable[str]:
    for name, devices in (("pci", "attached_PCIs"), ("vgpu", "VGPUs"), ("vusb", "VUSBs")):
        if vm[devices]:
            yield name
    metrics = source.tables["VM_metrics"].get(vm["metrics"], {})
    tools = source.tables["VM_guest_metrics"].get(vm["guest_metrics"], {})
    helped = tools.get("PV_drivers_version") or "feature-suspend" in tools.get("other", {})
    hvm = metrics.get("current_domain_type", "hvm") in ("hvm", "unspecified")
    if vm["power_state"] == "Running" and hvm and not helped:
        yield "no-tools"
    if metrics.get("nomigrate"):
        yield "nomigrate"
