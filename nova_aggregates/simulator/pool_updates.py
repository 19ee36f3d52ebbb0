"""The pool_update model of XenServer 7 and 8.2: an update is a disk that is applied host by host.

Precheck and installation are plugins of the control domain there (python3/extensions). Their
outcome is in the update's other_config here: ``simulated_precheck`` and ``simulated_apply`` hold
the error, its parts separated by a vertical bar, and ``simulated_hosts`` the names of the hosts
that it happens on (all, if absent).
"""

from __future__ import annotations

from nova_aggregates.simulator import host_operations
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.errors import NULL_REF, ApiError

PRECHECK, APPLY, HOSTS = "simulated_precheck", "simulated_apply", "simulated_hosts"


@api("pool_update.introduce")
def introduce(call: Call, vdi: str) -> str:
    """What is on the disk follows from its name; the same disk twice is the same update."""
    record = call.db.get("VDI", vdi)
    if record["type"] == "cbt_metadata":
        raise ApiError("VDI_INCOMPATIBLE_TYPE", vdi, "cbt_metadata")
    for ref, update in call.db.find("pool_update", name_label=record["name_label"]):
        if update["vdi"] == vdi:
            return ref
        if call.db.peek("VDI", update["vdi"]) is not None:
            raise ApiError("UPDATE_ALREADY_EXISTS", update["uuid"])
        call.db.set("pool_update", ref, vdi=vdi)
        return ref
    return call.db.create(
        "pool_update",
        name_label=record["name_label"],
        name_description=record["name_description"],
        version="1.0",
        installation_size=int(record["virtual_size"]),
        vdi=vdi,
        after_apply_guidance=["restartHost"],
        enforce_homogeneity=True,
    )


def _outcome(call: Call, update: Record, host: str, key: str) -> ApiError | None:
    config = update["other_config"]
    name = call.machine.site.host_name(call.db, host)
    if key not in config or name not in config.get(HOSTS, name).split(","):
        return None
    return ApiError(*config[key].split("|"))


@api("pool_update.precheck")
async def precheck(call: Call, update: str, host: str) -> str:
    record = call.db.get("pool_update", update)
    await call.machine.site.contact(call.db, host)
    if call.db.peek("VDI", record["vdi"]) is None:
        raise ApiError("CANNOT_FIND_UPDATE")
    await call.clock.sleep(call.machine.profile.timings.precheck)
    error = _outcome(call, record, host, PRECHECK)
    if error is not None:
        raise error
    return "ok"


@api("pool_update.apply")
async def apply(call: Call, update: str, host: str) -> None:
    db = call.db
    record = db.get("pool_update", update)
    target = await call.machine.site.contact(db, host)
    if host in record["hosts"]:
        raise ApiError("UPDATE_ALREADY_APPLIED", update)
    mark = f"{update}/{host}"
    if mark in target.machine.site.faults.busy_updates:
        raise ApiError("OTHER_OPERATION_IN_PROGRESS", "Applying the update", update)
    target.machine.site.faults.busy_updates.add(mark)
    try:
        await precheck(call, update, host)
        await call.clock.sleep(call.machine.profile.timings.apply_updates)
    finally:
        target.machine.site.faults.busy_updates.discard(mark)
    error = _outcome(call, record, host, APPLY)
    if error is not None:
        raise error
    _applied(call, db, update, host)


def _applied(call: Call, db: Database, update: str, host: str) -> None:
    record = db.get("pool_update", update)
    db.set("pool_update", update, hosts=[*record["hosts"], host])
    known = db.get("host", host)
    db.set("host", host, updates=[*known["updates"], update])
    if "restartHost" in record["after_apply_guidance"]:
        waiting = [*known["updates_requiring_reboot"], update]
        db.set("host", host, updates_requiring_reboot=waiting)
    host_operations.refresh(db, host)
    site = call.machine.site
    site.history.host("updated", site.host_name(db, host), record["name_label"])


@api("pool_update.pool_apply")
async def pool_apply(call: Call, update: str) -> None:
    """One host after the other; the hosts where it failed are the error's parameters."""
    db = call.db
    there = db.get("pool_update", update)["hosts"]
    left = [h for h in db.tables["host"] if h not in there]
    if not left:
        raise ApiError("UPDATE_ALREADY_APPLIED_IN_POOL", update)
    failed = []
    for host in left:
        try:
            await apply(call, update, host)
        except ApiError:
            failed.append(host)
    if failed:
        raise ApiError("UPDATE_POOL_APPLY_FAILED", *reversed(failed))


@api("pool_update.pool_clean")
def pool_clean(call: Call, update: str) -> None:
    """Removes the disk, not what is installed."""
    vdi = call.db.get("pool_update", update)["vdi"]
    if call.db.peek("VDI", vdi) is not None:
        call.db.delete("VDI", vdi)
    call.db.set("pool_update", update, vdi=NULL_REF)


@api("pool_update.destroy")
def destroy(call: Call, update: str) -> None:
    if call.db.get("pool_update", update)["hosts"]:
        raise ApiError("UPDATE_IS_APPLIED")
    call.db.delete("pool_update", update)
