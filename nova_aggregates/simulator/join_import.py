"""Step 7 of a join: the joiner's objects become records of the pool's database.

Looked up by uuid first, so that a repeated join finds what an earlier one left (xapi_pool.ml).
"""

from __future__ import annotations

from typing import Any

from nova_aggregates.simulator import networks, records
from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.errors import NULL_REF
from nova_aggregates.simulator.machine import Machine

# What of the host's settings goes along; its description and tags do not (observed).
KEPT = (
    "name_label",
    "hostname",
    "address",
    "other_config",
    "edition",
    "license_params",
    "license_server",
    "software_version",
    "last_update_hash",
    "last_software_update",
    "latest_synced_updates_applied",
    "chipset_info",
    "https_only",
    "max_cstate",
    "secure_boot",
    "numa_affinity_policy",
    "timezone",
    "ntp_mode",
    "ntp_custom_servers",
    "external_auth_type",
    "external_auth_service_name",
    "external_auth_configuration",
    "pending_guidances_recommended",
    "pending_guidances_full",
)

# The joiner takes these from the pool's master before it joins.
ALIGNED = ("ssh_enabled", "ssh_enabled_timeout", "ssh_auto_mode", "console_idle_timeout")


def import_host(local: Database, remote: Database, machine: Machine) -> str:
    """The host record and everything on it. Returns the reference in the pool."""
    own = local.get("host", local.master)
    found = remote.first("host", uuid=own["uuid"])
    if found is not None:
        host = found[0]
    else:
        master = remote.get("host", remote.master)
        kept = {name: own[name] for name in KEPT} | {name: master[name] for name in ALIGNED}
        host = records.create_host(remote, machine, enabled=False, **kept)
    networks = _networks(local, remote)
    storages = _storages(local, remote, host)
    _interfaces(local, remote, host, networks)
    _guests(local, remote, storages, networks)
    return host


def copy_record(remote: Database, cls: str, record: Record, **changes: Any) -> str:
    """The record by uuid, or a new one with the same uuid and a reference of its own."""
    found = remote.first(cls, uuid=record["uuid"])
    if found is not None:
        return found[0]
    derived = {"PBDs", "VDIs", "VBDs", "VIFs", "PIFs", "consoles", "snapshots", "crash_dumps"}
    values = {k: v for k, v in record.items() if k not in derived}
    if "current_operations" in values:
        values["current_operations"] = {}
    return remote.create(cls, **{**values, **changes})


def _networks(local: Database, remote: Database) -> dict[str, str]:
    """Physical ones meet by bridge: xenbr0 here is xenbr0 there. Others keep to themselves."""
    mapping = {}
    for ref, record in local.find("network"):
        same = remote.first("network", bridge=record["bridge"]) if record["bridge"] else None
        if same is not None and _meets(local, record):
            mapping[ref] = same[0]
        elif same is not None:
            bridge = networks.free_bridge(remote)
            mapping[ref] = copy_record(remote, "network", record, bridge=bridge)
        else:
            mapping[ref] = copy_record(remote, "network", record)
    return mapping


def _meets(local: Database, network: Record) -> bool:
    internal = network["other_config"].get("is_host_internal_management_network") == "true"
    interfaces = [local.peek("PIF", ref) for ref in network["PIFs"]]
    return internal or any(p is not None and p["physical"] for p in interfaces)


def _storages(local: Database, remote: Database, host: str) -> dict[str, str]:
    """Local repositories with their PBDs and disks. The tools are there already."""
    disks: dict[str, str] = {}
    for ref, record in local.find("SR", shared=False):
        sr = copy_record(remote, "SR", record)
        for _, plug in local.find("PBD", SR=ref):
            copy_record(remote, "PBD", plug, host=host, SR=sr, currently_attached=False)
        for vdi, disk in local.find("VDI", SR=ref):
            disks[vdi] = copy_record(remote, "VDI", disk, SR=sr)
    return disks


def _interfaces(local: Database, remote: Database, host: str, networks: dict[str, str]) -> None:
    for _, pif in local.find("PIF", physical=True):
        metrics = local.peek("PIF_metrics", pif["metrics"])
        copied = copy_record(remote, "PIF_metrics", metrics) if metrics else NULL_REF
        network = networks.get(pif["network"], NULL_REF)
        copy_record(remote, "PIF", pif, host=host, network=network, metrics=copied)


def _guests(
    local: Database, remote: Database, disks: dict[str, str], networks: dict[str, str]
) -> None:
    """Metadata of all guests and templates; default templates are there already."""
    cards = {ref: networks.get(v["network"], NULL_REF) for ref, v in local.find("VIF")}
    for ref, vm in local.find("VM", is_control_domain=False):
        if vm["is_default_template"]:
            continue
        import_guest(local, remote, ref, disks, cards)


def import_guest(
    local: Database,
    remote: Database,
    vm: str,
    disks: dict[str, str],
    cards: dict[str, str],
    **changes: str,
) -> str:
    """Its metadata, by uuid; ``disks`` are there by those here, ``cards`` networks by VIF."""
    record = local.get("VM", vm)
    metrics = local.peek("VM_metrics", record["metrics"])
    copied = copy_record(remote, "VM_metrics", metrics) if metrics else NULL_REF
    unbound = {"affinity": NULL_REF, "resident_on": NULL_REF, **changes}
    new = copy_record(remote, "VM", record, metrics=copied, **unbound)
    for _, vbd in local.find("VBD", VM=vm):
        disk = disks.get(vbd["VDI"], NULL_REF)
        copy_record(remote, "VBD", vbd, VM=new, VDI=disk, currently_attached=False)
    for ref, vif in local.find("VIF", VM=vm):
        network = cards.get(ref, NULL_REF)
        copy_record(remote, "VIF", vif, VM=new, network=network, currently_attached=False)
    return new
