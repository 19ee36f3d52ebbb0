"""Storage repositories: the local ones of each host, the tools, the shared ones of a site."""

from __future__ import annotations

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.machine import Machine
from nova_aggregates.simulator.values import new_uuid

GIB = 1 << 30
DEFAULT_FEATURES = {
    "SR_PROBE": 1,
    "SR_UPDATE": 1,
    "VDI_CREATE": 1,
    "VDI_DELETE": 1,
    "VDI_ATTACH": 1,
}
DISK_FEATURES = {**DEFAULT_FEATURES, "VDI_SNAPSHOT": 1, "VDI_MIRROR": 1}
MIRRORED = ("ext", "lvm", "nfs", "lvmoiscsi")  # their disks can be moved while they are used
SR_TYPES = ("ext", "lvm", "nfs", "iso", "udev", "lvmoiscsi")
OPERATIONS = ["unplug", "plug", "pbd_create", "pbd_destroy", "forget", "vdi_clone", "scan"]
TEMPLATES = ("Debian Bookworm 12", "Windows Server 2022", "Other install media")


def create_local(db: Database, machine: Machine, host: str) -> None:
    """What a new installation has: local disk, DVD drive, tools, storage managers, templates."""
    size = 500 * GIB
    local = db.create(
        "SR",
        name_label="Local storage",
        type="ext",
        content_type="user",
        physical_size=size,
        physical_utilisation=GIB,
        allowed_operations=list(OPERATIONS),
    )
    create_pbd(db, host, local, {"device": "/dev/disk/by-id/simulated-part3"})
    drive = db.create(
        "SR",
        name_label="DVD drives",
        name_description="Physical DVD drives",
        type="udev",
        content_type="iso",
        allowed_operations=list(OPERATIONS),
    )
    create_pbd(db, host, drive, {"location": "/dev/xapi/cd"})
    create_tools(db, host)
    create_managers(db, machine)
    for name in TEMPLATES:
        create_template(db, name)


def create_tools(db: Database, host: str) -> None:
    tools = db.create(
        "SR",
        name_label="XCP-ng Tools",
        name_description="XCP-ng Tools ISOs",
        type="iso",
        content_type="iso",
        shared=True,
        is_tools_sr=True,
        physical_size=-1,
        other_config={"xenserver_tools_sr": "true"},
        allowed_operations=list(OPERATIONS),
    )
    create_pbd(db, host, tools, {"location": "/opt/xensource/packages/iso", "legacy_mode": "true"})


def create_managers(db: Database, machine: Machine) -> None:
    """SM records; a host that lacks a type or a feature of its pool cannot join it."""
    features = {t: dict(DISK_FEATURES if t in MIRRORED else DEFAULT_FEATURES) for t in SR_TYPES}
    features.update(machine.hardware.sm_features)
    for kind, offered in features.items():
        db.create(
            "SM",
            name_label=kind,
            type=kind,
            vendor="Citrix Systems Inc",
            version="3.0",
            required_api_version="1.0",
            features=offered,
            capabilities=list(offered),
        )


def create_template(db: Database, name: str) -> None:
    db.create(
        "VM",
        name_label=name,
        is_a_template=True,
        is_default_template=True,
        power_state="Halted",
        HVM_boot_policy="BIOS order",
        HVM_boot_params={"order": "cdn"},
        domain_type="hvm",
        memory_static_max=2 * GIB,
        memory_dynamic_max=2 * GIB,
        memory_dynamic_min=2 * GIB,
        memory_static_min=GIB,
        VCPUs_max=2,
        VCPUs_at_startup=2,
        other_config={"default_template": "true", "install-methods": "cdrom,http"},
        allowed_operations=["changing_NVRAM", "clone", "copy", "provision", "export"],
    )


def create_pbd(
    db: Database, host: str, sr: str, config: dict[str, str], *, attached: bool = True
) -> str:
    return db.create(
        "PBD", host=host, SR=sr, device_config=dict(config), currently_attached=attached
    )


def create_shared(
    db: Database, host: str, *, name: str, server: str, path: str, size: int = 2048 * GIB
) -> str:
    """A shared NFS repository, attached on one host; members that join later get it too."""
    sr = db.create(
        "SR",
        uuid=new_uuid(),
        name_label=name,
        name_description=f"NFS SR [{server}:{path}]",
        type="nfs",
        content_type="user",
        shared=True,
        physical_size=size,
        physical_utilisation=16 * GIB,
        allowed_operations=list(OPERATIONS),
    )
    create_pbd(db, host, sr, {"server": server, "serverpath": path})
    return sr


def attach_export(db: Database, host: str, zone: str) -> str:
    """The NFS export of a zone, as a shared repository of the pool."""
    return create_shared(
        db, host, name=f"Shared storage {zone}", server="127.0.0.1", path=f"/export/{zone}"
    )


def plug_all(db: Database, machine: Machine, host: str) -> None:
    """At each start: a PBD for every shared SR that the master has one for, all plugged.

    Best effort, as in create_storage.ml: a PBD that cannot be plugged keeps nobody from starting.
    """
    for sr, _ in db.find("SR", shared=True):
        on_master = db.first("PBD", SR=sr, host=db.master)
        if on_master is None or db.first("PBD", SR=sr, host=host) is not None:
            continue
        config = {k: v for k, v in on_master[1]["device_config"].items() if k != "SRmaster"}
        create_pbd(db, host, sr, config, attached=False)
    for pbd, record in db.find("PBD", host=host):
        if not record["currently_attached"] and not machine.site.faults.unpluggable(machine.name):
            db.set("PBD", pbd, currently_attached=True)


def all_plugged(db: Database, host: str) -> bool:
    return all(db.get("PBD", p)["currently_attached"] for p in db.get("host", host)["PBDs"])


def release_host(db: Database, host: str, *, stuck: bool = False) -> None:
    """Unplug a leaving host's PBDs; repositories that nobody else has are forgotten.

    Raises VDI_IN_USE when a disk there is in use, or on the last repository if ``stuck``; what
    was unplugged before stays so (xapi_pool.ml eject_self has no rollback).
    """
    found = list(db.find("PBD", host=host))
    for pbd, record in found:
        sr = record["SR"]
        if stuck and pbd == found[-1][0]:
            raise ApiError("VDI_IN_USE", next(iter(db.get("SR", sr)["VDIs"]), NULL_REF), "detach")
        in_use = [
            db.get("VBD", vbd)["VDI"]
            for vbd, attached in db.find("VBD", currently_attached=True)
            if db.get("VM", attached["VM"])["resident_on"] == host
            and attached["VDI"] in db.get("SR", sr)["VDIs"]
        ]
        if in_use:
            raise ApiError("VDI_IN_USE", in_use[0], "detach")
        db.set("PBD", pbd, currently_attached=False)
        if len(db.get("SR", sr)["PBDs"]) == 1:
            forget_sr(db, sr)


def forget_sr(db: Database, sr: str) -> None:
    record = db.get("SR", sr)
    for vdi in list(record["VDIs"]):
        db.delete("VDI", vdi)
    for pbd in list(record["PBDs"]):
        db.delete("PBD", pbd)
    db.delete("SR", sr)


@api("SR.introduce")
def introduce(
    call: Call,
    uuid: str,
    label: str,
    description: str,
    kind: str,
    content: str,
    shared: bool,
    sm_config: dict[str, str],
) -> str:
    if call.db.first("SR", uuid=uuid):
        raise ApiError("DB_UNIQUENESS_CONSTRAINT_VIOLATION", "SR", "uuid", uuid)
    return call.db.create(
        "SR",
        uuid=uuid or new_uuid(),
        name_label=label,
        name_description=description,
        type=kind,
        content_type=content,
        shared=shared,
        physical_size=-1,
        physical_utilisation=-1,
        sm_config=sm_config,
        allowed_operations=list(OPERATIONS),
    )


@api("SR.create")
def create(
    call: Call,
    host: str,
    config: dict[str, str],
    size: int,
    label: str,
    description: str,
    kind: str,
    content: str,
    shared: bool,
    sm_config: dict[str, str],
) -> str:
    """A shared repository is attached at every member (xapi_sr.ml create)."""
    db = call.db
    db.get("host", host)
    if db.first("SM", type=kind) is None:
        raise ApiError("SR_UNKNOWN_DRIVER", kind)
    sr = db.create(
        "SR",
        name_label=label,
        name_description=description,
        type=kind,
        content_type=content,
        shared=shared,
        physical_size=size,
        sm_config=sm_config,
        allowed_operations=list(OPERATIONS),
    )
    for member in list(db.tables["host"]) if shared else [host]:
        create_pbd(db, member, sr, config)
    return sr


@api("SR.forget")
def forget(call: Call, sr: str) -> None:
    record = call.db.get("SR", sr)
    attached = [p for p in record["PBDs"] if call.db.get("PBD", p)["currently_attached"]]
    if attached:
        raise ApiError("SR_HAS_PBD", sr)
    forget_sr(call.db, sr)


@api("SR.set_name_label", "SR.set_name_description", "SR.set_shared")
def set_sr_field(call: Call, sr: str, value: object) -> None:
    call.db.set("SR", sr, **{call.method.verb[4:]: value})


@api("PBD.plug")
def plug(call: Call, pbd: str) -> None:
    call.db.get("PBD", pbd)
    call.db.set("PBD", pbd, currently_attached=True)


@api("PBD.unplug")
def unplug(call: Call, pbd: str) -> None:
    record = call.db.get("PBD", pbd)
    for _, vbd in call.db.find("VBD", currently_attached=True):
        vdi = call.db.peek("VDI", vbd["VDI"])
        if vdi is None or vdi["SR"] != record["SR"]:
            continue
        if call.db.get("VM", vbd["VM"])["resident_on"] == record["host"]:
            raise ApiError("VDI_IN_USE", vbd["VDI"], "detach")
    call.db.set("PBD", pbd, currently_attached=False)


@api("PBD.destroy")
def destroy_pbd(call: Call, pbd: str) -> None:
    if call.db.get("PBD", pbd)["currently_attached"]:
        raise ApiError("OPERATION_NOT_ALLOWED", "Cannot destroy a currently attached PBD")
    call.db.delete("PBD", pbd)
