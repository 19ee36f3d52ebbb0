"""What speaks against removing a host from its pool.

Partly what pool.eject itself refuses (xapi ``ocaml/xapi/xapi_pool.ml`` eject), partly what it does
without asking: the local storage of an ejected host is emptied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from nova_aggregates.xenapi import vm
from nova_aggregates.xenapi.checks import Problem, listed
from nova_aggregates.xenapi.decode import Record
from nova_aggregates.xenapi.snapshot import Snapshot

_DATA = ("user", "system", "suspend")  # types of VDI that hold somebody's data
_DEVICES = ("udev", "iso")  # drives and ISO libraries: nothing there is lost
_GIB = 1024**3


@dataclasses.dataclass(frozen=True, slots=True)
class Leaving:
    pool: Snapshot
    host: Record

    @property
    def name(self) -> str:
        return self.host.text("name_label")


def not_live(leaving: Leaving) -> Iterator[Problem]:
    metrics = leaving.pool["host_metrics"].get(leaving.host.link("metrics"))
    if metrics is None or not metrics.flag("live"):
        yield Problem(
            "HOST_OFFLINE",
            f"{leaving.name} is not in contact with its master",
            params=(leaving.host.ref,),
            ours="not live",
        )


def guests_on(leaving: Leaving) -> list[Record]:
    return [
        found
        for found in leaving.pool["VM"]
        if found.link("resident_on") == leaving.host.ref
        and vm.is_guest(found)
        and found.text("power_state") != "Halted"
    ]


def data_on(leaving: Leaving) -> list[tuple[Record, list[Record]]]:
    """Each local storage that holds somebody's data, with the disks that do."""
    found = []
    for sr in leaving.pool["SR"]:
        if not _only_here(leaving, sr):
            continue
        disks = [vdi for vdi in leaving.pool["VDI"] if vdi.link("SR") == sr.ref and _is_data(vdi)]
        if disks:
            found.append((sr, disks))
    return found


def named(record: Record) -> str:
    """The name with the uuid, because names need not differ."""
    return f"{record.text('name_label')} ({record.text('uuid')})".strip()


def guests(leaving: Leaving) -> Iterator[Problem]:
    """Everything on the host that is no control domain and not halted."""
    present = [
        f"{found.text('name_label')} ({found.text('power_state')})" for found in guests_on(leaving)
    ]
    if present:
        yield Problem(
            "OPERATION_NOT_ALLOWED",
            f"Guests are on {leaving.name}: {listed(present)}",
            params=("VM resident on host",),
            ours=str(len(present)),
        )


def local_data(leaving: Leaving) -> Iterator[Problem]:
    for sr, disks in data_on(leaving):
        shown = listed(f"{_name(vdi)} ({size(vdi)})" for vdi in disks)
        yield Problem(
            "LOCAL_STORAGE_HOLDS_DATA",
            f"The local storage {_name(sr)} of {leaving.name} would be emptied; it holds {shown}",
            params=(_name(sr),),
            ours=str(len(disks)),
        )


def high_availability(leaving: Leaving) -> Iterator[Problem]:
    if leaving.pool.pool.flag("ha_enabled"):
        yield Problem("HA_IS_ENABLED", "High availability is on in the pool", theirs="enabled")


def secret_rotation(leaving: Leaving) -> Iterator[Problem]:
    if leaving.pool.pool.flag("is_psr_pending"):
        yield Problem(
            "POOL_SECRET_ROTATION_PENDING", "A rotation of the pool's secret is not finished"
        )


def updating(leaving: Leaving) -> Iterator[Problem]:
    if "apply_updates" in leaving.pool.pool.operations():
        yield Problem(
            "NOT_SUPPORTED_DURING_UPGRADE", "Updates are being applied in the pool at this time"
        )


def _only_here(leaving: Leaving, sr: Record) -> bool:
    """As xapi decides which SRs it forgets with a host: by PBDs, whatever ``shared`` says (xapi
    ``ocaml/xapi/helpers.ml`` is_sr_shared)."""
    if sr.flag("is_tools_sr") or sr.text("type") in _DEVICES or sr.text("content_type") == "iso":
        return False
    hosts = [pbd.link("host") for pbd in leaving.pool["PBD"] if pbd.link("SR") == sr.ref]
    return hosts == [leaving.host.ref]


def _is_data(vdi: Record) -> bool:
    managed = vdi.flag("managed", default=True)
    return managed and vdi.text("type", "user") in _DATA and not vdi.flag("missing")


def _name(record: Record) -> str:
    return record.text("name_label") or record.text("uuid")


def size(vdi: Record) -> str:
    return f"{vdi.integer('virtual_size') / _GIB:.1f} GiB"
