"""Each check before a join or an eject: silent on healthy hosts, loud on its own subject."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from nova_aggregates.xenapi import errors, preflight
from nova_aggregates.xenapi.types import Finding, Severity
from tests.unit.xenapi.xen_records import (
    NULL,
    MemoryConnection,
    Records,
    add,
    host,
    own,
    pbd,
    pif,
    ref,
    snapshot,
    sr,
    standalone,
    vdi,
    vm,
)


@dataclasses.dataclass
class Pair:
    joiner: Records
    pool: Records

    def findings(self) -> tuple[Finding, ...]:
        return preflight.judge_join(snapshot(self.joiner), snapshot(self.pool))


def healthy() -> Pair:
    pair = Pair(standalone("joiner"), standalone("master"))
    own(pair.pool, "pool")["name_label"] = "rack 1"
    add(pair.pool, "host", "member", host("member"))
    return pair


def restrict(feature: str) -> Callable[[Pair], None]:
    def change(pair: Pair) -> None:
        own(pair.joiner, "pool")["restrictions"][feature] = "true"

    return change


def small_licence(pair: Pair) -> None:
    restrict("restrict_pool_size")(pair)
    add(pair.pool, "host", "third", host("third"))


def of_pool(side: str, **changes: Any) -> Callable[[Pair], None]:
    return lambda pair: own(getattr(pair, side), "pool").update(changes)


def of_host(side: str, **changes: Any) -> Callable[[Pair], None]:
    def change(pair: Pair) -> None:
        name = "joiner" if side == "joiner" else "master"
        getattr(pair, side)["host"][ref(name)].update(changes)

    return change


def version(side: str, **changes: str | None) -> Callable[[Pair], None]:
    def change(pair: Pair) -> None:
        name = "joiner" if side == "joiner" else "master"
        found = getattr(pair, side)["host"][ref(name)]["software_version"]
        for key, value in changes.items():
            found.pop(key, None)
            if value is not None:
                found[key] = value

    return change


def adding(side: str, table: str, name: str, record: dict[str, Any]) -> Callable[[Pair], None]:
    return lambda pair: add(getattr(pair, side), table, name, record)


def of_own(side: str, table: str, **changes: Any) -> Callable[[Pair], None]:
    return lambda pair: own(getattr(pair, side), table).update(changes)


def both(*changes: Callable[[Pair], None]) -> Callable[[Pair], None]:
    def change(pair: Pair) -> None:
        for one in changes:
            one(pair)

    return change


def cluster(**pif_changes: Any) -> Callable[[Pair], None]:
    def change(pair: Pair) -> None:
        add(pair.pool, "Cluster", "c", {"pool_auto_join": True})
        add(pair.pool, "Cluster_host", "ch", {"cluster": ref("c"), "PIF": ref("cluster-pif")})
        fields = {"management": False, "network": ref("net1"), **pif_changes}
        add(pair.pool, "PIF", "cluster-pif", pif("master", **fields))
        network = {"name_label": "cluster", "bridge": "xenbr1", "purpose": []}
        add(pair.pool, "network", "net1", network)
        add(pair.joiner, "network", "net1", network)

    return change


def updates(side: str, *names: str) -> Callable[[Pair], None]:
    def change(pair: Pair) -> None:
        records = getattr(pair, side)
        for name in names:
            update = {"uuid": f"uuid-{name}", "name_label": name, "enforce_homogeneity": True}
            add(records, "pool_update", name, update)
        of_host(side, updates=[ref(name) for name in names])(pair)

    return change


def certificate(side: str, fingerprint: str, **fields: Any) -> Callable[[Pair], None]:
    record = {"type": "ca", "name": "", "purpose": [], "fingerprint_sha256": fingerprint, **fields}
    return adding(side, "Certificate", f"cert-{fingerprint}", record)


def sdn(side: str, address: str) -> Callable[[Pair], None]:
    record = {"protocol": "ssl", "address": address, "port": "6640"}
    return adding(side, "SDN_controller", "sdn", record)


def itself(pair: Pair) -> None:
    of_host("pool", uuid="uuid-joiner")(pair)


UNLICENSED = {"restrict_pooling": "true"}
SLAVE_DOM0 = vm("slave-dom0", power_state="Running", is_control_domain=True)
TAGGED_VLAN = {"tag": "7", "untagged_PIF": ref("vlan-pif")}

# check, what is done to a healthy pair, the code that pool.join would give
CASES: list[tuple[str, Callable[[Pair], None], str]] = [
    ("join.pooling_licence", restrict("restrict_pooling"), "LICENCE_RESTRICTION"),
    ("join.pool_size", small_licence, "LICENCE_RESTRICTION"),
    (
        "join.management_interface",
        lambda pair: pair.joiner.update(PIF={}),
        "HOST_STILL_BOOTING",
    ),
    ("join.ha_on_host", of_pool("joiner", ha_enabled=True), "HA_IS_ENABLED"),
    (
        "join.clustering",
        adding("joiner", "Cluster_host", "ch", {"enabled": True}),
        "CLUSTERING_ENABLED",
    ),
    (
        "join.clustering_network",
        cluster(VLAN="5"),
        "POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK",
    ),
    (
        "join.clustering_network",
        cluster(),
        "POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK",
    ),
    ("join.ha_on_pool", of_pool("pool", ha_enabled=True), "HA_IS_ENABLED"),
    ("join.not_itself", itself, "OPERATION_NOT_ALLOWED"),
    (
        "join.no_members",
        both(
            adding("joiner", "host", "slave", host("slave")),
            adding("joiner", "VM", "slave-dom0", SLAVE_DOM0),  # is no guest
        ),
        "JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS",
    ),
    (
        "join.running_guests",
        adding("joiner", "VM", "web1", vm("web1", power_state="Running")),
        "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS",
    ),
    (
        "join.running_guests",  # a driver domain is not dom0
        adding("joiner", "VM", "nas", vm("nas", power_state="Running", is_control_domain=True)),
        "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS",
    ),
    (
        "join.guest_operations",
        adding("joiner", "VM", "t", vm("t", is_a_template=True, current_operations={"x": "copy"})),
        "JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS",
    ),
    (
        "join.pending_guidance",
        of_host("joiner", pending_guidances=["reboot_host"]),
        "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY",
    ),
    (
        "join.pending_guidance",
        of_host("pool", pending_guidances=["restart_toolstack"]),
        "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY",
    ),
    ("join.product", version("joiner", platform_version="3.2.1"), "HOSTS_NOT_COMPATIBLE"),
    ("join.software", version("joiner", xapi="26.16"), "HOSTS_NOT_HOMOGENEOUS"),
    ("join.software", version("pool", git_id="1"), "HOSTS_NOT_HOMOGENEOUS"),
    (
        "join.software",
        version("joiner", **{"xs:linux": "5.0"}),
        "HOSTS_NOT_HOMOGENEOUS",
    ),
    ("join.pooling_licence", of_host("joiner", license_params=UNLICENSED), "LICENCE_RESTRICTION"),
    (
        "join.cpu_vendor",
        of_host("joiner", cpu_info={"vendor": "AuthenticAMD"}),
        "HOSTS_NOT_HOMOGENEOUS",
    ),
    (
        "join.shared_storage",
        adding("joiner", "SR", "nfs", sr("nfs", shared=True)),
        "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS",
    ),
    ("join.bonds", adding("joiner", "Bond", "b", {"slaves": []}), "POOL_JOINING_HOST_HAS_BONDS"),
    ("join.tunnels", adding("joiner", "tunnel", "t", {}), "POOL_JOINING_HOST_HAS_TUNNELS"),
    (
        "join.sriov",
        adding("joiner", "network_sriov", "s", {}),
        "POOL_JOINING_HOST_HAS_NETWORK_SRIOVS",
    ),
    (
        "join.vlans",
        both(
            adding("joiner", "PIF", "vlan-pif", pif("joiner", management=False, VLAN="7")),
            adding("joiner", "VLAN", "v", TAGGED_VLAN),
        ),
        "POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS",
    ),
    (
        "join.management_vlan",
        of_own("pool", "PIF", VLAN="7"),
        "POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH",
    ),
    (
        "join.directory",
        of_host("pool", external_auth_type="AD", external_auth_service_name="corp"),
        "POOL_JOINING_EXTERNAL_AUTH_MISMATCH",
    ),
    ("join.edition", of_host("joiner", edition="premium"), "LICENSE_HOST_POOL_MISMATCH"),
    (
        "join.network_backend",
        version("joiner", network_backend=None),  # missing means bridge
        "OPERATION_NOT_ALLOWED",
    ),
    ("join.sdn_controller", sdn("joiner", "10.0.0.9"), "OPERATION_NOT_ALLOWED"),
    (
        "join.sdn_controller",
        both(sdn("joiner", "10.0.0.9"), sdn("pool", "10.0.0.8")),
        "OPERATION_NOT_ALLOWED",
    ),
    (
        "join.api_version",
        of_host("joiner", API_version_minor="22"),
        "POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION",
    ),
    (
        "join.db_schema",
        version("joiner", db_schema="5.908"),
        "POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA",
    ),
    (
        "join.db_schema",
        version("pool", db_schema=None),
        "POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA",
    ),
    ("join.updates", updates("pool", "XS82E001"), "HOSTS_NOT_HOMOGENEOUS"),
    (
        "join.address_type",
        of_own("joiner", "PIF", primary_address_type="IPv6"),
        "OPERATION_NOT_ALLOWED",
    ),
    (
        "join.nbd_purpose",
        both(
            of_own("joiner", "network", purpose=["nbd"]),
            of_own("pool", "network", purpose=["insecure_nbd"]),
        ),
        "OPERATION_NOT_ALLOWED",
    ),
    (
        "join.tls_verification",
        of_pool("joiner", tls_verification_enabled=False),
        "POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH",
    ),
    (
        "join.ca_certificates",
        both(certificate("joiner", "AA", name="corp"), certificate("pool", "BB", name="corp")),
        "POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT",
    ),
    (
        "join.trusted_certificates",
        both(
            certificate("joiner", "AA", purpose=["licensing", "updates"]),
            certificate("pool", "AA", type="pinned", purpose=["licensing"]),
        ),
        "POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT",
    ),
    (
        "join.updating",
        of_pool("pool", current_operations={"t": "apply_updates"}),
        "NOT_SUPPORTED_DURING_UPGRADE",
    ),
    (
        "join.storage_drivers",
        of_own("joiner", "SM", features={"VDI_CREATE": "1"}),
        "POOL_JOINING_SM_FEATURES_INCOMPATIBLE",
    ),
    (
        "join.storage_drivers",
        lambda pair: pair.joiner.update(SM={}),
        "POOL_JOINING_SM_FEATURES_INCOMPATIBLE",
    ),
    (
        "join.secret_rotation",
        of_pool("pool", is_psr_pending=True),
        "POOL_SECRET_ROTATION_PENDING",
    ),
]


def test_healthy_pair_has_no_findings() -> None:
    assert healthy().findings() == ()


@pytest.mark.parametrize(
    ("check", "change", "code"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)]
)
def test_each_check_alone(check: str, change: Callable[[Pair], None], code: str) -> None:
    pair = healthy()
    change(pair)
    (finding,) = pair.findings()
    assert (finding.check, finding.code) == (check, code)
    assert finding.message
    assert finding.cure
    assert "OpaqueRef" not in finding.message + finding.cure + finding.ours + finding.theirs
    skippable = check in ("join.software", "join.cpu_vendor")
    assert finding.severity is (Severity.SKIPPABLE if skippable else Severity.BLOCKING)


def test_every_check_has_a_case() -> None:
    assert {check.name for check in preflight.JOIN_CHECKS} == {case[0] for case in CASES}


def test_all_at_once_and_in_the_order_of_xapi() -> None:
    pair = healthy()
    for check, change, _code in CASES:
        if check not in ("join.not_itself", "join.management_interface", "join.sdn_controller"):
            change(pair)
    found = [finding.check for finding in pair.findings()]
    wanted = [check.name for check in preflight.JOIN_CHECKS if check.name in set(found)]
    assert list(dict.fromkeys(found)) == wanted
    assert len(set(found)) >= 30


HARMLESS: dict[str, Callable[[Pair], None]] = {
    "suspended and paused guests": both(
        adding("joiner", "VM", "a", vm("a", power_state="Suspended")),
        adding("joiner", "VM", "b", vm("b", power_state="Paused")),
    ),
    "guests of the pool": adding("pool", "VM", "a", vm("a", power_state="Running")),
    "the same directory in other letters": both(
        of_host("pool", external_auth_type="AD", external_auth_service_name="CORP"),
        of_host("joiner", external_auth_type="AD", external_auth_service_name="corp"),
    ),
    "another build and CPU model": both(
        version("joiner", build_number="9"),
        of_host("joiner", cpu_info={"vendor": "GenuineIntel", "model": "12"}),
    ),
    "bonds, tunnels and VLANs of the pool": both(
        adding("pool", "Bond", "b", {"slaves": []}),
    ),
    "management on the same VLAN": both(
        of_own("joiner", "PIF", VLAN="7"),
        of_own("pool", "PIF", VLAN="7"),
        adding("joiner", "VLAN", "v", {"tag": "7", "untagged_PIF": ref("joiner-pif")}),
    ),
    "SDN controller of the pool only": sdn("pool", "10.0.0.8"),
    "an SDN controller with bridges": both(
        sdn("joiner", "10.0.0.8"),
        version("joiner", network_backend="bridge"),
        version("pool", network_backend=None),
    ),
    "a disabled cluster host": adding("joiner", "Cluster_host", "c", {"enabled": False}),
    "a cluster that nobody joins by himself": both(
        adding("pool", "Cluster", "c", {"pool_auto_join": False}),
        adding("pool", "Cluster_host", "ch", {"cluster": ref("c"), "PIF": NULL}),
    ),
    "one address on the clustering network": both(
        cluster(),
        adding("joiner", "PIF", "p1", pif("joiner", management=False, network=ref("net1"))),
    ),
    "more storage features than the pool": of_own(
        "joiner", "SM", features={"VDI_CREATE": "2", "VDI_CLONE": "1", "VDI_SNAPSHOT": "1"}
    ),
    "more storage drivers than the pool": adding(
        "joiner", "SM", "nfs", {"type": "nfs", "features": {}}
    ),
    "the same updates": both(updates("pool", "XS82E001"), updates("joiner", "XS82E001")),
    "the same CA": both(
        certificate("joiner", "AA", name="corp"), certificate("pool", "AA", name="corp")
    ),
    "the same certificate for quite other purposes": both(
        certificate("joiner", "AA", purpose=["updates"]),
        certificate("pool", "AA", purpose=["licensing"]),
    ),
    "one side offers NBD": of_own("joiner", "network", purpose=["nbd"]),
    "a small licence and a small pool": restrict("restrict_pool_size"),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_harmless(what: str) -> None:
    pair = healthy()
    HARMLESS[what](pair)
    assert pair.findings() == ()


def test_update_that_need_not_be_everywhere() -> None:
    pair = healthy()
    updates("pool", "driver disk")(pair)
    own(pair.pool, "pool_update")["enforce_homogeneity"] = False
    assert pair.findings() == ()


def test_pool_of_mixed_editions_is_only_mentioned() -> None:
    pair = healthy()
    add(pair.pool, "host", "other", host("other", edition="premium"))
    (finding,) = pair.findings()
    assert (finding.check, finding.severity) == ("join.edition", Severity.INFO)


OPTIONAL_CLASSES = (
    "tunnel network_sriov VLAN Bond Cluster Cluster_host pool_update Certificate SDN_controller SM"
)
OPTIONAL_FIELDS = {
    "pool": "is_psr_pending tls_verification_enabled restrictions cpu_info current_operations",
    "host": "pending_guidances updates control_domain tls_verification_enabled edition",
    "PIF": "primary_address_type VLAN",
    "network": "purpose",
    "SM": "features",
}


@pytest.mark.parametrize("old", ["joiner", "pool", "both"])
def test_old_release_offers_less_and_that_is_no_finding(old: str) -> None:
    pair = healthy()
    for side in ("joiner", "pool") if old == "both" else (old,):
        records = getattr(pair, side)
        for table in OPTIONAL_CLASSES.split():
            records[table] = None
        for table, fields in OPTIONAL_FIELDS.items():
            for record in (records[table] or {}).values():
                for field in fields.split():
                    record.pop(field, None)
    for side in ("joiner", "pool"):
        version(side, db_schema=None)(pair)
    found = pair.findings()
    # Only one of the two has an edition where the other's release has none.
    assert [finding.check for finding in found] in ([], ["join.edition"])
    assert old != "both" or found == ()


def test_names_are_cut_short_when_there_are_many() -> None:
    pair = healthy()
    for number in range(12):
        add(pair.joiner, "VM", f"vm{number:02}", vm(f"vm{number:02}", power_state="Running"))
    (finding,) = pair.findings()
    assert finding.message.endswith("vm00, vm01, vm02, vm03, vm04 and 7 more")
    assert finding.ours == "12"


def test_cure_names_the_side_that_lacks_verification() -> None:
    for side, name in (("joiner", "joiner"), ("pool", "rack 1")):
        pair = healthy()
        of_pool(side, tls_verification_enabled=False)(pair)
        (finding,) = pair.findings()
        assert f"at {name};" in finding.cure


def test_join_findings_reads_each_class_once() -> None:
    pair = healthy()
    pair.joiner["network_sriov"] = None
    joiner, pool = MemoryConnection(pair.joiner), MemoryConnection(pair.pool)
    assert preflight.join_findings(joiner, pool) == ()  # type: ignore[arg-type]
    for connection in (joiner, pool):
        assert len(connection.calls) == len(set(connection.calls)) <= 15


# --- leaving -----------------------------------------------------------------------------------


def member_pool() -> Records:
    """Master and member with a shared SR and a local one each."""
    records = standalone("master")
    add(records, "host", "member", host("member"))
    add(records, "host_metrics", "member-metrics", {"live": True})
    add(records, "SR", "shared", sr("shared", shared=True))
    add(records, "SR", "member-local", sr("member-local"))
    for name in ("master", "member"):
        add(records, "PBD", f"{name}-shared-pbd", pbd(name, "shared"))
    add(records, "PBD", "member-local-pbd", pbd("member", "member-local"))
    add(records, "PBD", "member-tools-pbd", pbd("member", "tools"))
    add(records, "VDI", "base", vdi("base copy", "member-local", managed=False))
    add(records, "VDI", "shared-disk", vdi("disk", "shared"))
    add(records, "VDI", "master-disk", vdi("disk", "master-local"))
    dom0 = vm("dom0", is_control_domain=True, power_state="Running", resident_on=ref("member"))
    add(records, "VM", "member-dom0", dom0)
    running = vm("web1", power_state="Running", resident_on=ref("master"))
    add(records, "VM", "elsewhere", running)
    return records


LEAVE_CASES: list[tuple[str, Callable[[Records], None], str]] = [
    (
        "leave.not_live",
        lambda r: r["host_metrics"][ref("member-metrics")].update(live=False),  # type: ignore[index]
        "HOST_OFFLINE",
    ),
    (
        "leave.guests",
        lambda r: add(r, "VM", "x", vm("db1", power_state="Paused", resident_on=ref("member"))),
        "OPERATION_NOT_ALLOWED",
    ),
    (
        "leave.local_data",
        lambda r: add(r, "VDI", "x", vdi("db1 root", "member-local")),
        "LOCAL_STORAGE_HOLDS_DATA",
    ),
    (
        "leave.local_data",  # called shared, but nobody else has it
        lambda r: (
            add(r, "SR", "odd", sr("odd", shared=True)),
            add(r, "PBD", "odd-pbd", pbd("member", "odd")),
            add(r, "VDI", "x", vdi("memory", "odd", type="suspend")),
        ),
        "LOCAL_STORAGE_HOLDS_DATA",
    ),
    ("leave.ha", lambda r: own(r, "pool").update(ha_enabled=True), "HA_IS_ENABLED"),
    (
        "leave.secret_rotation",
        lambda r: own(r, "pool").update(is_psr_pending=True),
        "POOL_SECRET_ROTATION_PENDING",
    ),
    (
        "leave.updating",
        lambda r: own(r, "pool").update(current_operations={"t": "apply_updates"}),
        "NOT_SUPPORTED_DURING_UPGRADE",
    ),
]


def leave(records: Records) -> tuple[Finding, ...] | None:
    return preflight.judge_leave(snapshot(records), "uuid-member")


def test_healthy_member_may_leave() -> None:
    assert leave(member_pool()) == ()


@pytest.mark.parametrize(("check", "change", "code"), LEAVE_CASES)
def test_each_leave_check_alone(check: str, change: Callable[[Records], Any], code: str) -> None:
    records = member_pool()
    change(records)
    (finding,) = leave(records) or ()
    assert (finding.check, finding.code) == (check, code)
    assert finding.severity is Severity.BLOCKING
    assert finding.message
    assert finding.cure
    assert "OpaqueRef" not in finding.message + finding.cure


def test_every_leave_check_has_a_case() -> None:
    assert {check.name for check in preflight.LEAVE_CHECKS} == {case[0] for case in LEAVE_CASES}


def test_local_data_is_listed_by_name_and_size() -> None:
    records = member_pool()
    add(records, "VDI", "x", vdi("db1 root", "member-local", virtual_size=str(5 * 2**29)))
    (finding,) = leave(records) or ()
    assert "member-local" in finding.message
    assert "db1 root (2.5 GiB)" in finding.message


def test_halted_guests_and_removable_media_do_not_hinder() -> None:
    records = member_pool()
    add(records, "VM", "halted", vm("halted", resident_on=ref("member")))
    for kind, content in (("udev", "disk"), ("iso", "iso"), ("nfs", "iso")):
        name = f"{kind}-{content}"
        add(records, "SR", name, sr(name, type=kind, content_type=content))
        add(records, "PBD", f"{name}-pbd", pbd("member", name))
        add(records, "VDI", f"{name}-vdi", vdi("medium", name))
    assert leave(records) == ()


def test_leaving_of_a_host_that_is_not_there() -> None:
    connection = MemoryConnection(member_pool())
    with pytest.raises(errors.ObjectGone):
        preflight.leave_findings(connection, "uuid-nobody")  # type: ignore[arg-type]
    assert preflight.leave_findings(connection, "uuid-member") == ()  # type: ignore[arg-type]
