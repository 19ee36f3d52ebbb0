"""The records that describe one host: made on its first boot, and again when it joins a pool."""

from __future__ import annotations

import functools
import hashlib
import operator
from typing import Any

from nova_aggregates.simulator import certificates, host_operations, pool_operations
from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.datamodel import read_data
from nova_aggregates.simulator.errors import NULL_REF
from nova_aggregates.simulator.levels import TLS_VERIFICATION
from nova_aggregates.simulator.machine import Machine
from nova_aggregates.simulator.values import EPOCH, new_ref

UPGRADING = "rolling_upgrade_in_progress"
INTERNAL_NETWORK: dict[str, Any] = {
    "name_label": "Host internal management network",
    "name_description": "Network on which guests will be assigned a private link-local IP address "
    "which can be used to talk XenAPI",
    "other_config": {
        "is_guest_installer_network": "true",
        "is_host_internal_management_network": "true",
        "ip_begin": "169.254.0.1",
        "ip_end": "169.254.255.254",
        "netmask": "255.255.0.0",
    },
    "bridge": "xenapi",
}


@functools.cache
def facts() -> dict[str, Any]:
    """Version strings, CPU and licence facts of the observed hosts."""
    found: dict[str, Any] = read_data("hardware.json")
    return found


def software_version(machine: Machine) -> dict[str, str]:
    return {
        **facts()["software_version"],
        **machine.level.software,
        **machine.profile.software,
        **machine.hardware.software,
        "hostname": machine.name,
    }


def license_params(machine: Machine) -> dict[str, str]:
    known = facts()
    default = known["license_defaults"]
    params = {name: default.get(name, "false") for name in known["license_features"]}
    return {**params, **machine.hardware.restrictions}


def cpu_info(machine: Machine) -> dict[str, str]:
    kinds = ("features_hvm", "features_pv", "features_hvm_host", "features_pv_host")
    known = machine.hardware.cpu_features
    return {
        **facts()["cpu_info"],
        "vendor": machine.hardware.cpu_vendor,
        "cpu_count": str(machine.cpu_count),
        **(dict.fromkeys(kinds, known) if known else {}),
    }


def seconds(moment: float) -> str:
    """Unix seconds as xapi writes them into other_config: with a trailing point."""
    return f"{int(moment)}."


def host_fields(machine: Machine) -> Record:
    """What a host writes into its own record at each start (dbsync_slave.ml)."""
    known = facts()
    major, minor = machine.level.api
    return {
        "hostname": machine.name,
        "address": machine.address,
        "API_version_major": major,
        "API_version_minor": minor,
        "API_version_vendor": "XenSource",
        "software_version": software_version(machine),
        "cpu_info": cpu_info(machine),
        "bios_strings": dict(known["bios_strings"]),
        "capabilities": list(known["capabilities"]),
        "chipset_info": dict(known["chipset_info"]),
        "sched_policy": "credit",
        "supported_bootloaders": ["pygrub", "eliloader"],
        "virtual_hardware_platform_versions": [0, 1, 2],
        "editions": list(machine.profile.editions),
        "tls_verification_enabled": machine.disk.tls_verification,
        "last_update_hash": machine.disk.last_update_hash,
        "memory_overhead": machine.memory_total - machine.memory_free,
    }


def create_host(db: Database, machine: Machine, **values: Any) -> str:
    """A host record with its metrics. ``name_description`` is always the same (xapi_host.ml)."""
    metrics = db.create(
        "host_metrics",
        live=False,
        memory_total=0,
        memory_free=0,
        last_updated=machine.clock.stamp(),
    )
    record: Record = {
        "uuid": machine.disk.uuid,
        "name_label": machine.name,
        "name_description": "Default install",
        "hostname": machine.name,
        "address": machine.address,
        "metrics": metrics,
        "edition": machine.hardware.edition,
        "license_params": license_params(machine),
        "license_server": dict(facts()["license_server"]),
        "software_version": software_version(machine),
        "tls_verification_enabled": machine.disk.tls_verification,
        "last_update_hash": machine.disk.last_update_hash,
        "https_only": True,
        "display": "enabled",
        "latest_synced_updates_applied": "unknown",
        "numa_affinity_policy": "default_policy",
        "ssh_auto_mode": True,
        "ntp_mode": "Disabled",
        "timezone": "Etc/UTC",
        "local_cache_sr": NULL_REF,
    }
    record.update(values)
    host = db.create("host", **record)
    host_operations.refresh(db, host)
    return host


def create_control_domain(db: Database, machine: Machine, host: str) -> str:
    fixed = facts()["dom0"]
    memory = 2 << 30
    metrics = db.create(
        "VM_metrics", memory_actual=memory, VCPUs_number=2, current_domain_type="pv", hvm=False
    )
    known = {**fixed, "user_version": 1, "memory_overhead": int(fixed["memory_overhead"])}
    vm = db.create(
        "VM",
        **known,
        name_label=f"Control domain on host: {machine.name}",
        name_description="The domain which manages physical devices and manages other domains",
        power_state="Running",
        is_control_domain=True,
        resident_on=host,
        affinity=host,
        memory_target=memory,
        memory_static_max=memory,
        memory_dynamic_max=memory,
        memory_dynamic_min=memory,
        memory_static_min=memory,
        VCPUs_max=2,
        VCPUs_at_startup=2,
        domid=0,
        metrics=metrics,
        allowed_operations=["metadata_export", "changing_static_range", "changing_dynamic_range"],
    )
    for protocol in ("rfb", "vt100"):
        ref = new_ref()
        location = f"https://{machine.address}/console?ref={ref}"
        db.create("console", ref, protocol=protocol, location=location, VM=vm)
    db.set("host", host, control_domain=vm)
    return vm


def mac_of(machine: Machine, device: str) -> str:
    """A locally administered MAC address that stays with the machine's interface."""
    digest = hashlib.sha256(f"{machine.disk.uuid}/{device}".encode()).digest()
    return ":".join(f"{b:02x}" for b in (digest[0] & 0xFC | 0x02, *digest[1:6]))


def create_network_card(db: Database, machine: Machine, host: str, network: str) -> str:
    """The management interface eth0 on the pool-wide network."""
    metrics = db.create(
        "PIF_metrics",
        carrier=True,
        speed=10000,
        duplex=True,
        pci_bus_path="N/A",
        last_updated=machine.clock.stamp(),
    )
    gateway = machine.address.rsplit(".", 1)[0] + ".254"
    return db.create(
        "PIF",
        device="eth0",
        network=network,
        host=host,
        MAC=mac_of(machine, "eth0"),
        MTU=1500,
        VLAN=-1,
        metrics=metrics,
        physical=True,
        currently_attached=True,
        ip_configuration_mode="Static",
        IP=machine.address,
        netmask="255.255.255.0",
        gateway=gateway,
        DNS=gateway,
        management=True,
        properties={"gro": "on"},
        managed=True,
        igmp_snooping_status="disabled",
    )


def create_cpus(db: Database, machine: Machine, host: str) -> None:
    info = cpu_info(machine)
    for number in range(machine.cpu_count):
        db.create(
            "host_cpu",
            host=host,
            number=number,
            vendor=info["vendor"],
            speed=2600,
            modelname=info["modelname"],
            family=int(info["family"]),
            model=int(info["model"]),
            stepping=info["stepping"],
            flags=info["flags"],
        )


def create_certificates(db: Database, machine: Machine, host: str) -> None:
    """The certificate that clients see and the one that the members show each other."""
    shown = machine.certificate
    internal = hashlib.sha256(machine.disk.certificate_id.encode()).hexdigest()
    for kind, sha256, sha1 in (
        ("host", shown.sha256, shown.sha1),
        ("host_internal", internal, internal[:40]),
    ):
        db.create(
            "Certificate",
            type=kind,
            host=host,
            not_before=shown.not_before,
            not_after=shown.not_after,
            fingerprint=certificates.colons(sha256),
            fingerprint_sha256=certificates.colons(sha256),
            fingerprint_sha1=certificates.colons(sha1),
        )


def refresh_host(db: Database, machine: Machine, host: str) -> None:
    """What each start of the toolstack writes about its host (dbsync_slave.ml)."""
    db.set("host", host, **host_fields(machine))
    config = {
        k: v
        for k, v in db.get("host", host)["other_config"].items()
        if k not in ("boot_time", "agent_start_time")
    }
    config.update(
        agent_start_time=seconds(machine.clock.now() + machine.hardware.clock_skew),
        boot_time=seconds(machine.disk.boot_time + machine.hardware.clock_skew),
        **machine.profile.other_config,
    )
    db.set("host", host, other_config=config)
    metrics = db.get("host", host)["metrics"]
    db.set(
        "host_metrics",
        metrics,
        memory_total=machine.memory_total,
        last_updated=machine.clock.stamp(),
    )
    if machine.profile.memory_monitored:
        report_memory(db, host)
    if not any(True for _ in db.find("VM", is_control_domain=True, resident_on=host)):
        create_control_domain(db, machine, host)
    if not db.get("host", host)["host_CPUs"]:
        create_cpus(db, machine, host)
    if not db.get("host", host)["certificates"]:
        create_certificates(db, machine, host)
    refresh_pool_cpus(db)
    note_upgrade(db)


def note_upgrade(db: Database) -> None:
    """pool.other_config tells while the platforms of the hosts differ (xapi: helpers.ml)."""
    known = (r["software_version"].get("platform_version") for _, r in db.find("host"))
    found = {v for v in known if v}
    config = {k: v for k, v in db.pool_record["other_config"].items() if k != UPGRADING}
    if len(found) > 1:
        config[UPGRADING] = "true"
    db.set("pool", db.pool, other_config=config)


def report_memory(db: Database, host: str) -> None:
    """host_metrics.memory_free, which lags behind the guests (xapi: monitor_dbcalls.ml)."""
    record = db.get("host", host)
    metrics = db.peek("host_metrics", record["metrics"])
    if metrics is None:
        return
    taken = sum(
        int(vm["memory_static_max"]) + int(vm["memory_overhead"] or 0)
        for vm in map(functools.partial(db.get, "VM"), record["resident_VMs"])
        if not vm["is_control_domain"]
    )
    free = int(metrics["memory_total"]) - int(record["memory_overhead"]) - taken
    db.set("host_metrics", record["metrics"], memory_free=max(0, free))


def level(features: list[str]) -> str:
    """What all CPUs have. A missing word is zero."""
    rows = [[int(word, 16) for word in f.split("-")] for f in features]
    common = [functools.reduce(operator.and_, words) for words in zip(*rows, strict=False)]
    return "-".join(f"{word:08x}" for word in common)


def refresh_pool_cpus(db: Database) -> None:
    """pool.cpu_info is levelled over all members; the vendor stays the master's (observed)."""
    hosts = [r["cpu_info"] for _, r in db.find("host") if r["cpu_info"]]
    master = db.get("host", db.master)["cpu_info"]
    if not hosts or not master:
        return
    db.set(
        "pool",
        db.pool,
        cpu_info={
            **{k: level([c[k] for c in hosts]) for k in ("features_hvm_host", "features_pv_host")},
            "socket_count": str(sum(int(c["socket_count"]) for c in hosts)),
            "cpu_count": str(sum(int(c["cpu_count"]) for c in hosts)),
            "vendor": master["vendor"],
        },
    )


def create_pool(db: Database, machine: Machine) -> str:
    """The records of a host that is its own pool: a new installation, or one after an eject."""
    host = create_host(db, machine, enabled=True)
    db.create(
        "pool",
        master=host,
        other_config=dict(machine.profile.pool_other_config),
        default_SR=NULL_REF,
        suspend_image_SR=NULL_REF,
        crash_dump_SR=NULL_REF,
        restrictions=license_params(machine),
        ha_cluster_stack="xhad",
        coordinator_bias=True,
        tls_verification_enabled=machine.profile.pool_tls
        and not machine.disk.ejected
        and machine.level.since(*TLS_VERIFICATION),
        telemetry_uuid=new_ref(),
        telemetry_frequency="weekly",
        telemetry_next_collection=machine.clock.stamp(),
        update_sync_frequency="weekly",
        last_update_sync=EPOCH,
        ha_reboot_vm_on_internal_shutdown=True,
    )
    pool_operations.refresh_allowed(db)
    db.create("network", **INTERNAL_NETWORK, MTU=1500, managed=True)
    if not machine.disk.first_boot:
        create_pool_network(db, machine, host)
    return host


def create_pool_network(db: Database, machine: Machine, host: str) -> str:
    network = db.create(
        "network",
        name_label="Pool-wide network 0",
        bridge="xenbr0",
        MTU=1500,
        managed=True,
        default_locking_mode="unlocked",
    )
    return create_network_card(db, machine, host, network)
