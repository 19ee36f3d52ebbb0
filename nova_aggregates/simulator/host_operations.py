"""Which operations on a host exclude each other, and which it allows (xapi_host_helpers.ml)."""

from __future__ import annotations

from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError

PLACEMENT = frozenset(["provision", "vm_resume", "vm_migrate"])
LEAVING = frozenset(["evacuate", "reboot", "shutdown"])
EXCLUSIVE = frozenset(["reboot", "shutdown", "apply_updates"])
SHOWN = ["vm_migrate", "provision", "vm_resume", "enable", "evacuate", "vm_start"]
CAME_WITH = {"enable": (23, 9), "apply_updates": (1, 301)}


def conflict(db: Database, host: str, operation: str) -> tuple[str, str] | None:
    """The task and operation that keep this one from running (xapi_host_helpers.ml)."""
    for task, other in db.get("host", host)["current_operations"].items():
        if operation in PLACEMENT and other in LEAVING:
            return task, other
        if operation in LEAVING and other in PLACEMENT:
            return task, other
        if operation in EXCLUSIVE and other in EXCLUSIVE:
            return task, other
        if operation == "enable" and other == "apply_updates":
            return task, other
    return None


def refresh(db: Database, host: str) -> None:
    record = db.get("host", host)
    shown = list(SHOWN)
    if not record["enabled"]:
        shown += ["apply_updates", "reboot", "shutdown"]
    running = set(record["current_operations"].values())
    hidden: set[str] = set()
    if running & LEAVING:
        hidden |= PLACEMENT
    if running & EXCLUSIVE:
        hidden |= {"reboot", "apply_updates"}
    if running & PLACEMENT:
        hidden |= LEAVING
    known = [o for o in shown if db.level.since(*CAME_WITH.get(o, ()))]
    db.set("host", host, allowed_operations=[o for o in known if o not in hidden])


def begin(db: Database, host: str, operation: str, task: str) -> None:
    """Raises OTHER_OPERATION_IN_PROGRESS."""
    other = conflict(db, host, operation)
    if other is not None:
        raise ApiError("OTHER_OPERATION_IN_PROGRESS", "host", host, other[1], other[0])
    record = db.get("host", host)
    db.set("host", host, current_operations={**record["current_operations"], task: operation})
    refresh(db, host)


def end(db: Database, host: str, task: str) -> None:
    record = db.peek("host", host)
    if record is not None:
        rest = {t: o for t, o in record["current_operations"].items() if t != task}
        db.set("host", host, current_operations=rest)
        refresh(db, host)


def assert_clustered_storage_whole(db: Database) -> None:
    """No host goes down while another member of the storage's cluster is.

    Raises CLUSTERED_SR_DEGRADED.
    """
    attached = {p["SR"] for _, p in db.find("PBD", currently_attached=True)}
    clustered = [ref for ref, _ in db.find("SR", clustered=True) if ref in attached]
    if not clustered:
        return
    for _, member in db.find("Cluster_host", enabled=True):
        host = db.peek("host", member["host"])
        metrics = db.peek("host_metrics", host["metrics"]) if host else None
        if metrics is not None and not metrics["live"]:
            raise ApiError("CLUSTERED_SR_DEGRADED", clustered[0])
