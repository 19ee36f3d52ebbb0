"""Can a guest be moved with its disks? (xapi_vm_migrate.ml assert_can_migrate)"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from nova_aggregates.simulator import placement
from nova_aggregates.simulator.calls import Call
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError, internal
from nova_aggregates.simulator.machine import Process

FEATURE = "Storage_motion"
SEND = ("VDI_SNAPSHOT", "VDI_MIRROR")
RECEIVE = ("VDI_SNAPSHOT", "VDI_MIRROR_IN")
COVERED_BY = {"VDI_MIRROR_IN": "VDI_MIRROR"}  # a manager that mirrors out can mirror in
NO_COPY = (
    "Copy mode is disallowed on intra pool storage migration, try efficient alternatives, "
    "for example, VM.copy/clone."
)
NO_NETWORKS = (
    "VIF mapping is not allowed for intra-pool migration -all VIFs must be on the same network"
)


@dataclass(frozen=True)
class Request:
    """What VM.migrate_send is asked for."""

    vm: str
    dest: dict[str, str]
    disks: dict[str, str]  # VDI -> SR of the destination
    cards: dict[str, str]  # VIF -> network of the destination
    options: dict[str, str]

    @property
    def force(self) -> bool:
        return self.options.get("force") == "true"

    @property
    def copy(self) -> bool:
        return self.options.get("copy") == "true"


@dataclass(frozen=True)
class Destination:
    """Where host.migrate_receive was asked: ``db`` is that of the pool there."""

    process: Process
    db: Database
    host: str
    inside: bool  # is it the guest's own pool?


def find_destination(call: Call, dest: dict[str, str]) -> Destination:
    """Raises CANNOT_CONTACT_HOST for an address, SESSION_INVALID; INTERNAL_ERROR without a key."""
    try:
        host, session, master = dest["host"], dest["session_id"], dest["master"]
        address = urlsplit(dest["xenops"]).hostname or ""
    except KeyError:
        raise internal("Not_found") from None
    if call.db.peek("host", host) is not None:
        return Destination(call.process, call.db, host, inside=True)
    machine = call.machine.site.by_address(urlsplit(master).hostname or "")
    if machine is None or not machine.answers or machine.process is None:
        raise ApiError("CANNOT_CONTACT_HOST", address)
    if machine.process.db is None or session not in machine.process.sessions:
        raise ApiError("SESSION_INVALID", session)
    machine.process.db.get("host", host)
    return Destination(machine.process, machine.process.db, host, inside=False)


def disks_of(db: Database, vm: str) -> Iterator[str]:
    """The guest's VDIs that move with it: CDs stay."""
    for vbd in db.get("VM", vm)["VBDs"]:
        record = db.get("VBD", vbd)
        if not record["empty"] and record["type"] != "CD":
            yield record["VDI"]


def assert_licensed(db: Database) -> None:
    """Raises LICENCE_RESTRICTION."""
    licences = (r["license_params"] for _, r in db.find("host"))
    if any(found.get("restrict_storage_xen_motion") == "true" for found in licences):
        raise ApiError("LICENCE_RESTRICTION", FEATURE)


def assert_can_migrate(call: Call, asked: Request) -> Destination:
    """Everything that the guest's master can look at. Raises the first thing that is wrong."""
    db = call.db
    db.get("VM", asked.vm)
    assert_licensed(db)
    there = find_destination(call, asked.dest)
    for vdi in disks_of(db, asked.vm):
        if vdi not in asked.disks:
            raise ApiError("VDI_NOT_IN_MAP", vdi)
    (_assert_inside if there.inside else _assert_across)(call, asked, there)
    for vdi in moved(db, asked):
        record = db.get("VDI", vdi)
        if record["cbt_enabled"]:
            raise ApiError("VDI_CBT_ENABLED", vdi)
        if "key_hash" in record["sm_config"]:
            raise ApiError("VDI_IS_ENCRYPTED", vdi)
    return there


def moved(db: Database, asked: Request) -> list[str]:
    """The guest's disks that do not stay in their repository."""
    own = disks_of(db, asked.vm)
    return [vdi for vdi in own if db.get("VDI", vdi)["SR"] != asked.disks[vdi]]


def _source(db: Database, vm: str) -> str:
    """Guests that do not run are sent by the master, as far as versions go."""
    host = str(db.get("VM", vm)["resident_on"])
    return host if db.peek("host", host) is not None else db.master


def _assert_inside(call: Call, asked: Request, there: Destination) -> None:
    db = call.db
    source = _source(db, asked.vm)
    if placement.version(db, there.host) < placement.version(db, source):
        raise ApiError("NOT_SUPPORTED_DURING_UPGRADE")
    _assert_mirrors(db, asked, there.db)
    placement.assert_can_boot_here(
        call.machine.site, db, asked.vm, there.host, cpu=not asked.force, storage=False
    )
    if asked.cards:
        raise ApiError("OPERATION_NOT_ALLOWED", NO_NETWORKS)


def _assert_across(call: Call, asked: Request, there: Destination) -> None:
    db, vm = call.db, call.db.get("VM", asked.vm)
    source = _source(db, asked.vm)
    if placement.version(there.db, there.host) < placement.version(db, source):
        raise ApiError("VM_HOST_INCOMPATIBLE_VERSION_MIGRATE", asked.vm, there.host)
    _assert_mirrors(db, asked, there.db)
    if asked.copy and not asked.force and vm["power_state"] != "Halted":
        raise ApiError("VM_BAD_POWER_STATE", asked.vm, "halted", vm["power_state"].lower())
    target = there.db.get("host", there.host)
    placement.assert_hardware(asked.vm, vm, there.host, target)
    if not target["enabled"]:
        raise ApiError("HOST_DISABLED", there.host)
    placement.assert_pcpus(vm, target)
    networks(db, asked)


def networks(db: Database, asked: Request) -> dict[str, str]:
    """VIF -> network there; cards with the address of one that is named go along with it.

    Raises VIF_NOT_IN_MAP.
    """
    by_address = {db.get("VIF", v)["MAC"]: network for v, network in asked.cards.items()}
    found = {}
    for vif in db.get("VM", asked.vm)["VIFs"]:
        network = asked.cards.get(vif) or by_address.get(db.get("VIF", vif)["MAC"])
        if network is None:
            raise ApiError("VIF_NOT_IN_MAP", vif)
        found[vif] = network
    return found


def _assert_mirrors(db: Database, asked: Request, there: Database) -> None:
    """Both storage managers must be able to. Raises SR_DOES_NOT_SUPPORT_MIGRATION."""
    for vdi in moved(db, asked):
        sr, target = db.get("VDI", vdi)["SR"], asked.disks[vdi]
        _assert_features(db, sr, SEND)
        _assert_features(there, target, RECEIVE)


def _assert_features(db: Database, sr: str, wanted: tuple[str, ...]) -> None:
    manager = db.first("SM", type=db.get("SR", sr)["type"])
    offered = manager[1]["features"] if manager else {}
    missing = [f for f in wanted if f not in offered and COVERED_BY.get(f) not in offered]
    if missing:
        raise ApiError("SR_DOES_NOT_SUPPORT_MIGRATION", sr, ";".join(missing))


def assert_can_send(call: Call, asked: Request, there: Destination) -> None:
    """What the sending host looks at besides, once it is its turn."""
    if asked.copy and there.inside:
        raise ApiError("OPERATION_NOT_ALLOWED", NO_COPY)
    for vdi in disks_of(call.db, asked.vm):
        if call.db.get("VDI", vdi)["on_boot"] == "reset":
            raise ApiError("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", vdi)
