"""The methods that every class has: field access, records, look-ups, create and destroy."""

from __future__ import annotations

from typing import Any

from nova_aggregates.simulator import roles, where
from nova_aggregates.simulator.calls import Call, Handler
from nova_aggregates.simulator.database import Record
from nova_aggregates.simulator.datamodel import Method
from nova_aggregates.simulator.errors import ApiError, handle_invalid, internal
from nova_aggregates.simulator.values import new_uuid

# Calls with a host that are answered at the master, from its record (message_forwarding.ml).
LOOKED_UP = frozenset(
    f"host.{verb}"
    for verb in (
        "allocate_resources_for_vm",
        "apply_updates",
        "compute_free_memory",
        "compute_memory_overhead",
        "copy_primary_host_certs",
        "create_new_blob",
        "get_management_interface",
        "get_uncooperative_domains",
        "get_uncooperative_resident_VMs",
        "refresh_server_certificate",
        "retrieve_wlb_evacuate_recommendations",
        "set_servertime",
        "sync_data",
        "sync_pif_currently_attached",
        "sync_tunnels",
        "sync_vlans",
        "tickle_heartbeat",
    )
)


def handler_for(method: Method) -> Handler:
    """What to do for a method that has no handler of its own."""
    if method.accessor is not None:
        return _ACCESSORS[method.accessor[0]]
    if method.verb == "create" and not method.params[0].kind.startswith("record"):
        return not_simulated
    return _GENERIC.get(method.verb, not_simulated)


async def not_simulated(call: Call, *args: Any) -> Any:
    """Known to the datamodel, and here only as far as its arguments can be wrong.

    A host that the call would be forwarded to is contacted: most do not look at its record first.
    """
    for param, value in zip(call.method.params, args, strict=False):
        kind, _, cls = param.kind.partition(" ")
        if kind == "ref" and cls == "host" and call.method.name not in LOOKED_UP:
            await call.machine.site.contact(call.db, value)
        elif kind == "ref" and cls in call.db.tables and not param.optional:
            call.db.get(cls, value)
    raise ApiError("NOT_IMPLEMENTED", call.method.name)


def _field(call: Call) -> str:
    accessor = call.method.accessor
    return accessor[1] if accessor else ""


def get_field(call: Call, ref: str) -> Any:
    return _record(call, ref)[_field(call)]


def set_field(call: Call, ref: str, value: Any) -> None:
    call.db.set(call.method.cls, ref, **{_field(call): value})


def add_to_set(call: Call, ref: str, value: Any) -> None:
    members = call.db.get(call.method.cls, ref)[_field(call)]
    if value not in members:
        call.db.set(call.method.cls, ref, **{_field(call): [*members, value]})


def remove_from_set(call: Call, ref: str, value: Any) -> None:
    members = call.db.get(call.method.cls, ref)[_field(call)]
    call.db.set(call.method.cls, ref, **{_field(call): [m for m in members if m != value]})


def add_to_map(call: Call, ref: str, key: str, value: Any) -> None:
    """Raises MAP_DUPLICATE_KEY, also for the value that is there already (observed)."""
    cls, field = call.method.cls, _field(call)
    entries = call.db.get(cls, ref)[field]
    if key == "":
        raise internal("Db_exn.Empty_key_in_map")
    if key in entries:
        raise ApiError("MAP_DUPLICATE_KEY", cls, field, ref, key)
    call.db.set(cls, ref, **{field: {**entries, key: value}})


def remove_from_map(call: Call, ref: str, key: str) -> None:
    cls, field = call.method.cls, _field(call)
    entries = call.db.get(cls, ref)[field]
    call.db.set(cls, ref, **{field: {k: v for k, v in entries.items() if k != key}})


def _table(call: Call) -> dict[str, Record]:
    """Roles are the same everywhere; all else stands in the pool's database."""
    cls = call.method.cls
    return roles.table(call.model) if cls == "role" else call.db.tables[cls]


def _record(call: Call, ref: str) -> Record:
    found = _table(call).get(ref)
    if found is None:
        raise handle_invalid(call.method.cls, ref)
    return found


def get_all(call: Call) -> list[str]:
    return list(_table(call))


def get_record(call: Call, ref: str) -> dict[str, Any]:
    return call.model.shown(call.method.cls, _record(call, ref))


def get_all_records(call: Call) -> dict[str, Any]:
    cls = call.method.cls
    return {ref: call.model.shown(cls, record) for ref, record in _table(call).items()}


def get_all_records_where(call: Call, expression: str) -> dict[str, Any]:
    cls = call.model.classes[call.method.cls]
    matches = where.parse(expression, {f.column: f for f in cls.fields.values()})
    found = ((ref, record) for ref, record in _table(call).items() if matches(ref, record))
    return {ref: call.model.shown(cls.name, record) for ref, record in found}


def get_all_where(call: Call, expression: str) -> list[str]:
    return list(get_all_records_where(call, expression))


def get_by_uuid(call: Call, uuid: str) -> str:
    for ref, record in _table(call).items():
        if record["uuid"] == uuid:
            return ref
    raise ApiError("UUID_INVALID", call.method.cls, uuid)


def get_by_name_label(call: Call, label: str) -> list[str]:
    return [ref for ref, record in _table(call).items() if record["name_label"] == label]


def create(call: Call, given: dict[str, Any]) -> str:
    """A constructor: known fields of the record are taken, the rest has its default."""
    model = call.model
    cls = model.classes[call.method.cls]
    values = {
        name: model.decoder.decode(cls.fields[name].kind, value)
        for name, value in given.items()
        if name in cls.fields and name not in ("allowed_operations", "current_operations")
    }
    values["uuid"] = new_uuid()
    return call.db.create(call.method.cls, **values)


def destroy(call: Call, ref: str) -> None:
    call.db.delete(call.method.cls, ref)


_ACCESSORS: dict[str, Handler] = {
    "get": get_field,
    "set": set_field,
    "add": add_to_set,
    "remove": remove_from_set,
    "add_to": add_to_map,
    "remove_from": remove_from_map,
}

_GENERIC: dict[str, Handler] = {
    "get_all": get_all,
    "get_record": get_record,
    "get_all_records": get_all_records,
    "get_all_records_where": get_all_records_where,
    "get_all_where": get_all_where,
    "get_by_uuid": get_by_uuid,
    "get_by_name_label": get_by_name_label,
    "create": create,
    "destroy": destroy,
}
