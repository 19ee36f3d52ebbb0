"""Records as they come from a host: numbers as text, references as text, null references."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from nova_aggregates.xenapi import errors
from nova_aggregates.xenapi.snapshot import Snapshot, of_records
from nova_aggregates.xenapi.types import Endpoint, Trust

NULL = "OpaqueRef:NULL"
Records = dict[str, dict[str, dict[str, Any]] | None]


def ref(name: str) -> str:
    return f"OpaqueRef:{name}"


def pool(master: str, **changes: Any) -> dict[str, Any]:
    record = {
        "uuid": f"pool-of-{master}",
        "name_label": "",
        "master": ref(master),
        "ha_enabled": False,
        "is_psr_pending": False,
        "tls_verification_enabled": True,
        "current_operations": {},
        "other_config": {},
        "restrictions": {"restrict_pooling": "false", "restrict_pool_size": "false"},
        "cpu_info": {"vendor": "GenuineIntel", "cpu_count": "8"},
    }
    return {**record, **changes}


def host(name: str, **changes: Any) -> dict[str, Any]:
    record = {
        "uuid": f"uuid-{name}",
        "name_label": name,
        "hostname": name,
        "address": "10.0.0.1",
        "enabled": True,
        "metrics": ref(f"{name}-metrics"),
        "control_domain": ref(f"{name}-dom0"),
        "current_operations": {},
        "other_config": {"boot_time": "1795229534.", "agent_start_time": "1795235600."},
        "software_version": {
            "product_brand": "XCP-ng",
            "product_version": "8.3.0",
            "platform_name": "XCP",
            "platform_version": "3.4.0",
            "xapi": "26.17",
            "git_id": "0",
            "db_schema": "5.909",
            "network_backend": "openvswitch",
        },
        "API_version_major": "2",
        "API_version_minor": "23",
        "cpu_info": {"vendor": "GenuineIntel", "cpu_count": "8"},
        "edition": "xcp-ng",
        "external_auth_type": "",
        "external_auth_service_name": "",
        "pending_guidances": [],
        "updates": [],
        "tls_verification_enabled": True,
    }
    return {**record, **changes}


def vm(name: str, **changes: Any) -> dict[str, Any]:
    record = {
        "uuid": f"uuid-{name}",
        "name_label": name,
        "power_state": "Halted",
        "resident_on": NULL,
        "is_control_domain": False,
        "is_a_template": False,
        "is_a_snapshot": False,
        "current_operations": {},
        "VCPUs_max": "2",
        "memory_dynamic_max": "4294967296",
    }
    return {**record, **changes}


def pif(host_name: str, **changes: Any) -> dict[str, Any]:
    record = {
        "host": ref(host_name),
        "network": ref("net0"),
        "device": "eth0",
        "VLAN": "-1",
        "management": True,
        "IP": "10.0.0.1",
        "bond_master_of": [],
        "primary_address_type": "IPv4",
    }
    return {**record, **changes}


def sr(name: str, **changes: Any) -> dict[str, Any]:
    record = {
        "uuid": f"uuid-{name}",
        "name_label": name,
        "type": "lvm",
        "content_type": "user",
        "shared": False,
        "is_tools_sr": False,
        "physical_size": "107374182400",
        "physical_utilisation": "10737418240",
    }
    return {**record, **changes}


def pbd(host_name: str, sr_name: str, *, attached: bool = True) -> dict[str, Any]:
    return {"host": ref(host_name), "SR": ref(sr_name), "currently_attached": attached}


def vdi(name: str, sr_name: str, **changes: Any) -> dict[str, Any]:
    record = {
        "uuid": f"uuid-{name}",
        "name_label": name,
        "SR": ref(sr_name),
        "type": "user",
        "managed": True,
        "missing": False,
        "virtual_size": "10737418240",
    }
    return {**record, **changes}


def standalone(name: str) -> Records:
    """A host as it comes from the installer: dom0, a template, tools SR, local SR."""
    dom0 = vm(f"{name}-dom0", is_control_domain=True, power_state="Running", resident_on=ref(name))
    template = vm("Debian 12", is_a_template=True)
    return {
        "pool": {ref(f"pool-{name}"): pool(name)},
        "host": {ref(name): host(name)},
        "host_metrics": {
            ref(f"{name}-metrics"): {
                "live": True,
                "memory_total": "68719476736",
                "memory_free": "34359738368",
            }
        },
        "VM": {ref(f"{name}-dom0"): dom0, ref(f"{name}-template"): template},
        "PIF": {ref(f"{name}-pif"): pif(name)},
        "network": {ref("net0"): {"name_label": "net 0", "bridge": "xenbr0", "purpose": []}},
        "SR": {
            ref("tools"): sr(
                "tools", shared=True, is_tools_sr=True, type="iso", content_type="iso"
            ),
            ref(f"{name}-local"): sr(f"{name}-local"),
        },
        "PBD": {
            ref(f"{name}-tools-pbd"): pbd(name, "tools"),
            ref(f"{name}-local-pbd"): pbd(name, f"{name}-local"),
        },
        "VDI": {},
        "Bond": {},
        "tunnel": {},
        "network_sriov": {},
        "VLAN": {},
        "Cluster": {},
        "Cluster_host": {},
        "pool_update": {},
        "Certificate": {},
        "SDN_controller": {},
        "SM": {
            ref(f"{name}-sm"): {
                "type": "lvm",
                "name_label": "LVM",
                "features": {"VDI_CREATE": "1", "VDI_CLONE": "1"},
            }
        },
    }


def own(records: Records, table: str) -> dict[str, Any]:
    """The record of a class that a fresh host has, to be changed in place."""
    return next(iter((records[table] or {}).values()))


def add(records: Records, table: str, name: str, record: dict[str, Any]) -> None:
    tables = records[table]
    assert tables is not None
    tables[ref(name)] = record


def snapshot(records: Mapping[str, Any]) -> Snapshot:
    return of_records(copy.deepcopy(dict(records)))


class MemoryConnection:
    """A connection whose host answers get_all_records (with a filter, as one without)."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.calls: list[str] = []
        self.endpoint = Endpoint("127.0.0.1", 443, "root", "x", Trust(insecure=True))

    def call(self, method: str, *args: Any) -> Any:
        self.calls.append(method)
        table, _, verb = method.rpartition(".")
        found = self.records.get(table)
        if not verb.startswith("get_all_records") or found is None:
            raise errors.MethodUnknown("MESSAGE_METHOD_UNKNOWN", (method,))
        return copy.deepcopy(found)
