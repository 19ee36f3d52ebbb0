"""A site as its file says: machines, pools that exist already, what is on them."""

from __future__ import annotations

from collections.abc import Iterable

from nova_aggregates.simulator import (
    furnishing,
    guests,
    ha_operations,
    join,
    join_import,
    lifecycle,
    plugins,
    pool_operations,
    records,
    storage,
    vm_lifecycle,
)
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF
from nova_aggregates.simulator.machine import Hardware, Machine, Phase, Process
from nova_aggregates.simulator.site import Site
from nova_aggregates.simulator.spec import (
    GuestSpec,
    HostSpec,
    NetworkSpec,
    PoolSpec,
    SiteSpec,
    StorageSpec,
)
from nova_aggregates.simulator.updates import Update


def hardware_of(spec: HostSpec) -> Hardware:
    return Hardware(
        level=spec.xapi,
        edition=spec.edition,
        cpu_vendor=spec.cpu_vendor,
        cpu_count=spec.cpus,
        cpu_features=spec.cpu_features,
        memory_total=spec.memory,
        memory_reserved=spec.memory_reserved,
        software=dict(spec.software),
        clock_skew=spec.clock_skew,
    )


def furnish(site: Site, spec: SiteSpec) -> None:
    """Every host runs as a master of its own when this begins.

    Raises LookupError when guests name storage or networks that are not there.
    """
    machines = {m.name: m for m in site.machines}
    site.updates = [Update(**vars(u)) for u in spec.updates]
    for host in spec.hosts:
        _furnish_host(machines[host.name], host)
    for pool in spec.pools:
        _make_pool(machines, pool)
    for guest in spec.guests:
        _add_guest(machines[guest.host], guest)
    for host in spec.hosts:
        if not host.enabled:
            _disable(machines[host.name])
    for pool in spec.pools:
        _settle(machines, pool)


def _furnish_host(machine: Machine, spec: HostSpec) -> None:
    db = furnishing.own_database(machine)
    host = db.get("host", db.master)
    db.set(
        "host",
        db.master,
        name_description=spec.description,
        tags=list(spec.tags),
        power_on_mode=spec.power_on_mode,
        other_config={**host["other_config"], **spec.other_config},
    )
    machine.disk.installed = spec.updates
    if spec.updater:
        plugins.add_updater(machine)
    plugins.give(machine, spec.plugins)
    if spec.storage:
        for sr, record in db.find("SR", content_type="user", shared=False):
            del record
            storage.forget_sr(db, sr)
        for each in spec.storage:
            sr = _create_storage(db, each, shared=False)
            storage.create_pbd(db, db.master, sr, each.device_config)


def _create_storage(db: Database, spec: StorageSpec, *, shared: bool) -> str:
    return db.create(
        "SR",
        uuid=spec.uuid,
        name_label=spec.name,
        type=spec.type,
        content_type=spec.content,
        shared=shared,
        physical_size=spec.size,
        physical_utilisation=spec.used,
        allowed_operations=list(storage.OPERATIONS),
    )


def _make_pool(machines: dict[str, Machine], spec: PoolSpec) -> None:
    master = machines[spec.master]
    db = furnishing.own_database(master)
    for name in spec.hosts:
        if name != spec.master:
            enlist(machines[name], master)
    pool = db.pool_record
    db.set(
        "pool",
        db.pool,
        uuid=spec.uuid or pool["uuid"],
        name_label=spec.name,
        name_description=spec.description,
        tags=list(spec.tags),
        other_config={**pool["other_config"], **spec.other_config},
    )
    for network in spec.networks:
        _add_network(machines, db, network)
    for each in spec.storage:
        _add_shared(machines, db, each)


def enlist(machine: Machine, master: Machine) -> None:
    """The host is a member of the other's pool, as if it had joined long ago."""
    local, db = furnishing.own_database(machine), furnishing.own_database(master)
    own = local.get("host", local.master)
    host = join_import.import_host(local, db, machine)
    db.set("host", host, **{k: own[k] for k in ("name_description", "tags", "power_on_mode")})
    join.exchange_certificates(machine, db)
    machine.disk.master_address = master.address
    machine.disk.database = None
    machine.disk.password = master.disk.password
    machine.kill_process()
    process = Process(machine, Phase.SERVING, None)
    process.considered_enabling = True
    machine.process = process
    records.refresh_host(db, machine, host)
    storage.plug_all(db, machine, host)
    lifecycle.set_live(db, host, live=True)
    db.set("host", host, enabled=True)
    lifecycle.watch(process)


def _hosts_on(machines: dict[str, Machine], db: Database, names: Iterable[str]) -> list[str]:
    """The records of these hosts; of all, if none are named."""
    return [furnishing.host_ref(machines[n], db) for n in names] or list(db.tables["host"])


def _add_network(machines: dict[str, Machine], db: Database, spec: NetworkSpec) -> None:
    known = db.first("network", bridge="xenbr0") if spec.management else None
    if known is not None:
        uuid = spec.uuid or known[1]["uuid"]
        db.set("network", known[0], name_label=spec.name, uuid=uuid, MTU=spec.mtu)
        return
    network = db.create(
        "network",
        uuid=spec.uuid,
        name_label=spec.name,
        bridge=spec.bridge or f"xapi{len(db.tables['network'])}",
        MTU=spec.mtu,
        managed=True,
        default_locking_mode="unlocked",
    )
    for host in _hosts_on(machines, db, spec.hosts):
        db.create(
            "PIF",
            network=network,
            host=host,
            device=spec.device,
            VLAN=spec.vlan,
            MTU=spec.mtu,
            physical=spec.vlan < 0,
            currently_attached=True,
            managed=True,
        )


def _add_shared(machines: dict[str, Machine], db: Database, spec: StorageSpec) -> None:
    sr = _create_storage(db, spec, shared=True)
    missing = {furnishing.host_ref(machines[n], db) for n in spec.unplugged}
    for host in db.tables["host"]:
        storage.create_pbd(db, host, sr, spec.device_config, attached=host not in missing)
    if db.pool_record["default_SR"] == NULL_REF:
        db.set("pool", db.pool, default_SR=sr)


def _add_guest(machine: Machine, spec: GuestSpec) -> None:
    db = furnishing.pool_database(machine)
    vm = furnishing.add_guest(
        machine,
        spec.name,
        memory=spec.memory,
        vcpus=spec.vcpus,
        running=False,
        disk=0,
        ha=spec.ha,
        blocked=spec.blocked,
        blockers=spec.blockers,
        tags=spec.tags,
        uuid=spec.uuid,
        networks=spec.networks,
    )
    values = {"other_config": {**db.get("VM", vm)["other_config"], **spec.other_config}}
    db.set("VM", vm, memory_dynamic_min=spec.memory_min or spec.memory, **values)
    for number, disk in enumerate(spec.disks):
        sr = furnishing.find_sr(machine, disk.storage)
        name = disk.name or f"{spec.name} disk {number}"
        furnishing.add_disk(machine, name, vm=vm, sr=sr, size=disk.size, counted=False)
    if spec.state in ("Running", "Paused"):
        host = furnishing.host_ref(machine, db)
        guests.power_up(machine.site, db, vm, host, state=spec.state)
        if spec.cpu_features:
            flags = {**db.get("VM", vm)["last_boot_CPU_flags"], "features": spec.cpu_features}
            db.set("VM", vm, last_boot_CPU_flags=flags)
    elif spec.state == "Suspended":
        db.set("VM", vm, power_state="Suspended")
    vm_lifecycle.refresh(db, vm)


def _disable(machine: Machine) -> None:
    db = furnishing.pool_database(machine)
    db.set("host", furnishing.host_ref(machine, db), enabled=False)
    machine.disk.auto_enable = False
    if machine.process is not None:
        machine.process.user_disabled = True


def _settle(machines: dict[str, Machine], spec: PoolSpec) -> None:
    """Copies of the database for all members, and high availability."""
    master = machines[spec.master]
    db = furnishing.own_database(master)
    if spec.ha and master.process is not None:
        db.set("pool", db.pool, ha_host_failures_to_tolerate=spec.ha_failures)
        ha_operations.switch_on(master.process, {})
    pool_operations.refresh_allowed(db)
    copy = db.clone()
    for name in spec.hosts:
        if name != spec.master:
            machines[name].disk.backup = copy
