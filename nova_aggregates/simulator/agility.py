"""Could a guest run on any enabled host, as far as its devices go? (agility.ml)"""

from __future__ import annotations

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.errors import ApiError


@api("VM.assert_agile")
def check_agile(call: Call, vm: str) -> None:
    assert_agile(call.db, vm)


def is_agile(db: Database, vm: str) -> bool:
    """A passed-through device binds a guest as well, which the call does not look at."""
    if db.get("VM", vm)["attached_PCIs"]:
        return False
    try:
        assert_agile(db, vm)
    except ApiError:
        return False
    return True


def assert_agile(db: Database, vm: str) -> None:
    """Raises what binds the guest: VM_HAS_VGPU, VM_HAS_VUSBS, VM_HAS_SRIOV_VIF,
    HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED or HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED.
    """
    record = db.get("VM", vm)
    if record["VGPUs"]:
        raise ApiError("VM_HAS_VGPU", vm)
    if record["VUSBs"]:
        raise ApiError("VM_HAS_VUSBS", vm)
    enabled = {h for h, r in db.find("host") if r["enabled"]}
    for vbd in record["VBDs"]:
        disk = db.get("VBD", vbd)
        vdi = db.peek("VDI", disk["VDI"])
        if vdi is not None and not disk["empty"] and not _shared_sr(db, vdi["SR"], enabled):
            raise ApiError("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", vdi["SR"])
    for vif in record["VIFs"]:
        _assert_network(db, vm, db.get("VIF", vif)["network"], enabled)


def _shared_sr(db: Database, sr: str, enabled: set[str]) -> bool:
    record = db.get("SR", sr)
    pbds = [db.get("PBD", p) for p in record["PBDs"]]
    return bool(record["shared"]) and enabled <= {
        p["host"] for p in pbds if p["currently_attached"]
    }


def _assert_network(db: Database, vm: str, network: str, enabled: set[str]) -> None:
    record = db.peek("network", network)
    if record is None:
        return
    interfaces = [db.get("PIF", p) for p in record["PIFs"]]
    if not enabled <= {p["host"] for p in interfaces}:
        raise ApiError("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", network)
    if interfaces and _is_virtual_function(db, interfaces[0]):
        raise ApiError("VM_HAS_SRIOV_VIF", vm)


def _is_virtual_function(db: Database, interface: Record) -> bool:
    """Is it an SR-IOV network's logical interface, or a VLAN on one?"""
    if interface["sriov_logical_PIF_of"]:
        return True
    vlan = db.peek("VLAN", interface["VLAN_master_of"])
    below = db.peek("PIF", vlan["tagged_PIF"]) if vlan is not None else None
    return below is not None and bool(below["sriov_logical_PIF_of"])
