"""What is to be done after an update, and what has been done with (repository_helpers.ml)."""

from __future__ import annotations

from collections.abc import Iterable

from nova_aggregates.simulator import placement
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.updates import Update

KINDS = {
    "mandatory": "pending_guidances",
    "recommended": "pending_guidances_recommended",
    "full": "pending_guidances_full",
}
OF_GUESTS = frozenset(["restart_device_model", "restart_vm"])
EVACUATE = "evacuate_host"  # known to the repository only
AFTER_RESTART = frozenset(["restart_toolstack"])
AFTER_BOOT = AFTER_RESTART | {
    "reboot_host",
    "reboot_host_on_livepatch_failure",
    "reboot_host_on_kernel_livepatch_failure",
    "reboot_host_on_xen_livepatch_failure",
}


def note(db: Database, host: str, installed: Iterable[Update]) -> None:
    """Add to the pending guidances of the host and its guests what the updates ask for."""
    for kind, name in KINDS.items():
        coming = {g for u in installed for g in getattr(u, kind)} - {EVACUATE}
        own = coming - OF_GUESTS
        if "reboot_host" in own:
            own.discard("restart_toolstack")
        _add(db, "host", host, name, own)
        for vm in placement.residents(db, host):
            _add(db, "VM", vm, name, coming & OF_GUESTS)


def _add(db: Database, cls: str, ref: str, name: str, coming: set[str]) -> None:
    known = db.get(cls, ref)[name]
    db.set(cls, ref, **{name: [*known, *sorted(coming - set(known))]})


def follow(db: Database, host: str, done: frozenset[str]) -> None:
    """A start of the toolstack, or a boot, was what some guidances asked for."""
    record = db.get("host", host)
    for name in KINDS.values():
        db.set("host", host, **{name: [g for g in record[name] if g not in done]})
