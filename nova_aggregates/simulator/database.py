"""A pool's database: tables of records, the relations between them, and what changed when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from nova_aggregates.simulator.datamodel import Datamodel
from nova_aggregates.simulator.errors import NULL_REF, ApiError, handle_invalid
from nova_aggregates.simulator.levels import LEVELS, NEWEST, Level
from nova_aggregates.simulator.values import new_ref, new_uuid

Record = dict[str, Any]

# xapi keeps one side of a one-to-many relation and computes the other (ocaml/idl/datamodel.ml,
# all_relations). Child class and field -> parent class and set field.
RELATIONS: dict[tuple[str, str], tuple[str, str]] = {
    ("PBD", "host"): ("host", "PBDs"),
    ("PBD", "SR"): ("SR", "PBDs"),
    ("VDI", "SR"): ("SR", "VDIs"),
    ("VBD", "VDI"): ("VDI", "VBDs"),
    ("VBD", "VM"): ("VM", "VBDs"),
    ("VIF", "VM"): ("VM", "VIFs"),
    ("VIF", "network"): ("network", "VIFs"),
    ("VM", "resident_on"): ("host", "resident_VMs"),
    ("VM", "appliance"): ("VM_appliance", "VMs"),
    ("VM", "snapshot_of"): ("VM", "snapshots"),
    ("VGPU", "VM"): ("VM", "VGPUs"),
    ("VUSB", "VM"): ("VM", "VUSBs"),
    ("VTPM", "VM"): ("VM", "VTPMs"),
    ("console", "VM"): ("VM", "consoles"),
    ("PIF", "host"): ("host", "PIFs"),
    ("PIF", "network"): ("network", "PIFs"),
    ("PIF", "bond_slave_of"): ("Bond", "slaves"),
    ("Bond", "master"): ("PIF", "bond_master_of"),
    ("VLAN", "tagged_PIF"): ("PIF", "VLAN_slave_of"),
    ("tunnel", "access_PIF"): ("PIF", "tunnel_access_PIF_of"),
    ("tunnel", "transport_PIF"): ("PIF", "tunnel_transport_PIF_of"),
    ("network_sriov", "physical_PIF"): ("PIF", "sriov_physical_PIF_of"),
    ("network_sriov", "logical_PIF"): ("PIF", "sriov_logical_PIF_of"),
    ("host_cpu", "host"): ("host", "host_CPUs"),
    ("PCI", "host"): ("host", "PCIs"),
    ("PGPU", "host"): ("host", "PGPUs"),
    ("PUSB", "host"): ("host", "PUSBs"),
    ("Feature", "host"): ("host", "features"),
    ("Certificate", "host"): ("host", "certificates"),
    ("Cluster_host", "cluster"): ("Cluster", "cluster_hosts"),
    ("task", "subtask_of"): ("task", "subtasks"),
}

MOST_DELETIONS = 20_000  # that a client can still be told of


class Database:
    """Records by class and reference.

    Every change gets a number, so that event.from can tell what a client has not seen.
    """

    def __init__(self, model: Datamodel, level: Level = LEVELS[NEWEST]) -> None:
        self.model = model
        self.level = level  # of the master: which operations it has
        self.tables: dict[str, dict[str, Record]] = {name: {} for name in model.classes}
        self.generation = 200
        self.created: dict[tuple[str, str], int] = {}
        self.modified: dict[tuple[str, str], int] = {}
        self.deleted: list[tuple[int, int, str, str]] = []  # when, created when, class, ref
        self._waiting: set[asyncio.Event] = set()
        self.listeners: set[Callable[[str, str, str], None]] = set()  # operation, class, ref

    def create(self, cls: str, ref: str | None = None, /, **values: Any) -> str:
        """A new record with the class's defaults, the given values and a uuid of its own."""
        ref = ref or new_ref()
        record = self.model.defaults(cls)
        record.update(values)
        if not record.get("uuid"):
            record["uuid"] = new_uuid()
        self.tables[cls][ref] = record
        self.created[cls, ref] = self.generation + 1
        self.touch(cls, ref, "add")
        for name, value in values.items():
            self._relate(cls, name, ref, NULL_REF, value)
        return ref

    def get(self, cls: str, ref: str) -> Record:
        """Raises ApiError HANDLE_INVALID with the class's name."""
        found = self.tables[cls].get(ref)
        if found is None:
            raise handle_invalid(cls, ref)
        return found

    def peek(self, cls: str, ref: str) -> Record | None:
        return self.tables[cls].get(ref)

    def set(self, cls: str, ref: str, /, **values: Any) -> None:
        """Write fields; writing the value a field has makes no event (observed)."""
        record = self.get(cls, ref)
        for name, value in values.items():
            before = record[name]
            if before == value and type(before) is type(value):
                continue
            record[name] = value
            self.touch(cls, ref)
            self._relate(cls, name, ref, before, value)

    def delete(self, cls: str, ref: str) -> None:
        record = self.get(cls, ref)
        for name in list(record):
            self._relate(cls, name, ref, record[name], NULL_REF)
        del self.tables[cls][ref]
        self.generation += 1
        self.deleted.append((self.generation, self.created.pop((cls, ref)), cls, ref))
        self.modified.pop((cls, ref), None)
        if len(self.deleted) > MOST_DELETIONS:
            del self.deleted[: MOST_DELETIONS // 2]
        self._tell("del", cls, ref)

    def find(self, cls: str, /, **wanted: Any) -> Iterator[tuple[str, Record]]:
        for ref, record in list(self.tables[cls].items()):
            if all(record[k] == v for k, v in wanted.items()):
                yield ref, record

    def first(self, cls: str, /, **wanted: Any) -> tuple[str, Record] | None:
        return next(self.find(cls, **wanted), None)

    def by_uuid(self, cls: str, uuid: str) -> str:
        """Raises ApiError UUID_INVALID."""
        found = self.first(cls, uuid=uuid)
        if found is None:
            raise ApiError("UUID_INVALID", cls, uuid)
        return found[0]

    @property
    def pool(self) -> str:
        return next(iter(self.tables["pool"]))

    @property
    def pool_record(self) -> Record:
        return self.tables["pool"][self.pool]

    @property
    def master(self) -> str:
        return str(self.pool_record["master"])

    def clone(self) -> Database:
        """What a copy of the database file holds: sessions and tasks are never written to it.

        Values are shared: nobody changes one in place, ``set`` puts another there.
        """
        other = Database(self.model, self.level)
        other.tables = {
            cls: {ref: dict(record) for ref, record in table.items()}
            for cls, table in self.tables.items()
        }
        other.tables["session"] = {}
        other.tables["task"] = {}
        other.forget_changes()
        other.generation = self.generation
        return other

    def forget_changes(self) -> None:
        """After a restart only the records count: everything is new to every client."""
        self.deleted.clear()
        self.created = {(c, r): self.generation for c, t in self.tables.items() for r in t}
        self.modified = dict(self.created)

    def drop_volatile(self) -> None:
        """Sessions and tasks do not survive a restart; operations of vanished tasks neither."""
        self.tables["session"].clear()
        self.tables["task"].clear()
        for cls in ("pool", "host", "VM", "SR", "VDI", "network", "VBD", "VIF"):
            for record in self.tables[cls].values():
                record["current_operations"] = {}
        self.forget_changes()

    def wait_for_change(self) -> asyncio.Event:
        """An event set at the next change. Give it back with ``stop_waiting``."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def stop_waiting(self, event: asyncio.Event) -> None:
        self._waiting.discard(event)

    def touch(self, cls: str, ref: str, operation: str = "mod") -> None:
        """Tell of a record, also when nothing was written to it."""
        self.generation += 1
        self.modified[cls, ref] = self.generation
        self._tell(operation, cls, ref)

    def _tell(self, operation: str, cls: str, ref: str) -> None:
        for listener in list(self.listeners):
            listener(operation, cls, ref)
        for event in self._waiting:
            event.set()

    def _relate(self, cls: str, name: str, ref: str, before: Any, after: Any) -> None:
        relation = RELATIONS.get((cls, name))
        if relation is None or before == after:
            return
        parent_cls, field = relation
        for parent, wanted in ((before, False), (after, True)):
            record = self.tables[parent_cls].get(parent)
            if record is None:
                continue
            members = [m for m in record[field] if m != ref]
            record[field] = [*members, ref] if wanted else members
            self.touch(parent_cls, parent)
