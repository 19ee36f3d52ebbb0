"""Everything that speaks against a change, found at once and before anything is changed.

xapi itself stops at the first reason; the person who asked would meet the next one only after
having mended it.
"""

from __future__ import annotations

from nova_aggregates.xenapi import checks, errors, snapshot
from nova_aggregates.xenapi import join_host_checks as host
from nova_aggregates.xenapi import join_network_checks as network
from nova_aggregates.xenapi import leave_checks as leave
from nova_aggregates.xenapi.checks import Check, Problem
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.join_host_checks import Sides
from nova_aggregates.xenapi.leave_checks import Leaving
from nova_aggregates.xenapi.snapshot import Snapshot
from nova_aggregates.xenapi.types import Finding, Severity

_COMMON_CLASSES = (
    "pool",
    "host",
    "PIF",
    "network",
    "Bond",
    "Cluster_host",
    "pool_update",
    "Certificate",
    "SDN_controller",
    "SM",
)
JOINER_CLASSES = (*_COMMON_CLASSES, "VM", "SR", "tunnel", "network_sriov", "VLAN")
POOL_CLASSES = (*_COMMON_CLASSES, "Cluster")
# The one finding that the service itself can cure: pool.enable_tls_verification at the joiner.
TLS_CHECK = "join.tls_verification"
LOCAL_DATA_CHECK = "leave.local_data"  # lifted when somebody has agreed to the loss
LEAVE_CLASSES = ("pool", "host", "host_metrics", "VM", "SR", "PBD", "VDI")


def _secret_rotation(sides: Sides) -> list[Problem]:
    pending = sides.pool.pool.flag("is_psr_pending")
    message = f"A rotation of the secret of {sides.pool_name} is not finished"
    return [Problem("POOL_SECRET_ROTATION_PENDING", message)] if pending else []


# In the order of xapi's own checks (ocaml/xapi/xapi_pool.ml pre_join_checks), the licence before
# them and the pool's secret after them. join_force skips the homogeneity of software and CPU only.
JOIN_CHECKS: tuple[Check[Sides], ...] = (
    Check("join.pooling_licence", host.pooling_licence),
    Check("join.pool_size", host.pool_size),
    Check("join.management_interface", network.management_interface),
    Check("join.ha_on_host", host.ha_on_joiner),
    Check("join.clustering", host.clustering),
    Check("join.clustering_network", network.clustering_network),
    Check("join.ha_on_pool", host.ha_on_pool),
    Check("join.not_itself", host.not_itself),
    Check("join.no_members", host.no_members),
    Check("join.running_guests", host.no_running_guests),
    Check("join.guest_operations", host.no_guest_operations),
    Check("join.pending_guidance", host.no_pending_guidance),
    Check("join.product", host.compatible),
    Check("join.software", host.homogeneous, Severity.SKIPPABLE),
    Check("join.cpu_vendor", host.same_cpu_vendor, Severity.SKIPPABLE),
    Check("join.shared_storage", host.no_shared_storage),
    Check("join.bonds", network.no_bonds),
    Check("join.tunnels", network.no_tunnels),
    Check("join.sriov", network.no_sriov),
    Check("join.vlans", network.no_other_vlans),
    Check("join.management_vlan", network.same_management_vlan),
    Check("join.directory", host.same_directory),
    Check("join.edition", host.same_edition),
    Check("join.network_backend", network.same_backend),
    Check("join.sdn_controller", network.same_sdn_controller),
    Check("join.api_version", host.same_api_version),
    Check("join.db_schema", host.same_db_schema),
    Check("join.updates", host.same_updates),
    Check("join.address_type", network.same_address_type),
    Check("join.nbd_purpose", network.same_nbd_purpose),
    Check(TLS_CHECK, network.same_tls_verification),
    Check("join.ca_certificates", network.named_certificates),
    Check("join.trusted_certificates", network.trusted_certificates),
    Check("join.updating", host.not_updating),
    Check("join.storage_drivers", host.same_storage_features),
    Check("join.secret_rotation", _secret_rotation),
)

LEAVE_CHECKS: tuple[Check[Leaving], ...] = (
    Check("leave.not_live", leave.not_live),
    Check("leave.guests", leave.guests),
    Check(LOCAL_DATA_CHECK, leave.local_data),
    Check("leave.ha", leave.high_availability),
    Check("leave.secret_rotation", leave.secret_rotation),
    Check("leave.updating", leave.updating),
)


def join_findings(joiner: Connection, pool: Connection) -> tuple[Finding, ...]:
    """What pool.join would refuse, all at once; empty when it would go ahead.

    ``joiner`` is a session at the joining host, ``pool`` one at the pool's master. What the
    licence daemon or the network alone knows is not seen here. Raises XenError.
    """
    return judge_join(snapshot.take(joiner, JOINER_CLASSES), snapshot.take(pool, POOL_CLASSES))


def judge_join(joiner: Snapshot, pool: Snapshot) -> tuple[Finding, ...]:
    return checks.run(JOIN_CHECKS, Sides(joiner, pool), "pool.join")


def leave_findings(connection: Connection, host_uuid: str) -> tuple[Finding, ...]:
    """What speaks against ejecting a member. Raises ObjectGone when the pool has no such host."""
    findings = judge_leave(snapshot.take(connection, LEAVE_CLASSES), host_uuid)
    if findings is None:
        where = connection.endpoint.where
        raise errors.ObjectGone("UUID_INVALID", ("host", host_uuid), where=where)
    return findings


def judge_leave(pool: Snapshot, host_uuid: str) -> tuple[Finding, ...] | None:
    """None when the pool has no such host."""
    for record in pool["host"]:
        if record.text("uuid") == host_uuid:
            return checks.run(LEAVE_CHECKS, Leaving(pool, record), "pool.eject")
    return None
