"""Guests, as far as the service looks at them."""

from __future__ import annotations

from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.decode import NULL_REF, Record, Table
from nova_aggregates.xenapi.types import VmView

# get_all_records returns some thirty templates and all halted guests with it; only those on a host
# matter here. The names are the database's (xapi ocaml/database/db_filter_parse.mly).
_RESIDENT = f'not (field "resident_on" = "{NULL_REF}") and not (field "is_control_domain" = "true")'


def resident(connection: Connection) -> tuple[VmView, ...]:
    """The guests that are on a host now: running or paused, no control domains."""
    table = Table(connection.call("VM.get_all_records_where", _RESIDENT))
    return tuple(decoded(record) for record in table if is_guest(record))


def is_guest(record: Record) -> bool:
    flags = ("is_control_domain", "is_a_template", "is_a_snapshot")
    return not any(record.flag(flag) for flag in flags)


def decoded(record: Record) -> VmView:
    return VmView(
        ref=record.ref,
        uuid=record.text("uuid"),
        name=record.text("name_label"),
        power_state=record.text("power_state"),
        resident_on=record.link("resident_on"),
        vcpus=record.integer("VCPUs_max"),
        memory_bytes=record.integer("memory_dynamic_max"),
        current_operations=record.operations(),
    )
