"""The errors that the reference names in its sections 3 to 5, each with the test that produces it.

The named test is run, and a call in it must have failed with that code (and these parameters,
where they are always the same); that the other parameters are right is what the test looks at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.simulator import (
    test_emergencies as emergencies,
)
from tests.unit.simulator import (
    test_guests as guests,
)
from tests.unit.simulator import (
    test_ha as ha,
)
from tests.unit.simulator import (
    test_join_checks as join_checks,
)
from tests.unit.simulator import (
    test_maintenance as maintenance,
)
from tests.unit.simulator import (
    test_membership as membership,
)
from tests.unit.simulator import (
    test_refusals as refusals,
)
from tests.unit.simulator import (
    test_remote_login as remote_login,
)
from tests.unit.simulator import (
    test_storage_motion as motion,
)
from tests.unit.simulator import (
    test_updates as updates,
)
from tests.unit.simulator import world

# Codes that the reference says a call is never answered with, or that need what is not simulated.
NEVER = {
    "HOST_CANNOT_DESTROY_SELF": "declared, never raised",
    "HOST_IN_EMERGENCY_MODE": "declared, never raised",
    "TOO_BUSY": "declared, never raised",
    "JOINING_HOST_CANNOT_HAVE_RUNNING_OR_SUSPENDED_VMS": "older releases",
    "POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC": "older releases",
    "POOL_JOINING_HOST_MUST_ONLY_HAVE_PHYSICAL_PIFS": "older releases",
    "POOL_JOINING_HOST_MUST_HAVE_SAME_PRODUCT_VERSION": "older releases",
    "LICENSE_DOES_NOT_SUPPORT_POOLING": "older releases",
    "HOST_DISABLED_INDEFINITELY": "of automatic enabling only, which answers no call",
    "POOL_JOINING_POOL_BUNDLE_EMPTY_AFTER_IMPORT": "certificates are marks here, not files",
}

# The 33 checks of a join (3.2): number, code, parameters that are always the same.
JOIN: list[tuple[int, str]] = [
    (1, "LICENCE_RESTRICTION Pool_size"),
    (2, "HOST_STILL_BOOTING"),
    (3, "HA_IS_ENABLED"),
    (4, "CLUSTERING_ENABLED"),
    (5, "POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK"),
    (5, "POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK"),
    (6, "HA_IS_ENABLED"),
    (7, "OPERATION_NOT_ALLOWED Host cannot become slave of itself"),
    (7, "OPERATION_NOT_ALLOWED Host is already part of a pool"),
    (8, "JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS"),
    (9, "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"),
    (10, "JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS"),
    (11, "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY"),
    (12, "HOSTS_NOT_COMPATIBLE"),
    (13, "HOSTS_NOT_HOMOGENEOUS Software version differs"),
    (13, "HOSTS_NOT_HOMOGENEOUS CPUs differ"),
    (14, "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS"),
    (15, "POOL_JOINING_HOST_HAS_BONDS"),
    (16, "POOL_JOINING_HOST_HAS_TUNNELS"),
    (17, "POOL_JOINING_HOST_HAS_NETWORK_SRIOVS"),
    (18, "POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS"),
    (19, "POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH"),
    (20, "POOL_JOINING_EXTERNAL_AUTH_MISMATCH"),
    (21, "LICENSE_HOST_POOL_MISMATCH"),
    (21, "V6D_FAILURE"),
    (22, "OPERATION_NOT_ALLOWED Network backends differ"),
    (23, "OPERATION_NOT_ALLOWED SDN controller differs"),
    (24, "POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION"),
    (25, "POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA"),
    (26, "HOSTS_NOT_HOMOGENEOUS Updates on local host"),
    (27, "OPERATION_NOT_ALLOWED Primary address type differs"),
    (28, "OPERATION_NOT_ALLOWED Incompatible network purposes: nbd and insecure_nbd"),
    (29, "POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH"),
    (30, "POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT"),
    (31, "POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT"),
    (32, "NOT_SUPPORTED_DURING_UPGRADE"),
    (33, "POOL_JOINING_SM_FEATURES_INCOMPATIBLE"),
]

ADDRESSES = membership.test_addresses_that_no_pool_is_at
SPOILED = remote_login.test_an_answer_that_is_none
EJECT = membership.test_eject_is_refused
SILENT = maintenance.test_silence_is_death_after_ten_minutes
BINDING = guests.test_a_local_disk_and_a_network_of_one_host_bind_a_guest
DEVICES = guests.test_guests_that_do_not_move
FITTING = guests.test_hardware_memory_and_processors_must_suffice
STARTED_WITH = guests.test_a_guest_keeps_the_cpu_that_it_was_started_with
UPGRADING = guests.test_while_hosts_are_upgraded_guests_go_to_newer_ones
CLOSED = guests.test_hosts_that_take_no_guests
LEAVING = maintenance.test_why_a_guest_cannot_leave
DISK_UPDATE = updates.test_an_update_that_is_a_disk
FAILING_UPDATE = updates.test_an_update_that_fails_on_a_host

TESTS: dict[str, dict[str, Callable[..., None]]] = {
    "3.1 and 3.3 joining": {
        "LICENCE_RESTRICTION": join_checks.test_pooling_must_be_licensed,
        "POOL_JOINING_MASTER_CERTIFICATE_NOT_IN_POOL_BUNDLE": (
            remote_login.test_a_pool_without_its_masters_certificate
        ),
        "INTERNAL_ERROR Connection failed: no route to host.": ADDRESSES,
        "INTERNAL_ERROR Connection failed: connection refused.": ADDRESSES,
        "INTERNAL_ERROR Failure(": ADDRESSES,
        "JOINING_HOST_CONNECTION_FAILED": ADDRESSES,
        "JOINING_HOST_SERVICE_FAILED": SPOILED,
        "SESSION_AUTHENTICATION_FAILED": membership.test_wrong_credentials_of_the_pool,
        "HOST_IS_SLAVE": membership.test_a_member_as_the_target_names_its_master,
        "HOST_ITS_OWN_SLAVE": (
            remote_login.test_an_emergency_of_the_host_that_is_asked_comes_through
        ),
        "POOL_SECRET_ROTATION_PENDING": remote_login.test_a_pool_whose_secret_is_to_be_changed,
        "OTHER_OPERATION_IN_PROGRESS": (
            remote_login.test_a_busy_pool_is_waited_for_and_given_up_in_the_end
        ),
        "HOST_OFFLINE": membership.test_two_hosts_that_join_each_other_both_fail,
    },
    "4.1 eject": {
        "POOL_SECRET_ROTATION_PENDING": EJECT,
        "OTHER_OPERATION_IN_PROGRESS": (
            refusals.test_an_eject_waits_for_another_operation_and_gives_up_in_the_end
        ),
        "HOST_OFFLINE": EJECT,
        "CANNOT_CONTACT_HOST": SILENT,
        "HA_IS_ENABLED": EJECT,
        "NOT_SUPPORTED_DURING_UPGRADE": (
            refusals.test_an_eject_is_refused_while_updates_are_applied
        ),
        "INTERNAL_ERROR Xapi_pool.Cannot_eject_master": EJECT,
        "OPERATION_NOT_ALLOWED VM resident on host": EJECT,
        "VDI_IN_USE": membership.test_a_disk_in_use_stops_an_eject_midway,
        "UUID_INVALID": membership.test_eject_gives_a_fresh_pool_of_one,
    },
    "4.2 dead members": {
        "HOST_IS_LIVE": SILENT,
        "HA_IS_ENABLED": ha.test_calls_that_high_availability_refuses,
        "HOST_HAS_RESIDENT_VMS": maintenance.test_declaring_a_host_dead_halts_its_guests,
    },
    "4.3 change of master": {
        "HA_IS_ENABLED": membership.test_designate_is_refused,
        "DESIGNATE_NEW_MASTER_IN_PROGRESS": membership.test_designate_is_refused,
        "POOL_SECRET_ROTATION_PENDING": (
            emergencies.test_no_hand_over_while_the_secret_is_to_be_changed
        ),
        "HA_ABORT_NEW_MASTER": (
            refusals.test_a_member_that_agreed_to_another_master_aborts_the_change
        ),
        "CANNOT_CONTACT_HOST": membership.test_a_dead_member_keeps_the_master_where_it_is,
        "INTERNAL_ERROR Stunnel.Stunnel_verify_error": (
            membership.test_a_join_beside_a_restarting_member_leaves_it_without_a_certificate
        ),
        "HOST_BROKEN": (
            emergencies.test_a_member_lost_in_the_second_phase_leaves_the_new_master_broken
        ),
    },
    "4.3 emergencies": {
        "HA_IS_ENABLED": emergencies.test_high_availability_chooses_the_master_itself,
    },
    "5.2 disable and enable": {
        "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN": ha.test_a_plan_that_would_break,
        "HOST_OFFLINE": SILENT,
        "HOST_STILL_BOOTING": maintenance.test_enable_is_refused,
        "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY": maintenance.test_enable_is_refused,
        "HOST_DISABLED_UNTIL_REBOOT": maintenance.test_enable_is_refused,
        "OTHER_OPERATION_IN_PROGRESS": refusals.test_host_operations_that_exclude_each_other,
    },
    "5.3 evacuate": {
        "NO_HOSTS_AVAILABLE": LEAVING,
        "HOST_NOT_ENOUGH_FREE_MEMORY": LEAVING,
        "VM_REQUIRES_SR": BINDING,
        "VM_REQUIRES_NETWORK": BINDING,
        "HOST_CANNOT_ATTACH_NETWORK": BINDING,
        "VM_INCOMPATIBLE_WITH_THIS_HOST": STARTED_WITH,
        "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION": FITTING,
        "VM_LACKS_FEATURE": DEVICES,
        "VM_NON_SUSPENDABLE": guests.test_a_suspension_that_the_guest_refuses,
        "VM_HAS_PCI_ATTACHED": DEVICES,
        "VM_HAS_VGPU": DEVICES,
        "VM_HAS_VUSBS": DEVICES,
        "VM_IS_IMMOBILE": DEVICES,
        "VM_HAS_SRIOV_VIF": ha.test_what_binds_a_guest,
        "OPERATION_BLOCKED": LEAVING,
        "OTHER_OPERATION_IN_PROGRESS VM": guests.test_the_rest_of_what_holds_an_evacuation_up,
        "HOST_EVACUATE_VM_NOT_HA_PROTECTED": ha.test_unprotected_guests_hold_an_evacuation_up,
        "HOST_NOT_LIVE": LEAVING,
        "VM_BAD_POWER_STATE": guests.test_the_rest_of_what_holds_an_evacuation_up,
        "CANNOT_EVACUATE_HOST": (
            guests.test_nomigrate_on_a_running_guest_changes_nothing_until_it_restarts
        ),
        "PIF_NOT_PRESENT": refusals.test_an_evacuation_over_a_network_that_is_not_there,
        "HOST_EVACUATE_IN_PROGRESS": CLOSED,
    },
    "5.3 starting": {"NO_HOSTS_AVAILABLE": FITTING},
    "5.4 pool_migrate": {
        "NOT_SUPPORTED_DURING_UPGRADE": UPGRADING,
        "HOST_NOT_LIVE": CLOSED,
        "HOST_DISABLED": CLOSED,
        "HOST_NOT_ENOUGH_FREE_MEMORY": FITTING,
        "HOST_NOT_ENOUGH_PCPUS": FITTING,
    },
    "5.1 and 6 migrate_send": {
        "TOO_MANY_STORAGE_MIGRATES 3": motion.test_one_host_sends_three_at_once,
        "VDI_NOT_IN_MAP": motion.test_refusals_of_any_destination,
        "SR_DOES_NOT_SUPPORT_MIGRATION": motion.test_refusals_of_any_destination,
        "NOT_SUPPORTED_DURING_UPGRADE": motion.test_refusals_within_a_pool,
        "VIF_NOT_IN_MAP": motion.test_refusals_of_another_pool,
        "VM_HOST_INCOMPATIBLE_VERSION_MIGRATE": motion.test_refusals_of_another_pool,
        "INTERFACE_HAS_NO_IP": motion.test_a_destination_needs_an_address_on_the_network,
    },
    "5.5 reboot and shutdown": {
        "HOST_NOT_DISABLED": maintenance.test_only_disabled_hosts_reboot,
        "OTHER_OPERATION_IN_PROGRESS": refusals.test_host_operations_that_exclude_each_other,
        "CLUSTERED_SR_DEGRADED": (
            refusals.test_clustered_storage_keeps_hosts_up_while_a_member_is_down
        ),
        "HOST_IS_LIVE": maintenance.test_only_disabled_hosts_reboot,
        "HOST_POWER_ON_MODE_DISABLED": maintenance.test_shutdown_and_power_on,
    },
    "5.6 conventions": {
        "MAP_DUPLICATE_KEY": maintenance.test_a_key_that_is_there_is_not_added_again,
    },
    "5.7 updates": {
        "UPDATE_PRECHECK_FAILED_OUT_OF_SPACE": FAILING_UPDATE,
        "INVALID_UPDATE": FAILING_UPDATE,
        "UPDATE_APPLY_FAILED": FAILING_UPDATE,
        "UPDATE_ALREADY_APPLIED": DISK_UPDATE,
        "UPDATE_ALREADY_APPLIED_IN_POOL": DISK_UPDATE,
        "CANNOT_FIND_UPDATE": DISK_UPDATE,
        "HA_IS_ENABLED": updates.test_updates_are_refused,
        "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY": updates.test_an_update_asks_for_a_reboot,
        "UPDATEINFO_HASH_MISMATCH": updates.test_updates_are_refused,
        "HOST_EVACUATION_IS_REQUIRED": updates.test_updates_are_refused,
        "APPLY_UPDATES_FAILED": updates.test_updates_are_refused,
    },
    "5.1 plugins": {
        "XENAPI_MISSING_PLUGIN": updates.test_plugins_by_table,
        "XENAPI_PLUGIN_FAILURE": updates.test_plugins_by_table,
    },
    "5.8 rolling procedures": {
        "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR": (
            emergencies.test_a_member_newer_than_its_master_waits_for_it
        ),
    },
    "5.9 high availability": {
        "HA_NOT_ENABLED": ha.test_on_and_off,
        "HA_IS_ENABLED": ha.test_on_and_off,
    },
}


@dataclass(frozen=True)
class Row:
    section: str
    error: str
    test: Callable[..., None]
    only: str = ""  # of its cases, those whose name begins like this

    def __str__(self) -> str:
        return f"{self.section} {self.error}".replace(" ", "-")


ROWS = [
    *(Row(f"3.2 {n:02}", e, join_checks.test_join_is_refused, f"{n:02}") for n, e in JOIN),
    *(Row(section, e, test) for section, found in TESTS.items() for e, test in found.items()),
]


def cases(row: Row) -> Iterator[dict[str, Any]]:
    """The arguments of each case of the test, as it is parametrized."""
    marks = [m for m in getattr(row.test, "pytestmark", []) if m.name == "parametrize"]
    choices = []
    for mark in marks:
        given = mark.args[0]
        names = [given] if isinstance(given, str) else list(given)
        values = [v if len(names) > 1 else (v,) for v in mark.args[1]]
        choices.append([dict(zip(names, v, strict=True)) for v in values])
    for combination in itertools.product(*choices):
        found = {k: v for part in combination for k, v in part.items()}
        if not row.only or found["case"].name.startswith(row.only):
            yield found


def produced(row: Row) -> bool:
    code, _, text = row.error.partition(" ")
    for arguments in cases(row):
        world.SEEN.clear()
        row.test(**arguments)
        if any(d[0] == code and " ".join(d[1:]).startswith(text) for d in world.SEEN):
            return True
    return False


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_error_of_the_reference_is_produced(row: Row) -> None:
    assert produced(row)


def test_every_check_of_a_join_is_in_the_table() -> None:
    assert {number for number, _ in JOIN} == set(range(1, 34))


def test_nothing_is_both_produced_and_never_raised() -> None:
    assert {row.error.split(" ")[0] for row in ROWS}.isdisjoint(NEVER)


def test_an_error_that_its_test_does_not_produce_is_noticed() -> None:
    assert not produced(Row("", "HOST_BROKEN", maintenance.test_only_disabled_hosts_reboot))
    assert not produced(Row("", "HA_IS_ENABLED", join_checks.test_join_is_refused, "33"))
