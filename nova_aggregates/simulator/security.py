"""TLS verification between members, and licences."""

from __future__ import annotations

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.pool_operations import pool_operation


@api("pool.enable_tls_verification")
async def enable_tls_verification(call: Call) -> None:
    """For ever: no call turns it off for the pool. Repeating it is no error (observed)."""
    db, site = call.db, call.machine.site
    if db.pool_record["ha_enabled"]:
        raise ApiError("HA_IS_ENABLED")
    async with pool_operation(db, call.clock, "tls_verification_enable", task=call.task_ref()):
        await call.clock.sleep(call.machine.profile.timings.eject / 2)
        for host in list(db.tables["host"]):
            target = await site.contact(db, host)
            target.machine.disk.tls_verification = True
            db.set("host", host, tls_verification_enabled=True)
    db.set("pool", db.pool, tls_verification_enabled=True, wlb_verify_cert=True)


def _switch_verification(call: Call, *, on: bool) -> None:
    call.machine.disk.tls_verification = on
    db = call.process.db
    if db is not None:
        db.set("host", call.host_ref, tls_verification_enabled=on)


@api("host.emergency_disable_tls_verification")
def emergency_disable(call: Call) -> None:
    """Of this host alone; the pool's flag stays (observed)."""
    _switch_verification(call, on=False)


@api("host.emergency_reenable_tls_verification")
def emergency_reenable(call: Call) -> None:
    _switch_verification(call, on=True)


@api("host.apply_edition")
async def apply_edition(call: Call, host: str, edition: str, force: bool) -> None:
    """The licence daemon of the observed hosts took any edition."""
    del force
    target = await call.machine.site.contact(call.db, host)
    target.machine.hardware.edition = edition
    call.db.set("host", host, edition=edition)


@api("pool.apply_edition")
async def apply_edition_everywhere(call: Call, pool: str, edition: str) -> None:
    call.db.get("pool", pool)
    for host in list(call.db.tables["host"]):
        await apply_edition(call, host, edition, False)
