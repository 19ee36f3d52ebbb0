"""The verbs of a guest. Each begins in the background and returns its task, because several run at
a time; whoever asks looks at the guest for what became of it."""

from __future__ import annotations

import dataclasses

from nova_aggregates.xenapi import errors, names
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.decode import Record, Table
from nova_aggregates.xenapi.vm import is_guest


@dataclasses.dataclass(frozen=True, slots=True)
class GuestState:
    """Where a guest is and what is under way on it."""

    uuid: str
    name: str
    power_state: str  # Halted, Paused, Running, Suspended
    host: str  # uuid of the host that it is on; empty for none
    memory: int  # bytes, without what the hypervisor adds
    operations: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class TaskState:
    pending: bool
    progress: float  # 0 to 1
    error: errors.XenError | None  # why it failed or was cancelled


class Guests:
    """Guests of the pool that this connection's host is the master of."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._hosts: dict[str, str] = {}  # uuid by reference; references last as long as the pool

    def find(self, uuid: str) -> GuestState | None:
        """None when there is no such guest (any more). Raises XenError."""
        try:
            ref = str(self._connection.call("VM.get_by_uuid", uuid))
            return self._state(Record(ref, self._connection.call("VM.get_record", ref)))
        except errors.ObjectGone:
            return None

    def on(self, host_uuid: str) -> tuple[GuestState, ...]:
        """The guests on a host, control domains apart. Raises XenError."""
        host = self._host_ref(host_uuid)
        where = f'field "resident_on" = "{host}" and not (field "is_control_domain" = "true")'
        table = Table(self._connection.call("VM.get_all_records_where", where))
        found = [self._state(record) for record in table if is_guest(record)]
        return tuple(sorted(found, key=lambda guest: (guest.name, guest.uuid)))

    def migrate(self, uuid: str, host_uuid: str, network_uuid: str = "") -> str:
        """A live move within the pool; over the management network unless one is named."""
        options = {"live": "true"}
        if network_uuid:
            options["network"] = str(self._connection.call("network.get_by_uuid", network_uuid))
        return self._begin("VM.pool_migrate", uuid, self._host_ref(host_uuid), options)

    def shut_down(self, uuid: str) -> str:
        """As the guest's own system does it; a guest that does not listen is left running."""
        return self._begin("VM.clean_shutdown", uuid)

    def start_on(self, uuid: str, host_uuid: str) -> str:
        return self._begin("VM.start_on", uuid, self._host_ref(host_uuid), False, False)

    def resume_on(self, uuid: str, host_uuid: str) -> str:
        return self._begin("VM.resume_on", uuid, self._host_ref(host_uuid), False, False)

    def task(self, ref: str) -> TaskState | None:
        """None for a task that is forgotten: its toolstack has restarted. Raises XenError."""
        try:
            record = Record(ref, self._connection.call("task.get_record", ref))
        except errors.ObjectGone:
            return None
        if record.text("status") == "pending":
            return TaskState(True, _progress(record), None)
        error = None
        if record.text("status") != "success":
            details = self._connection.blotted(record.texts("error_info"))
            error = names.with_names(
                self._connection,
                errors.from_task(
                    details or ("TASK_CANCELLED", ref),
                    where=self._connection.endpoint.where,
                    method=record.text("name_label"),
                ),
            )
        return TaskState(False, 1.0, error)

    def _begin(self, method: str, uuid: str, *args: object) -> str:
        ref = self._connection.call("VM.get_by_uuid", uuid)
        return str(self._connection.call(f"Async.{method}", ref, *args))

    def _state(self, record: Record) -> GuestState:
        return GuestState(
            uuid=record.text("uuid"),
            name=record.text("name_label") or record.text("uuid"),
            power_state=record.text("power_state"),
            host=self._host_uuid(record.link("resident_on")),
            memory=record.integer("memory_dynamic_max") or record.integer("memory_static_max"),
            operations=record.operations(),
        )

    def _host_uuid(self, ref: str | None) -> str:
        if ref is None:
            return ""
        if ref not in self._hosts:
            self._read_hosts()
        return self._hosts.get(ref, "")

    def _host_ref(self, uuid: str) -> str:
        for ref, known in self._hosts.items():
            if known == uuid:
                return ref
        return str(self._connection.call("host.get_by_uuid", uuid))

    def _read_hosts(self) -> None:
        table = Table(self._connection.call("host.get_all_records"))
        self._hosts = {record.ref: record.text("uuid") for record in table}


def _progress(record: Record) -> float:
    try:
        return min(1.0, max(0.0, float(record.text("progress", "0"))))
    except ValueError:
        return 0.0
