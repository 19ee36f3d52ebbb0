"""Section 2: the classes' fields, their types on the wire, and which have setters."""

from __future__ import annotations

import xmlrpc.client
from typing import Any

import pytest

from tests.conformance.client import BOGUS, Session

TEXT, FLAG, TIME = str, bool, xmlrpc.client.DateTime
RW, MAP, SET, PLAIN = "RW", "map", "set", "plain"

# Of each class: field -> (type on the wire, whether it has a setter).
FIELDS: dict[str, dict[str, tuple[type, str]]] = {
    "pool": {
        "uuid": (TEXT, PLAIN),
        "name_label": (TEXT, RW),
        "name_description": (TEXT, RW),
        "master": (TEXT, PLAIN),
        "default_SR": (TEXT, RW),
        "suspend_image_SR": (TEXT, RW),
        "crash_dump_SR": (TEXT, RW),
        "other_config": (dict, MAP),
        "gui_config": (dict, MAP),
        "tags": (list, SET),
        "ha_enabled": (FLAG, PLAIN),
        "ha_overcommitted": (FLAG, PLAIN),
        "ha_allow_overcommit": (FLAG, RW),
        "ha_configuration": (dict, PLAIN),
        "ha_statefiles": (list, PLAIN),
        "ha_plan_exists_for": (TEXT, PLAIN),
        "ha_cluster_stack": (TEXT, PLAIN),
        "wlb_url": (TEXT, PLAIN),
        "wlb_enabled": (FLAG, RW),
        "allowed_operations": (list, PLAIN),
        "current_operations": (dict, PLAIN),
        "cpu_info": (dict, PLAIN),
        "restrictions": (dict, PLAIN),
        "tls_verification_enabled": (FLAG, PLAIN),
        "is_psr_pending": (FLAG, RW),
        "migration_compression": (FLAG, RW),
        "redo_log_enabled": (FLAG, PLAIN),
    },
    "host": {
        "uuid": (TEXT, PLAIN),
        "name_label": (TEXT, RW),
        "name_description": (TEXT, RW),
        "hostname": (TEXT, RW),
        "address": (TEXT, RW),
        "enabled": (FLAG, PLAIN),
        "metrics": (TEXT, PLAIN),
        "allowed_operations": (list, PLAIN),
        "current_operations": (dict, PLAIN),
        "software_version": (dict, PLAIN),
        "API_version_major": (TEXT, PLAIN),
        "API_version_minor": (TEXT, PLAIN),
        "cpu_info": (dict, PLAIN),
        "memory_overhead": (TEXT, PLAIN),
        "other_config": (dict, MAP),
        "tags": (list, SET),
        "resident_VMs": (list, PLAIN),
        "PBDs": (list, PLAIN),
        "PIFs": (list, PLAIN),
        "host_CPUs": (list, PLAIN),
        "control_domain": (TEXT, PLAIN),
        "suspend_image_sr": (TEXT, RW),
        "crash_dump_sr": (TEXT, RW),
        "edition": (TEXT, PLAIN),
        "license_params": (dict, PLAIN),
        "license_server": (dict, MAP),
        "external_auth_type": (TEXT, PLAIN),
        "https_only": (FLAG, PLAIN),
        "multipathing": (FLAG, PLAIN),
        "power_on_mode": (TEXT, PLAIN),
        "bios_strings": (dict, PLAIN),
        "capabilities": (list, PLAIN),
        "certificates": (list, PLAIN),
        "logging": (dict, MAP),
        "display": (TEXT, RW),
    },
    "host_metrics": {
        "uuid": (TEXT, PLAIN),
        "memory_total": (TEXT, PLAIN),
        "memory_free": (TEXT, PLAIN),
        "live": (FLAG, PLAIN),
        "last_updated": (TIME, PLAIN),
        "other_config": (dict, MAP),
    },
    "VM": {
        "power_state": (TEXT, PLAIN),
        "resident_on": (TEXT, PLAIN),
        "scheduled_to_be_resident_on": (TEXT, PLAIN),
        "affinity": (TEXT, RW),
        "is_control_domain": (FLAG, PLAIN),
        "is_a_snapshot": (FLAG, PLAIN),
        "is_default_template": (FLAG, PLAIN),
        "allowed_operations": (list, PLAIN),
        "current_operations": (dict, PLAIN),
        "other_config": (dict, MAP),
        "platform": (dict, MAP),
        "tags": (list, SET),
        "ha_restart_priority": (TEXT, PLAIN),
        "memory_static_max": (TEXT, PLAIN),
        "memory_target": (TEXT, PLAIN),
        "VCPUs_max": (TEXT, PLAIN),
        "VBDs": (list, PLAIN),
        "VIFs": (list, PLAIN),
        "VGPUs": (list, PLAIN),
        "VUSBs": (list, PLAIN),
        "attached_PCIs": (list, PLAIN),
        "metrics": (TEXT, PLAIN),
        "guest_metrics": (TEXT, PLAIN),
    },
    "network": {
        "uuid": (TEXT, PLAIN),
        "name_label": (TEXT, RW),
        "bridge": (TEXT, PLAIN),
        "PIFs": (list, PLAIN),
        "VIFs": (list, PLAIN),
        "MTU": (TEXT, RW),
        "other_config": (dict, MAP),
        "managed": (FLAG, PLAIN),
    },
    "PIF": {
        "device": (TEXT, PLAIN),
        "network": (TEXT, PLAIN),
        "host": (TEXT, PLAIN),
        "MAC": (TEXT, PLAIN),
        "VLAN": (TEXT, PLAIN),
        "physical": (FLAG, PLAIN),
        "currently_attached": (FLAG, PLAIN),
        "ip_configuration_mode": (TEXT, PLAIN),
        "IP": (TEXT, PLAIN),
        "netmask": (TEXT, PLAIN),
        "gateway": (TEXT, PLAIN),
        "DNS": (TEXT, PLAIN),
        "management": (FLAG, PLAIN),
        "bond_master_of": (list, PLAIN),
        "bond_slave_of": (TEXT, PLAIN),
        "VLAN_master_of": (TEXT, PLAIN),
        "primary_address_type": (TEXT, PLAIN),
        "disallow_unplug": (FLAG, PLAIN),
    },
    "SR": {
        "uuid": (TEXT, PLAIN),
        "name_label": (TEXT, PLAIN),
        "type": (TEXT, PLAIN),
        "content_type": (TEXT, PLAIN),
        "shared": (FLAG, PLAIN),
        "PBDs": (list, PLAIN),
        "VDIs": (list, PLAIN),
        "physical_size": (TEXT, PLAIN),
        "other_config": (dict, MAP),
        "sm_config": (dict, MAP),
        "tags": (list, SET),
        "is_tools_sr": (FLAG, PLAIN),
        "clustered": (FLAG, PLAIN),
    },
    "PBD": {
        "uuid": (TEXT, PLAIN),
        "host": (TEXT, PLAIN),
        "SR": (TEXT, PLAIN),
        "device_config": (dict, PLAIN),
        "currently_attached": (FLAG, PLAIN),
        "other_config": (dict, MAP),
    },
}

SECTIONS = {
    "pool": "2.1", "host": "2.2", "host_metrics": "2.3", "VM": "2.4",
}  # fmt: skip


def sections() -> list[Any]:
    return [
        pytest.param(cls, id=cls, marks=pytest.mark.section(SECTIONS.get(cls, "2.5")))
        for cls in FIELDS
    ]


@pytest.mark.parametrize("cls", sections())
def test_fields_and_their_types(session: Session, cls: str) -> None:
    """Where there is an object of the class; the accessors are there in any case."""
    for record in session.call(f"{cls}.get_all_records").values():
        for name, (kind, _) in FIELDS[cls].items():
            assert type(record[name]) is kind, name


@pytest.mark.parametrize("cls", sections())
def test_accessors(session: Session, cls: str) -> None:
    """A setter of a field that is read only is a method that does not exist."""
    known = set(session.host.call("system.listMethods"))
    for name, (_, write) in FIELDS[cls].items():
        assert f"{cls}.get_{name}" in known
        wanted = {
            PLAIN: [],
            RW: [f"set_{name}"],
            MAP: [f"set_{name}", f"add_to_{name}", f"remove_from_{name}"],
            SET: [f"set_{name}", f"add_{name}", f"remove_{name}"],
        }[write]
        assert all(f"{cls}.{verb}" in known for verb in wanted), name


@pytest.mark.parametrize("cls", sections())
def test_records_and_getters_agree(session: Session, cls: str) -> None:
    refs = session.call(f"{cls}.get_all")
    for ref in refs[:1]:
        record = session.call(f"{cls}.get_record", ref)
        for name in FIELDS[cls]:
            assert session.call(f"{cls}.get_{name}", ref) == record[name]
        if "uuid" in record:
            assert session.call(f"{cls}.get_by_uuid", record["uuid"]) == ref
    for name in FIELDS[cls]:
        assert session.failure(f"{cls}.get_{name}", BOGUS) == ["HANDLE_INVALID", cls, BOGUS]


@pytest.mark.section("2.1")
def test_one_pool_and_its_master(session: Session) -> None:
    (pool,) = session.call("pool.get_all_records").values()
    assert session.call("host.get_address", pool["master"]) == session.host.address


@pytest.mark.section("2.2")
def test_times_that_a_host_keeps(session: Session) -> None:
    config = session.call("host.get_other_config", session.master)
    assert all(config[key].endswith(".") for key in ("boot_time", "agent_start_time"))


@pytest.mark.section("2.4")
def test_each_host_has_its_control_domain(session: Session) -> None:
    for ref, host in session.call("host.get_all_records").items():
        domain = session.call("VM.get_record", host["control_domain"])
        assert domain["is_control_domain"] is True
        assert (domain["power_state"], domain["resident_on"]) == ("Running", ref)
        assert host["control_domain"] in host["resident_VMs"]
