"""What a plan is made from: every host and every guest that is on one, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from nova_aggregates.xenapi import errors, vm
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.decode import NULL_REF, Record, Table

LEAVING = frozenset({"evacuate", "reboot", "shutdown"})  # operations of a host that takes no guest
_CLASSES = ("host", "host_metrics", "VBD", "VDI", "VIF", "PIF", "PBD", "SR", "network")
_OPTIONAL = ("PGPU", "VM_metrics", "VM_group", "network_sriov", "pool")
_ON_A_HOST = (
    f'not (field "resident_on" = "{NULL_REF}") or '
    f'not (field "scheduled_to_be_resident_on" = "{NULL_REF}")'
)


@dataclasses.dataclass(frozen=True, slots=True)
class GuestFacts:
    """A guest that is on a host, or on its way to one."""

    ref: str
    uuid: str
    name: str
    power_state: str
    host: str  # uuid of the host that it is on, or that it starts on
    heading: str = ""  # uuid of the host that it is moving or starting to
    memory: int = 0  # bytes that it needs on a host
    vcpus: int = 1
    hardware_version: int = 0
    cpu_vendor: str = ""
    cpu_features: str = ""  # words of hexadecimal digits; empty: not known
    hvm: bool = True
    storage: frozenset[str] = frozenset()  # uuids of SRs
    networks: frozenset[str] = frozenset()  # uuids
    devices: frozenset[str] = frozenset()  # of: pci, vgpu, usb, sriov
    immobile: bool = False
    blocked: str | None = None  # what blocked_operations says of moving it
    operations: tuple[str, ...] = ()  # under way on it
    protected: bool = False  # high availability would restart it
    affinity: str = ""  # uuid of the host that it prefers
    apart: frozenset[str] = frozenset()  # anti-affinity groups


@dataclasses.dataclass(frozen=True, slots=True)
class HostFacts:
    ref: str
    uuid: str
    name: str
    enabled: bool = True
    live: bool = True
    busy: bool = False  # it is being emptied, rebooted or shut down
    memory: int = 0  # bytes in all
    memory_free: int = 0  # bytes, counted as the toolstack does
    cpus: int = 1
    hardware_versions: frozenset[int] = frozenset()
    version: tuple[int, ...] = ()  # of the platform
    cpu_vendor: str = ""
    features_hvm: str = ""
    features_pv: str = ""
    storage: frozenset[str] = frozenset()  # uuids of SRs that are attached
    networks: frozenset[str] = frozenset()  # uuids of networks that it has, in order or not
    networks_up: frozenset[str] = frozenset()  # those whose card is attached
    networks_with_address: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class PoolFacts:
    hosts: tuple[HostFacts, ...]
    guests: tuple[GuestFacts, ...]
    ha_enabled: bool = False
    # Names by uuid, for people. A network without any card is everywhere and not in here.
    storage_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    network_names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def host(self, uuid: str) -> HostFacts | None:
        return next((host for host in self.hosts if host.uuid == uuid), None)

    def guests_on(self, uuid: str) -> tuple[GuestFacts, ...]:
        return tuple(guest for guest in self.guests if guest.host == uuid)


def read(connection: Connection) -> PoolFacts:
    """Reads the pool that this connection's host is the master of. Raises XenError."""
    tables = {name: Table(connection.call(f"{name}.get_all_records")) for name in _CLASSES}
    for name in _OPTIONAL:
        try:
            tables[name] = Table(connection.call(f"{name}.get_all_records"))
        except errors.MethodUnknown:
            tables[name] = Table(None)
    tables["VM"] = Table(connection.call("VM.get_all_records_where", _ON_A_HOST))
    return of_tables(tables)


def serving(connection: Connection) -> frozenset[str]:
    """Uuids of the hosts that are enabled and live; a short look. Raises XenError."""
    metrics = Table(connection.call("host_metrics.get_all_records"))
    found = []
    for record in Table(connection.call("host.get_all_records")):
        health = metrics.get(record.link("metrics"))
        if record.flag("enabled") and health is not None and health.flag("live"):
            found.append(record.text("uuid"))
    return frozenset(found)


def of_tables(tables: Mapping[str, Table]) -> PoolFacts:
    reader = _Reader(tables)
    pool = next(iter(tables["pool"]), Record("", {}))
    return PoolFacts(
        hosts=tuple(sorted(reader.hosts(), key=lambda host: (host.name, host.uuid))),
        guests=tuple(sorted(reader.guests(), key=lambda guest: (guest.name, guest.uuid))),
        ha_enabled=pool.flag("ha_enabled"),
        storage_names={
            sr.text("uuid"): sr.text("name_label") or sr.text("uuid") for sr in tables["SR"]
        },
        network_names={
            net.text("uuid"): net.text("name_label") or net.text("uuid")
            for net in tables["network"]
            if net.texts("PIFs")
        },
    )


class _Reader:
    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self._disks = _by_owner(tables["VBD"])
        self._cards = _by_owner(tables["VIF"])

    def hosts(self) -> Iterator[HostFacts]:
        for record in self._tables["host"]:
            metrics = self._tables["host_metrics"].get(record.link("metrics"))
            cpu = Record("", record.mapping("cpu_info"))
            total = metrics.integer("memory_total") if metrics else 0
            pifs = [pif for pif in self._tables["PIF"] if pif.link("host") == record.ref]
            up = [pif for pif in pifs if pif.flag("currently_attached")]
            yield HostFacts(
                ref=record.ref,
                uuid=record.text("uuid"),
                name=record.text("name_label"),
                enabled=record.flag("enabled"),
                live=metrics.flag("live") if metrics else False,
                busy=not LEAVING.isdisjoint(record.operations()),
                memory=total,
                memory_free=max(0, total - record.integer("memory_overhead") - self._used(record)),
                cpus=cpu.integer("cpu_count", 1),
                hardware_versions=frozenset(
                    int(each)
                    for each in record.texts("virtual_hardware_platform_versions")
                    if each.isdigit()
                ),
                version=_version(record.mapping("software_version").get("platform_version", "")),
                cpu_vendor=cpu.text("vendor"),
                features_hvm=cpu.text("features_hvm"),
                features_pv=cpu.text("features_pv"),
                storage=self._uuids(
                    "SR",
                    (
                        pbd.link("SR")
                        for pbd in self._tables["PBD"]
                        if pbd.link("host") == record.ref and pbd.flag("currently_attached")
                    ),
                ),
                networks=self._uuids("network", (pif.link("network") for pif in pifs)),
                networks_up=self._uuids("network", (pif.link("network") for pif in up)),
                networks_with_address=self._uuids(
                    "network",
                    (
                        pif.link("network")
                        for pif in up
                        if pif.text("ip_configuration_mode", "None") != "None"
                    ),
                ),
            )

    def _used(self, host: Record) -> int:
        """What its guests take, its control domain and those on their way included (xapi
        ``ocaml/xapi/memory_check.ml``)."""
        return sum(
            _memory(guest)
            for guest in self._tables["VM"]
            if host.ref in (guest.link("resident_on"), guest.link("scheduled_to_be_resident_on"))
        )

    def guests(self) -> Iterator[GuestFacts]:
        for record in self._tables["VM"]:
            if vm.is_guest(record):
                yield self._guest(record)

    def _guest(self, record: Record) -> GuestFacts:
        heading = self._host(record.link("scheduled_to_be_resident_on"))
        blocked = record.mapping("blocked_operations")
        flags = Record("", record.mapping("last_boot_CPU_flags"))
        return GuestFacts(
            ref=record.ref,
            uuid=record.text("uuid"),
            name=record.text("name_label"),
            power_state=record.text("power_state"),
            host=self._host(record.link("resident_on")) or heading,
            heading=heading,
            memory=_memory(record),
            vcpus=record.integer("VCPUs_max", 1),
            hardware_version=record.integer("hardware_platform_version"),
            cpu_vendor=flags.text("vendor"),
            cpu_features=flags.text("features"),
            hvm=record.text("domain_type", "hvm") != "pv",
            storage=self._storage(record),
            networks=self._uuids(
                "network", (card.link("network") for card in self._cards.get(record.ref, ()))
            ),
            devices=frozenset(self._devices(record)),
            immobile=self._immobile(record),
            blocked=blocked.get("pool_migrate"),
            operations=record.operations(),
            protected=record.text("ha_restart_priority") == "restart",
            affinity=self._host(record.link("affinity")),
            apart=self._groups(record),
        )

    def _storage(self, guest: Record) -> frozenset[str]:
        disks = self._disks.get(guest.ref, ())
        images = (
            self._tables["VDI"].get(disk.link("VDI")) for disk in disks if not disk.flag("empty")
        )
        return self._uuids("SR", (image.link("SR") for image in images if image is not None))

    def _devices(self, guest: Record) -> Iterator[str]:
        for kind, field in (("pci", "attached_PCIs"), ("vgpu", "VGPUs"), ("usb", "VUSBs")):
            if guest.texts(field):
                yield kind
        for card in self._cards.get(guest.ref, ()):
            network = self._tables["network"].get(card.link("network"))
            pifs = network.texts("PIFs") if network else ()
            found = (self._tables["PIF"].get(pif) for pif in pifs)
            if any(pif.texts("sriov_logical_PIF_of") for pif in found if pif is not None):
                yield "sriov"

    def _immobile(self, guest: Record) -> bool:
        """As it was started; what ``platform`` says now counts from the next start (observed)."""
        metrics = self._tables["VM_metrics"].get(guest.link("metrics"))
        return metrics is not None and (metrics.flag("nomigrate") or metrics.flag("nested_virt"))

    def _groups(self, guest: Record) -> frozenset[str]:
        found = (self._tables["VM_group"].get(ref) for ref in guest.texts("groups"))
        return frozenset(
            group.text("uuid")
            for group in found
            if group is not None and group.text("placement") == "anti_affinity"
        )

    def _host(self, ref: str | None) -> str:
        record = self._tables["host"].get(ref)
        return record.text("uuid") if record else ""

    def _uuids(self, kind: str, refs: Iterator[str | None]) -> frozenset[str]:
        found = (self._tables[kind].get(ref) for ref in refs)
        return frozenset(record.text("uuid") for record in found if record is not None)


def _by_owner(table: Table) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in table:
        found.setdefault(record.link("VM") or "", []).append(record)
    return found


def _memory(guest: Record) -> int:
    size = guest.integer("memory_dynamic_max") or guest.integer("memory_static_max")
    return size + guest.integer("memory_overhead")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
