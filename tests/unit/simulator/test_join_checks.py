"""Each pre-join check: the exact code and parameters, and what force skips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from nova_aggregates.simulator import builder, join_checks
from nova_aggregates.simulator.profile import STANDARD
from tests.unit.simulator.world import World, run

JOINER, POOL = 1, 0


@dataclass(frozen=True)
class Case:
    """``prepare`` spoils a world of two hosts; ``expected`` is the whole ErrorDescription."""

    name: str
    prepare: Callable[[World], Any]
    expected: Callable[[World], list[str]]


def fields(position: int, cls: str, **values: Any) -> Callable[[World], None]:
    """Write into the only record of a class, or into the host's own."""

    def write(world: World) -> None:
        db = world.db(position)
        ref = db.master if cls == "host" else next(iter(db.tables[cls]))
        db.set(cls, ref, **values)

    return write


def software(position: int, **versions: str) -> Callable[[World], None]:
    def write(world: World) -> None:
        db = world.db(position)
        known = db.get("host", db.master)["software_version"]
        db.set("host", db.master, software_version={**known, **versions})

    return write


def record(position: int, cls: str, **values: Any) -> Callable[[World], str]:
    return lambda world: world.db(position).create(cls, **values)


def both(*steps: Callable[[World], Any]) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        for step in steps:
            step(world)

    return prepare


def fixed(*description: str) -> Callable[[World], list[str]]:
    return lambda world: list(description)


def first(world: World, position: int, cls: str) -> str:
    return next(iter(world.db(position).tables[cls]))


def management(position: int, **values: Any) -> Callable[[World], None]:
    def write(world: World) -> None:
        db = world.db(position)
        found = db.first("PIF", management=True)
        assert found is not None
        db.set("PIF", found[0], **values)

    return write


def without_management(world: World) -> None:
    db = world.db(JOINER)
    for ref in list(db.tables["PIF"]):
        db.delete("PIF", ref)


def restrict(position: int, feature: str) -> Callable[[World], None]:
    def write(world: World) -> None:
        db = world.db(position)
        known = db.get("host", db.master)["license_params"]
        db.set("host", db.master, license_params={**known, feature: "true"})

    return write


def big_pool(world: World) -> None:
    for number in range(2):
        world.db(POOL).create("host", uuid=f"other-{number}", enabled=True)
    restrict(JOINER, "restrict_pool_size")(world)


def clustered_pool(world: World, **pif: Any) -> None:
    db = world.db(POOL)
    interface = db.create("PIF", device="eth1", host=db.master, **pif)
    cluster = db.create("Cluster", pool_auto_join=True)
    db.create("Cluster_host", cluster=cluster, host=db.master, PIF=interface)


def same_machine(world: World) -> None:
    """The pool's master is the joiner, as far as the uuid tells."""
    world.db(POOL).set("host", world.db(POOL).master, uuid=world[JOINER].disk.uuid)


def bonded_cluster(world: World) -> None:
    """The pool's cluster runs over a bond; the joiner has addresses at both members' bridges."""
    pool = world.db(POOL)
    networks = [pool.create("network", bridge=f"xenbr{n}") for n in (1, 2)]
    bond = pool.create("Bond")
    clustered_pool(world, VLAN=-1, management=False)
    interface = next(r["PIF"] for r in pool.tables["Cluster_host"].values())
    pool.set("Bond", bond, master=interface)
    for network in networks:
        pool.create("PIF", network=network, bond_slave_of=bond)
    local = world.db(JOINER)
    for number in (1, 2):
        network = local.create("network", bridge=f"xenbr{number}")
        local.create("PIF", network=network, host=local.master, IP=f"10.0.{number}.1")


def unlicensed_daemon(world: World) -> None:
    edition(JOINER, "premium")(world)
    world[JOINER].hardware.licence_daemon = False


def second_member(world: World) -> None:
    world.db(JOINER).create("host", uuid="another")


def guest(**values: Any) -> Callable[[World], str]:
    return record(JOINER, "VM", **values)


def update(position: int) -> Callable[[World], None]:
    def write(world: World) -> None:
        db = world.db(position)
        db.create("pool_update", hosts=[db.master], enforce_homogeneity=True)

    return write


def edition(position: int, name: str) -> Callable[[World], None]:
    return fields(position, "host", edition=name)


def certificates(kind: str, **values: Any) -> Callable[[World], None]:
    def write(world: World) -> None:
        for position in (JOINER, POOL):
            given = {k: v[position] if isinstance(v, tuple) else v for k, v in values.items()}
            world.db(position).create("Certificate", type=kind, **given)

    return write


def trusted_refs(world: World) -> list[str]:
    found = [
        next(r for r, c in world.db(p).find("Certificate") if c["purpose"]) for p in (POOL, JOINER)
    ]
    return ["POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT", *found]


def lesser_manager(world: World) -> None:
    found = world.db(JOINER).first("SM", type="nfs")
    assert found is not None
    world.db(JOINER).set("SM", found[0], features={"SR_PROBE": 1})


def manager_refs(world: World) -> list[str]:
    pair = [world.db(p).first("SM", type="nfs") for p in (POOL, JOINER)]
    return ["POOL_JOINING_SM_FEATURES_INCOMPATIBLE", *(f[0] if f else "" for f in pair)]


def missing_manager(world: World) -> None:
    found = world.db(JOINER).first("SM", type="nfs")
    assert found is not None
    world.db(JOINER).delete("SM", found[0])


def missing_manager_refs(world: World) -> list[str]:
    found = world.db(POOL).first("SM", type="nfs")
    return ["POOL_JOINING_SM_FEATURES_INCOMPATIBLE", found[0] if found else "", ""]


OVS = {"network_backend": "openvswitch"}
SDN = {"protocol": "ssl", "address": "10.0.0.1", "port": 6632}

CASES = [
    Case("01 pool size", big_pool, fixed("LICENCE_RESTRICTION", "Pool_size")),
    Case("02 no management interface", without_management, fixed("HOST_STILL_BOOTING")),
    Case("03 HA here", fields(JOINER, "pool", ha_enabled=True), fixed("HA_IS_ENABLED")),
    Case(
        "04 clustered",
        lambda w: w.db(JOINER).create("Cluster_host", host=w.db(JOINER).master, enabled=True),
        lambda w: ["CLUSTERING_ENABLED", first(w, JOINER, "Cluster_host")],
    ),
    Case(
        "05 cluster on a VLAN",
        lambda w: clustered_pool(w, VLAN=7, management=False),
        fixed("POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK", "7"),
    ),
    Case(
        "05 no address on the cluster's network",
        lambda w: clustered_pool(w, VLAN=-1, management=False),
        fixed("POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK"),
    ),
    Case(
        "05 two addresses on the cluster's bond",
        bonded_cluster,
        fixed("POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK"),
    ),
    Case("06 HA there", fields(POOL, "pool", ha_enabled=True), fixed("HA_IS_ENABLED")),
    Case(
        "07 itself",
        same_machine,
        fixed("OPERATION_NOT_ALLOWED", "Host cannot become slave of itself"),
    ),
    Case(
        "07 part of a pool",
        both(second_member, same_machine),
        fixed("OPERATION_NOT_ALLOWED", "Host is already part of a pool"),
    ),
    Case("08 others", second_member, fixed("JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS")),
    Case(
        "09 running guest",
        guest(power_state="Running"),
        fixed("JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"),
    ),
    Case(
        "09 driver domain",
        guest(power_state="Running", is_control_domain=True),
        fixed("JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"),
    ),
    Case(
        "10 guest operation",
        guest(power_state="Halted", current_operations={"OpaqueRef:t": "clone"}),
        fixed("JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS"),
    ),
    Case(
        "11 guidance here",
        fields(JOINER, "host", pending_guidances=["reboot_host"]),
        lambda w: ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", w.db(JOINER).master],
    ),
    Case(
        "11 guidance there",
        fields(POOL, "host", pending_guidances=["restart_toolstack"]),
        lambda w: ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", w.db(POOL).master],
    ),
    Case("12 platform", software(JOINER, platform_version="3.3.0"), fixed("HOSTS_NOT_COMPATIBLE")),
    Case("12 brand", software(JOINER, product_brand="XenServer"), fixed("HOSTS_NOT_COMPATIBLE")),
    Case(
        "13 xapi version",
        software(JOINER, xapi="26.16"),
        fixed("HOSTS_NOT_HOMOGENEOUS", "Software version differs"),
    ),
    Case(
        "13 CPU vendor",
        fields(JOINER, "host", cpu_info={"vendor": "AuthenticAMD"}),
        fixed("HOSTS_NOT_HOMOGENEOUS", "CPUs differ"),
    ),
    Case(
        "14 shared storage",
        record(JOINER, "SR", shared=True, type="nfs"),
        fixed("JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS"),
    ),
    Case("15 bond", record(JOINER, "Bond"), fixed("POOL_JOINING_HOST_HAS_BONDS")),
    Case("16 tunnel", record(JOINER, "tunnel"), fixed("POOL_JOINING_HOST_HAS_TUNNELS")),
    Case(
        "17 SR-IOV",
        record(JOINER, "network_sriov"),
        fixed("POOL_JOINING_HOST_HAS_NETWORK_SRIOVS"),
    ),
    Case(
        "18 VLAN",
        record(JOINER, "VLAN", tag=5),
        fixed("POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS"),
    ),
    Case(
        "19 management VLAN",
        management(JOINER, VLAN=12),
        fixed("POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH", "12", "-1"),
    ),
    Case(
        "20 directory type",
        fields(JOINER, "host", external_auth_type="AD"),
        fixed("POOL_JOINING_EXTERNAL_AUTH_MISMATCH"),
    ),
    Case(
        "20 directory name",
        both(
            fields(JOINER, "host", external_auth_type="AD", external_auth_service_name="a.test"),
            fields(POOL, "host", external_auth_type="AD", external_auth_service_name="b.test"),
        ),
        fixed("POOL_JOINING_EXTERNAL_AUTH_MISMATCH"),
    ),
    Case(
        "21 unknown edition",
        edition(JOINER, "premium"),
        fixed("LICENSE_HOST_POOL_MISMATCH", 'Edition "premium" from pool is not known to v6d.'),
    ),
    Case(
        "21 no licence daemon",
        unlicensed_daemon,
        fixed("V6D_FAILURE", "The pool uses v6d. Pool edition list = [xcp-ng]"),
    ),
    Case(
        "22 backend",
        software(JOINER, **OVS),
        fixed("OPERATION_NOT_ALLOWED", "Network backends differ"),
    ),
    Case(
        "23 SDN controller",
        both(
            software(JOINER, **OVS), software(POOL, **OVS), record(JOINER, "SDN_controller", **SDN)
        ),
        fixed("OPERATION_NOT_ALLOWED", "SDN controller differs"),
    ),
    Case(
        "23 another SDN controller",
        both(
            software(JOINER, **OVS),
            software(POOL, **OVS),
            record(JOINER, "SDN_controller", **SDN),
            record(POOL, "SDN_controller", **{**SDN, "port": 6633}),
        ),
        fixed("OPERATION_NOT_ALLOWED", "SDN controller differs"),
    ),
    Case(
        "24 API version",
        fields(JOINER, "host", API_version_minor=22),
        fixed("POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION", "2.22", "2.23"),
    ),
    Case(
        "25 schema",
        software(JOINER, db_schema="5.900"),
        fixed("POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA", "5.900", "5.909"),
    ),
    Case(
        "25 no schema",
        both(software(JOINER, db_schema=""), software(POOL, db_schema="")),
        fixed("POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA", "", ""),
    ),
    Case(
        "26 updates",
        update(POOL),
        fixed("HOSTS_NOT_HOMOGENEOUS", "Updates on local host host2 and pool host host1 differ"),
    ),
    Case(
        "27 address family",
        management(JOINER, primary_address_type="IPv6"),
        fixed("OPERATION_NOT_ALLOWED", "Primary address type differs"),
    ),
    Case(
        "28 NBD",
        both(
            record(JOINER, "network", purpose=["nbd"]),
            record(POOL, "network", purpose=["insecure_nbd"]),
        ),
        fixed("OPERATION_NOT_ALLOWED", "Incompatible network purposes: nbd and insecure_nbd"),
    ),
    Case(
        "29 TLS",
        fields(JOINER, "pool", tls_verification_enabled=False),
        fixed("POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH"),
    ),
    Case(
        "30 authorities",
        both(
            certificates("ca", name="a.pem", fingerprint_sha256=("AA", "BB")),
            certificates("ca", name="b.pem", fingerprint_sha256=("CC", "CC")),
            certificates("ca", name="c.pem", fingerprint_sha256=("DD", "EE")),
        ),
        fixed("POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT", "c.pem", "a.pem"),
    ),
    Case(
        "31 purposes",
        certificates("ca", fingerprint_sha256="AA", purpose=(["ldaps"], ["ldaps", "licensing"])),
        trusted_refs,
    ),
    Case(
        "31 purposes of a pinned one",
        certificates(
            "pinned", fingerprint_sha256="AA", purpose=(["ldaps", "licensing"], ["ldaps"])
        ),
        trusted_refs,
    ),
    Case(
        "32 updates under way here",
        fields(JOINER, "pool", current_operations={"OpaqueRef:t": "apply_updates"}),
        fixed("NOT_SUPPORTED_DURING_UPGRADE"),
    ),
    Case(
        "32 updates under way there",
        fields(POOL, "pool", current_operations={"OpaqueRef:t": "apply_updates"}),
        fixed("NOT_SUPPORTED_DURING_UPGRADE"),
    ),
    Case("33 storage manager features", lesser_manager, manager_refs),
    Case("33 storage manager missing", missing_manager, missing_manager_refs),
]
SKIPPED_BY_FORCE = [c for c in CASES if c.name.startswith("13")]
NOT_SKIPPED = [c for c in CASES if not c.name.startswith("13")]


def names(case: Case) -> str:
    return case.name.replace(" ", "-")


@pytest.mark.parametrize("case", CASES, ids=names)
def test_join_is_refused(case: Case) -> None:
    async def scenario(world: World) -> None:
        case.prepare(world)
        members = set(world.db(POOL).tables["host"])
        error = await world.failure(JOINER, "pool.join", world[POOL].address, "root", "secret")
        assert error == case.expected(world)
        assert set(world.db(POOL).tables["host"]) == members

    run(scenario)


@pytest.mark.parametrize("case", NOT_SKIPPED, ids=names)
def test_force_does_not_help(case: Case) -> None:
    async def scenario(world: World) -> None:
        case.prepare(world)
        address = world[POOL].address
        error = await world.failure(JOINER, "pool.join_force", address, "root", "secret")
        assert error == case.expected(world)

    run(scenario)


@pytest.mark.parametrize("case", SKIPPED_BY_FORCE, ids=names)
def test_force_skips_homogeneity(case: Case) -> None:
    async def scenario(world: World) -> None:
        case.prepare(world)
        assert await world.join(JOINER, method="pool.join_force") == ""
        assert world.host(JOINER)

    run(scenario)


def test_there_are_33_checks() -> None:
    assert len(join_checks.CHECKS) == 33
    assert {int(c.name[:2]) for c in CASES} == set(range(1, 34))


def test_editions_that_the_daemon_knows_are_both_named() -> None:
    async def scenario(world: World) -> None:
        edition(JOINER, "premium")(world)
        edition(POOL, "standard")(world)
        error = await world.failure(JOINER, "pool.join", world[POOL].address, "root", "secret")
        assert error == [
            "LICENSE_HOST_POOL_MISMATCH",
            'host edition = "premium"',
            'pool edition = "standard"',
        ]

    run(scenario, profile=_knowing("standard", "premium"))


def _knowing(*editions: str) -> Any:
    import dataclasses

    return dataclasses.replace(STANDARD, editions=editions)


def test_the_first_failing_check_is_the_one_reported() -> None:
    async def scenario(world: World) -> None:
        for case in reversed(CASES):
            if case.name.startswith(("33 storage manager features", "29", "14", "09")):
                case.prepare(world)
        error = await world.failure(JOINER, "pool.join", world[POOL].address, "root", "secret")
        assert error == ["JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"]

    run(scenario)


def test_pooling_must_be_licensed() -> None:
    async def scenario(world: World) -> None:
        restrict(JOINER, "restrict_pooling")(world)
        error = await world.failure(JOINER, "pool.join", world[POOL].address, "root", "secret")
        assert error == ["LICENCE_RESTRICTION"]

    run(scenario)


def test_suspended_guests_and_the_tools_repository_do_not_hinder() -> None:
    async def scenario(world: World) -> None:
        guest(power_state="Suspended")(world)
        assert world.db(JOINER).first("SR", is_tools_sr=True, shared=True)
        await world.join(JOINER)
        assert world.db(POOL).first("host", uuid=world[JOINER].disk.uuid)

    run(scenario)


HARMLESS: dict[str, Callable[[World], Any]] = {
    "a cluster host that is not enabled": lambda w: w.db(JOINER).create(
        "Cluster_host", host=w.db(JOINER).master, enabled=False
    ),
    "a cluster that others do not join by themselves": lambda w: w.db(POOL).create(
        "Cluster_host", cluster=w.db(POOL).create("Cluster", pool_auto_join=False)
    ),
    "the same authority under the same name": certificates("ca", name="a", fingerprint_sha256="A"),
    "purposes without anything in common": certificates(
        "pinned", fingerprint_sha256="AA", purpose=(["ldaps"], ["licensing"])
    ),
    "one purpose of a certificate with a name": certificates(
        "ca", name="a", fingerprint_sha256="AA", purpose=(["ldaps"], ["ldaps", "licensing"])
    ),
    "an SDN controller at the pool only": both(
        software(JOINER, **OVS), software(POOL, **OVS), record(POOL, "SDN_controller", **SDN)
    ),
    "an NBD network at one side only": record(JOINER, "network", purpose=["nbd"]),
    "the directory's name in capitals": both(
        fields(JOINER, "host", external_auth_type="AD", external_auth_service_name="A.test"),
        fields(POOL, "host", external_auth_type="AD", external_auth_service_name="a.TEST"),
    ),
    "another build number": software(JOINER, build_number="nine"),
    "an update that need not be everywhere": lambda w: w.db(POOL).create(
        "pool_update", hosts=[w.db(POOL).master], enforce_homogeneity=False
    ),
    "newer features of a storage manager": lambda w: w.db(JOINER).set(
        "SM",
        first(w, JOINER, "SM"),
        features={**w.db(JOINER).get("SM", first(w, JOINER, "SM"))["features"], "NEW": 9},
    ),
}


@pytest.mark.parametrize("prepare", HARMLESS.values(), ids=HARMLESS)
def test_what_does_not_hinder(prepare: Callable[[World], Any]) -> None:
    async def scenario(world: World) -> None:
        prepare(world)
        await world.join(JOINER)
        assert world.db(POOL).first("host", uuid=world[JOINER].disk.uuid)

    run(scenario)


def test_shared_storage_is_plugged_at_a_new_member() -> None:
    async def scenario(world: World) -> None:
        await world.pool(JOINER)
        db = world.db(POOL)
        shared = db.first("SR", shared=True, is_tools_sr=False)
        assert shared is not None
        plugs = [db.get("PBD", p) for p in shared[1]["PBDs"]]
        assert {p["host"]: p["currently_attached"] for p in plugs} == {
            world.host(0): True,
            world.host(1): True,
        }

    run(scenario, shared_storage=True)


def test_guests_on_local_disks_come_along_halted() -> None:
    async def scenario(world: World) -> None:
        builder.add_guest(world[JOINER], "web", running=False)
        await world.pool(JOINER)
        found = world.db(POOL).first("VM", name_label="web")
        assert found is not None
        assert found[1]["power_state"] == "Halted"
        disk = world.db(POOL).get("VBD", found[1]["VBDs"][0])["VDI"]
        assert world.db(POOL).get("VDI", disk)["name_label"] == "web disk"

    run(scenario)
