"""What fills a host: guests, disks, storage repositories, devices."""

from __future__ import annotations

from collections.abc import Iterable

from nova_aggregates.simulator import guests, placement, storage, vm_lifecycle
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ProcessGone
from nova_aggregates.simulator.machine import Machine
from nova_aggregates.simulator.profile import GIB
from nova_aggregates.simulator.records import facts

LOCAL, SHARED = "local", "shared"
BLOCKERS = ("pci", "vgpu", "vusb", "sriov", "no-tools", "nomigrate", "local-disk")


def own_database(machine: Machine) -> Database:
    """Raises LookupError when the host is no running master."""
    if machine.process is None or machine.process.db is None:
        raise LookupError(f"{machine.name} is no running pool master")
    return machine.process.db


def pool_database(machine: Machine) -> Database:
    """Of the pool that the host belongs to. Raises LookupError when it is not within reach."""
    try:
        if machine.process is not None:
            return machine.site.database_of(machine.process)
    except ProcessGone:
        pass
    raise LookupError(f"the pool of {machine.name} is not within reach")


def host_ref(machine: Machine, db: Database) -> str:
    """Raises LookupError when the pool does not know the host."""
    found = db.first("host", uuid=machine.disk.uuid)
    if found is None:
        raise LookupError(f"{machine.name} is not in its pool's database")
    return found[0]


def add_shared_storage(machine: Machine, zone: str) -> str:
    db = own_database(machine)
    return storage.attach_export(db, db.master, zone)


def add_pool_storage(machine: Machine, name: str, size: int = 0) -> str:
    """A shared repository, attached at every host of the pool. ``size`` in bytes; 0: 2 TiB."""
    db = pool_database(machine)
    path = f"/export/{name.lower().replace(' ', '-')}"
    found = storage.create_shared(
        db, db.master, name=name, server="127.0.0.1", path=path, size=size or 2048 * GIB
    )
    config = db.get("PBD", db.get("SR", found)["PBDs"][0])["device_config"]
    for host in db.tables["host"]:
        if host != db.master:
            storage.create_pbd(db, host, found, config)
    return found


def find_sr(machine: Machine, wanted: str = LOCAL) -> str:
    """The host's local storage, the pool's shared one, or a repository by its name.

    Nothing for the local storage of hosts that have none. Raises LookupError.
    """
    db = pool_database(machine)
    if wanted == SHARED:
        found = [r for r, s in db.find("SR", shared=True) if not s["is_tools_sr"]]
    elif wanted == LOCAL:
        here = (db.get("PBD", p)["SR"] for p in db.get("host", host_ref(machine, db))["PBDs"])
        own = {s: db.get("SR", s) for s in here}
        found = [s for s, r in own.items() if r["content_type"] == "user" and not r["shared"]]
    else:
        found = [r for r, _ in db.find("SR", name_label=wanted)]
        found = found or [r for r, _ in db.find("SR", uuid=wanted)]
    if not found and (wanted != LOCAL or machine.profile.storage):
        raise LookupError(f"{machine.name} has no storage {wanted}")
    return found[0] if found else ""


def add_guest(
    machine: Machine,
    name: str,
    *,
    memory: int = 2 * GIB,
    vcpus: int = 2,
    running: bool = True,
    disk: int = 10 * GIB,
    sr: str = LOCAL,
    ha: str = "",
    blocked: dict[str, str] | None = None,
    blockers: tuple[str, ...] | list[str] = (),
    cpu_features: str = "",
    tags: tuple[str, ...] | list[str] = (),
    uuid: str = "",
    networks: tuple[str, ...] | list[str] = (),
) -> str:
    """A guest with a disk (bytes; 0: none) and a network card; the host may be a pool's member.

    ``sr`` is ``local``, ``shared`` or a repository's name; ``ha`` the restart priority; ``blocked``
    are operations with the reason; ``blockers`` what else keeps it where it is, see ``BLOCKERS``;
    ``cpu_features`` those that it was started with; ``networks`` are names or uuids, none: the
    pool's own. Raises LookupError, and ValueError.
    """
    unknown = set(blockers) - set(BLOCKERS)
    if unknown:
        raise ValueError(f"unknown blockers {sorted(unknown)}; known: {', '.join(BLOCKERS)}")
    db = pool_database(machine)
    host = host_ref(machine, db)
    vm = _create(db, name, memory=memory, vcpus=vcpus, uuid=uuid)
    db.set("VM", vm, ha_restart_priority=ha, blocked_operations=blocked or {}, tags=list(tags))
    where = find_sr(machine, LOCAL if "local-disk" in blockers else sr) if disk else ""
    if where:
        add_disk(machine, f"{name} disk", vm=vm, sr=where, size=disk)
    for number, network in enumerate(_networks(db, networks)):
        db.create("VIF", VM=vm, network=network, device=str(number), MTU=1500)
    _bind(db, vm, host, blockers)
    if running:
        guests.power_up(machine.site, db, vm, host)
    if cpu_features:
        flags = {**db.get("VM", vm)["last_boot_CPU_flags"], "features": cpu_features}
        db.set("VM", vm, last_boot_CPU_flags=flags)
    vm_lifecycle.refresh(db, vm)
    return vm


def _networks(db: Database, wanted: Iterable[str]) -> list[str]:
    """Raises LookupError."""
    if not wanted:
        return [ref for ref, _ in db.find("network", bridge="xenbr0")]
    found = []
    for name in wanted:
        known = db.first("network", name_label=name) or db.first("network", uuid=name)
        if known is None:
            raise LookupError(f"no network {name}")
        found.append(known[0])
    return found


def _bind(db: Database, vm: str, host: str, blockers: Iterable[str]) -> None:
    """What keeps a guest where it is, beside its disks."""
    if "nomigrate" in blockers:
        db.set("VM", vm, platform={"nomigrate": "true"})
    if "no-tools" in blockers:
        db.set("VM", vm, guest_metrics=guests.create_tools(db, installed=False))
    for kind in blockers:
        if kind in DEVICES:
            DEVICES[kind](db, vm, host)


def _create(db: Database, name: str, *, memory: int, vcpus: int, uuid: str) -> str:
    metrics = db.create("VM_metrics", memory_actual=memory, VCPUs_number=vcpus)
    values = {**facts()["guest"], "user_version": 1, "hardware_platform_version": 2}
    values.update(VCPUs_max=vcpus, VCPUs_at_startup=vcpus)
    return db.create(
        "VM",
        **{**values, "memory_overhead": placement.overhead(memory), "uuid": uuid},
        name_label=name,
        metrics=metrics,
        power_state="Halted",
        domid=-1,
        memory_static_max=memory,
        memory_dynamic_max=memory,
        memory_dynamic_min=memory,
        memory_static_min=memory,
        memory_target=memory,
    )


def _pass_through(db: Database, vm: str, host: str) -> None:
    device = {"class_name": "Ethernet controller", "vendor_name": "Simulated", "driver_name": ""}
    pci = db.create("PCI", host=host, pci_id="0000:3b:00.0", **device)
    db.set("VM", vm, attached_PCIs=[pci], other_config={"pci": "0/0000:3b:00.0"})


def _virtual_gpu(db: Database, vm: str, host: str) -> None:
    group = db.create("GPU_group", name_label="Simulated GPU group")
    pgpu = db.create("PGPU", host=host, GPU_group=group)
    kind = db.create("VGPU_type", vendor_name="Simulated", model_name="Virtual GPU")
    db.create("VGPU", VM=vm, GPU_group=group, type=kind, resident_on=pgpu, currently_attached=True)


def _virtual_usb(db: Database, vm: str, host: str) -> None:
    group = db.create("USB_group", name_label="Simulated USB group")
    db.create("PUSB", host=host, USB_group=group, passthrough_enabled=True)
    db.create("VUSB", VM=vm, USB_group=group, currently_attached=True)


def _virtual_function(db: Database, vm: str, host: str) -> None:
    """A network of virtual functions that exists on one host's card only."""
    network = db.create("network", name_label="SR-IOV network", bridge="xapi-sriov", managed=True)
    add_virtual_functions(db, network, host)
    db.create("VIF", VM=vm, network=network, device="1", MTU=1500)


def add_virtual_functions(db: Database, network: str, host: str) -> str:
    """The card of this host that the network's virtual functions are on: the logical PIF."""
    known = {"device": "eth1", "host": host, "VLAN": -1, "currently_attached": True}
    card = db.create("PIF", **known, physical=True)
    logical = db.create("PIF", **known, network=network)
    db.create("network_sriov", physical_PIF=card, logical_PIF=logical)
    return logical


DEVICES = {
    "pci": _pass_through,
    "vgpu": _virtual_gpu,
    "vusb": _virtual_usb,
    "sriov": _virtual_function,
}


def add_disk(
    machine: Machine,
    name: str,
    *,
    vm: str | None = None,
    sr: str | None = None,
    size: int = GIB,
    counted: bool = True,
) -> str:
    """A disk on the local storage (or the given repository), attached to the guest if given.

    ``counted`` adds its size to what is used of the repository.
    """
    db = pool_database(machine)
    if sr is None:
        sr = find_sr(machine)
    vdi = db.create("VDI", name_label=name, SR=sr, virtual_size=size, type="user", managed=True)
    used = db.get("SR", sr)["physical_utilisation"]
    db.set("SR", sr, physical_utilisation=used + size if counted else used)
    if vm is not None:
        number = len(db.get("VM", vm)["VBDs"])
        db.create(
            "VBD",
            VM=vm,
            VDI=vdi,
            userdevice=str(number),
            device=f"xvd{chr(ord('a') + number)}",
            bootable=not number,
            mode="RW",
        )
    return vdi
