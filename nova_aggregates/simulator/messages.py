"""The class message: alerts about an object, newest last (xapi_message.ml)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Record
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.values import DateTime

# Which table the uuid of a message's object is looked for in; others have none to look in.
TABLES = {
    "VM": "VM",
    "Host": "host",
    "SR": "SR",
    "Pool": "pool",
    "VMPP": "VMPP",
    "VMSS": "VMSS",
    "PVS_proxy": "PVS_proxy",
    "VDI": "VDI",
    "Certificate": "Certificate",
}


def _known(call: Call, cls: str, uuid: str) -> bool:
    return call.db.first(TABLES[cls], uuid=uuid) is not None


def _records(call: Call, wanted: Callable[[Record], bool]) -> dict[str, Any]:
    found = call.db.tables["message"].items()
    return {ref: call.model.shown("message", r) for ref, r in found if wanted(r)}


@api("message.create")
def create(call: Call, name: str, priority: int, cls: str, uuid: str, body: str) -> str:
    if not _known(call, cls, uuid):
        raise ApiError("UUID_INVALID", cls, uuid)
    return call.db.create(
        "message",
        name=name,
        priority=priority,
        cls=cls,
        obj_uuid=uuid,
        timestamp=call.clock.stamp(),
        body=body,
    )


@api("message.get")
def get(call: Call, cls: str, uuid: str, since: DateTime) -> dict[str, Any]:
    if not _known(call, cls, uuid):
        raise ApiError("UUID_INVALID")
    return _records(
        call,
        lambda r: (r["cls"], r["obj_uuid"]) == (cls, uuid) and r["timestamp"] > since,
    )


@api("message.get_since")
def get_since(call: Call, since: DateTime) -> dict[str, Any]:
    return _records(call, lambda r: r["timestamp"] > since)


@api("message.destroy_many")
def destroy_many(call: Call, messages: list[str]) -> None:
    for ref in messages:
        call.db.delete("message", ref)


@api("message.destroy_all")
def destroy_all(call: Call, filters: dict[str, str]) -> None:
    """All of a priority, before a date or after one."""

    def chosen(record: Record) -> bool:
        moment = record["timestamp"]
        return (
            moment < filters.get("before", "9")
            and moment > filters.get("after", "")
            and str(record["priority"]) == filters.get("priority", str(record["priority"]))
        )

    for ref in _records(call, chosen):
        call.db.delete("message", ref)
