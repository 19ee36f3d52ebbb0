"""Which operations of a pool exclude each other (xapi_pool_helpers.ml)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from nova_aggregates.simulator.calls import create_task
from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError

ALL = [
    "ha_enable",
    "cluster_create",
    "designate_new_master",
    "tls_verification_enable",
    "configure_repositories",
    "sync_updates",
    "sync_bundle",
    "apply_updates",
    "cert_refresh",
    "exchange_certificates_on_join",
    "exchange_ca_certificates_on_join",
    "copy_primary_host_certs",
    "eject",
    "get_updates",
    "exchange_crls_on_join",
]
BLOCKING = frozenset(
    [
        "ha_enable",
        "ha_disable",
        "cluster_create",
        "designate_new_master",
        "tls_verification_enable",
        "configure_repositories",
        "sync_updates",
        "sync_bundle",
        "apply_updates",
    ]
)
RETRY = 0.25
# Operations that older releases did not mark: there they exclude nothing.
CAME_WITH: dict[str, tuple[int, ...]] = {
    "ha_enable": (),
    "ha_disable": (),
    "cluster_create": (),
    "designate_new_master": (1, 249),
    "sync_bundle": (24, 20),
    "exchange_crls_on_join": (26, 13),
}
OTHERS_CAME_WITH = (1, 297)


def marked(db: Database, operation: str) -> bool:
    return db.level.since(*CAME_WITH.get(operation, OTHERS_CAME_WITH))


def refresh_allowed(db: Database) -> None:
    running = set(db.pool_record["current_operations"].values())
    allowed = [] if running & BLOCKING else [o for o in ALL if marked(db, o)]
    if db.pool_record["ha_enabled"]:
        allowed = ["ha_disable", *(o for o in allowed if o not in ("ha_enable", "eject"))]
    db.set("pool", db.pool, allowed_operations=allowed)


@contextlib.asynccontextmanager
async def pool_operation(
    db: Database, clock: Clock, operation: str, *, task: str | None = None, limit: float = 7200.0
) -> AsyncIterator[None]:
    """Hold a pool operation.

    A blocking one fails at once, with the running one's own code, while another blocking one runs;
    everything else waits, up to ``limit`` virtual seconds. Raises OTHER_OPERATION_IN_PROGRESS then.
    """
    if db.pool_record["is_psr_pending"]:
        raise ApiError("POOL_SECRET_ROTATION_PENDING")
    if not marked(db, operation):
        yield
        return
    deadline = clock.now() + limit
    while db.pool_record["current_operations"]:
        other_task, other = next(iter(db.pool_record["current_operations"].items()))
        if operation in BLOCKING and other in BLOCKING:
            raise ApiError(f"{other.upper()}_IN_PROGRESS")
        if clock.now() >= deadline:
            raise ApiError("OTHER_OPERATION_IN_PROGRESS", "pool", db.pool, other, other_task)
        await clock.sleep(RETRY)
    own_task = task is None
    task = task or create_task(db, clock, f"pool.{operation}", db.master)
    _set(db, {**db.pool_record["current_operations"], task: operation})
    try:
        yield
    finally:
        current = db.pool_record["current_operations"]
        _set(db, {t: o for t, o in current.items() if t != task})
        if own_task and db.peek("task", task) is not None:
            db.delete("task", task)


def _set(db: Database, operations: dict[str, str]) -> None:
    db.set("pool", db.pool, current_operations=operations)
    refresh_allowed(db)
