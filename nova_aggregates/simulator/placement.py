"""Which hosts a guest can run on, and how much memory they have to spare (xapi_vm_helpers.ml)."""

from __future__ import annotations

from collections.abc import Iterator

from nova_aggregates.simulator.calls import Call
from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.site import Site

OVERHEAD_SHARE = 128  # one 128th of the memory for shadow pages, beside a fixed part
OTHER_VENDOR = "VM last booted on a host which had a CPU from a different vendor."
LESS_FEATURES = "VM last booted on a CPU with features this host's CPU does not have."


def version(db: Database, host: str) -> tuple[int, ...]:
    """The platform version, as numbers."""
    text = db.get("host", host)["software_version"].get("platform_version", "")
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def upgrading(db: Database) -> bool:
    return "rolling_upgrade_in_progress" in db.pool_record["other_config"]


def assert_newest(db: Database, host: str) -> None:
    """While hosts are upgraded one by one, guests start on the newest only.

    Raises NOT_SUPPORTED_DURING_UPGRADE.
    """
    if upgrading(db) and version(db, host) < max(version(db, h) for h in db.tables["host"]):
        raise ApiError("NOT_SUPPORTED_DURING_UPGRADE")


def residents(db: Database, host: str) -> list[str]:
    """Guests on the host, without its control domain."""
    found = db.get("host", host)["resident_VMs"]
    return [v for v in found if not db.get("VM", v)["is_control_domain"]]


def needed(vm: Record) -> int:
    """Bytes a guest takes on a host: what it may be ballooned down to, and the overhead."""
    memory = int(vm["memory_dynamic_min"] or vm["memory_static_max"])
    return memory + int(vm["memory_overhead"] or 0)


def overhead(memory: int) -> int:
    return (memory // OVERHEAD_SHARE) + (4 << 20)


def free_memory(site: Site, db: Database, host: str) -> int:
    """Bytes for guests that are neither there nor on their way there."""
    machine = site.by_uuid(db.get("host", host)["uuid"])
    total = machine.memory_free if machine is not None else site.profile.memory_free
    used = sum(needed(db.get("VM", v)) for v in residents(db, host))
    coming = (
        needed(vm)
        for _, vm in db.find("VM", scheduled_to_be_resident_on=host)
        if vm["resident_on"] != host
    )
    return max(0, total - used - sum(coming))


def assert_live(db: Database, host: str) -> None:
    metrics = db.peek("host_metrics", db.get("host", host)["metrics"])
    if metrics is None or not metrics["live"]:
        raise ApiError("HOST_NOT_LIVE")


def assert_can_boot_here(
    site: Site,
    db: Database,
    vm: str,
    host: str,
    *,
    memory: bool = True,
    cpu: bool = True,
    storage: bool = True,
) -> None:
    """assert_can_boot_here of xapi, in its order."""
    record, target = db.get("VM", vm), db.get("host", host)
    assert_live(db, host)
    if not target["enabled"] and record["resident_on"] != host:
        raise ApiError("HOST_DISABLED", host)
    assert_hardware(vm, record, host, target)
    if cpu:
        assert_cpu(db, vm, host)
    if storage:
        assert_storage(db, vm, host)
    assert_networks(db, vm, host)
    assert_devices(db, vm, host)
    if record["domain_type"] == "hvm" and not any(c[:3] == "hvm" for c in target["capabilities"]):
        raise ApiError("VM_HVM_REQUIRED", vm)
    if memory and record["resident_on"] != host:
        assert_room(site, record, db, host)
    assert_pcpus(record, target)


def assert_room(site: Site, vm: Record, db: Database, host: str) -> None:
    """Of a guest that may be another pool's. Raises HOST_NOT_ENOUGH_FREE_MEMORY."""
    wanted, available = needed(vm), free_memory(site, db, host)
    if wanted > available:
        raise ApiError("HOST_NOT_ENOUGH_FREE_MEMORY", str(wanted), str(available))


def assert_pcpus(vm: Record, host: Record) -> None:
    offered = int(host["cpu_info"].get("cpu_count", "1"))
    unrestricted = vm["platform"].get("vcpu-unrestricted") in ("true", "1")
    if int(vm["VCPUs_max"]) > offered and not unrestricted:
        raise ApiError("HOST_NOT_ENOUGH_PCPUS", str(vm["VCPUs_max"]), str(offered))


def assert_hardware(vm: str, record: Record, host: str, target: Record) -> None:
    wanted = int(record["hardware_platform_version"])
    offered = [int(v) for v in target["virtual_hardware_platform_versions"]]
    if wanted not in offered:
        raise ApiError(
            "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION",
            host,
            f"[{'; '.join(map(str, offered))}]",
            vm,
            str(wanted),
        )


def assert_cpu(db: Database, vm: str, host: str) -> None:
    """A guest that was started must find the CPU that it was started with, or a better one."""
    record, info = db.get("VM", vm), db.get("host", host)["cpu_info"]
    booted = record["last_boot_CPU_flags"]
    if record["power_state"] == "Halted" or not booted:
        return
    if booted.get("vendor", info.get("vendor")) != info.get("vendor"):
        raise ApiError("VM_INCOMPATIBLE_WITH_THIS_HOST", vm, host, OTHER_VENDOR)
    kind = "features_hvm_host" if record["domain_type"] == "hvm" else "features_pv_host"
    had, offered = booted.get("features", ""), info.get(kind, "")
    if had and offered and not includes(offered, had):
        raise ApiError("VM_INCOMPATIBLE_WITH_THIS_HOST", vm, host, LESS_FEATURES)


def words(features: str) -> Iterator[int]:
    return (int(word, 16) for word in features.split("-"))


def includes(offered: str, wanted: str) -> bool:
    """Has a CPU with these features all of those? A missing word is zero."""
    there = list(words(offered))
    for position, want in enumerate(words(wanted)):
        if want & ~(there[position] if position < len(there) else 0):
            return False
    return True


def assert_storage(db: Database, vm: str, host: str) -> None:
    """Every disk's repository must be attached at the host."""
    pbds = map(db.tables["PBD"].__getitem__, db.get("host", host)["PBDs"])
    attached = {p["SR"] for p in pbds if p["currently_attached"]}
    for vbd in db.get("VM", vm)["VBDs"]:
        disk = db.get("VBD", vbd)
        vdi = db.peek("VDI", disk["VDI"])
        if vdi is not None and not disk["empty"] and vdi["SR"] not in attached:
            raise ApiError("VM_REQUIRES_SR", vm, vdi["SR"])


def assert_networks(db: Database, vm: str, host: str) -> None:
    for vif in db.get("VM", vm)["VIFs"]:
        network = db.get("VIF", vif)["network"]
        record = db.peek("network", network)
        if record is None or not record["PIFs"]:
            continue  # an internal network is everywhere
        here = [p for p in record["PIFs"] if db.get("PIF", p)["host"] == host]
        if not here:
            raise ApiError("VM_REQUIRES_NETWORK", vm, network)
        if not any(db.get("PIF", p)["currently_attached"] for p in here):
            raise ApiError("HOST_CANNOT_ATTACH_NETWORK", host, network)


def assert_devices(db: Database, vm: str, host: str) -> None:
    record = db.get("VM", vm)
    for vgpu in record["VGPUs"]:
        group = db.get("VGPU", vgpu)["GPU_group"]
        if db.first("PGPU", host=host, GPU_group=group) is None:
            raise ApiError("VM_REQUIRES_GPU", vm, group)
    for vusb in record["VUSBs"]:
        group = db.get("VUSB", vusb)["USB_group"]
        if db.first("PUSB", host=host, USB_group=group) is None:
            text = f"VUSB {vusb} is not available on Host {host}"
            raise ApiError("OPERATION_NOT_ALLOWED", text)


def possible_hosts(call: Call, vm: str) -> list[str]:
    site, db, found = call.machine.site, call.db, []
    for host in db.tables["host"]:
        try:
            assert_can_boot_here(site, db, vm, host)
            assert_newest(db, host)
        except ApiError:
            continue
        found.append(host)
    return found


def place(call: Call, vm: str) -> str:
    """The host for VM.start: where it can run, with most memory to spare.

    Raises NO_HOSTS_AVAILABLE.
    """
    db = call.db
    candidates = [
        h
        for h in possible_hosts(call, vm)
        if "evacuate" not in db.get("host", h)["current_operations"].values()
    ]
    if not candidates:
        raise ApiError("NO_HOSTS_AVAILABLE")
    affinity = db.get("VM", vm)["affinity"]
    if affinity in candidates:
        return str(affinity)
    return max(candidates, key=lambda h: free_memory(call.machine.site, db, h))
