"""The checks of pool.join, in the order of xapi_pool.ml pre_join_checks.

Pure functions of two databases: what stands in them decides, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nova_aggregates.simulator.database import Database, Record
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.levels import LEVELS, NEWEST, Level

RESTRICTED_POOL_SIZE = 3


@dataclass(frozen=True)
class Side:
    """One of the two pools: its database and whether its host is still coming up."""

    db: Database
    address: str

    @property
    def pool(self) -> Record:
        return self.db.pool_record

    @property
    def master_ref(self) -> str:
        return self.db.master

    @property
    def master(self) -> Record:
        return self.db.get("host", self.master_ref)

    @property
    def management_pif(self) -> Record | None:
        found = self.db.first("PIF", host=self.master_ref, management=True)
        return found[1] if found else None


@dataclass(frozen=True)
class Join:
    joiner: Side
    pool: Side
    force: bool = False
    known_editions: tuple[str, ...] = ()  # from the least to the most
    licence_daemon: bool = True
    level: Level = LEVELS[NEWEST]  # the joiner's: it is the one that checks


def run(join: Join) -> None:
    """Raises the ApiError of the first check that fails; force skips homogeneity alone."""
    for check in CHECKS:
        if check is homogeneous and join.force:
            continue
        if not join.level.since(*CAME_WITH.get(check, ())):
            continue
        check(join)


def licensed_for_size(join: Join) -> None:
    limited = join.joiner.master["license_params"].get("restrict_pool_size") == "true"
    if limited and len(join.pool.db.tables["host"]) >= RESTRICTED_POOL_SIZE:
        raise ApiError("LICENCE_RESTRICTION", "Pool_size")


def management_exists(join: Join) -> None:
    if join.joiner.management_pif is None:
        raise ApiError("HOST_STILL_BOOTING")


def joiner_without_ha(join: Join) -> None:
    if join.joiner.pool["ha_enabled"]:
        raise ApiError("HA_IS_ENABLED")


def joiner_without_clustering(join: Join) -> None:
    found = join.joiner.db.first("Cluster_host", host=join.joiner.master_ref)
    if found is not None and found[1]["enabled"]:
        raise ApiError("CLUSTERING_ENABLED", found[0])


def cluster_network_fits(join: Join) -> None:
    """Only the first cluster host of the pool is looked at, as by the real one."""
    pool = join.pool.db
    found = pool.first("Cluster_host")
    cluster = pool.peek("Cluster", found[1]["cluster"]) if found else None
    if found is None or cluster is None or not cluster["pool_auto_join"]:
        return
    pif = pool.peek("PIF", found[1]["PIF"])
    if pif is None:
        return
    if pif["VLAN"] > 0 and not pif["management"]:
        raise ApiError(
            "POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK", str(pif["VLAN"])
        )
    bridges = _cluster_bridges(pool, pif)
    local = join.joiner.db
    addressed = [
        p
        for _, p in local.find("PIF", host=join.joiner.master_ref)
        if p["IP"] and _bridge(local, p) in bridges
    ]
    if len(addressed) != 1:
        raise ApiError("POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK")


def _bridge(db: Database, pif: Record) -> str:
    network = db.peek("network", pif["network"])
    return str(network["bridge"]) if network else ""


def _cluster_bridges(db: Database, pif: Record) -> set[str]:
    """The bridge of the clustering interface, or those of its members if it is a bond."""
    bonds = pif["bond_master_of"]
    if not bonds:
        return {_bridge(db, pif)}
    members = [m for bond in bonds for m in db.get("Bond", bond)["slaves"]]
    return {_bridge(db, db.get("PIF", m)) for m in members}


def pool_without_ha(join: Join) -> None:
    if join.pool.pool["ha_enabled"]:
        raise ApiError("HA_IS_ENABLED")


def not_itself(join: Join) -> None:
    if join.joiner.master["uuid"] != join.pool.master["uuid"]:
        return
    alone = len(join.joiner.db.tables["host"]) == 1
    text = "Host cannot become slave of itself" if alone else "Host is already part of a pool"
    raise ApiError("OPERATION_NOT_ALLOWED", text)


def joiner_is_alone(join: Join) -> None:
    if len(join.joiner.db.tables["host"]) > 1:
        raise ApiError("JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS")


def no_running_guests(join: Join) -> None:
    """All but the control domain of a host: a driver domain counts (helpers.ml)."""
    for ref, vm in join.joiner.db.find("VM", power_state="Running"):
        host = join.joiner.db.peek("host", vm["resident_on"])
        own = host is not None and host["control_domain"] == ref
        if not (vm["is_control_domain"] and own):
            raise ApiError("JOINING_HOST_CANNOT_HAVE_RUNNING_VMS")


def no_guest_operations(join: Join) -> None:
    if any(vm["current_operations"] for _, vm in join.joiner.db.find("VM")):
        raise ApiError("JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS")


def no_mandatory_guidance(join: Join) -> None:
    for side in (join.joiner, join.pool):
        if side.master["pending_guidances"]:
            raise ApiError("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", side.master_ref)


def _compatibility_name(version: dict[str, str]) -> str | None:
    """What tells the products apart: the brand, or the platform's name where there is none."""
    return version.get("product_brand", version.get("platform_name"))


def compatible(join: Join) -> None:
    local, remote = (
        (v.get("platform_version"), _compatibility_name(v))
        for v in (s.master["software_version"] for s in (join.joiner, join.pool))
    )
    if local != remote:
        raise ApiError("HOSTS_NOT_COMPATIBLE")


def homogeneous(join: Join) -> None:
    local, remote = (
        (
            v.get("xapi", ""),
            _compatibility_name(v) or "",
            v.get("git_id", ""),
            "xs:linux" in v,
        )
        for v in (s.master["software_version"] for s in (join.joiner, join.pool))
    )
    if local != remote:
        raise ApiError("HOSTS_NOT_HOMOGENEOUS", "Software version differs")
    if join.joiner.master["cpu_info"].get("vendor") != join.pool.pool["cpu_info"].get("vendor"):
        raise ApiError("HOSTS_NOT_HOMOGENEOUS", "CPUs differ")


def no_shared_storage(join: Join) -> None:
    for _, sr in join.joiner.db.find("SR", shared=True):
        if not sr["is_tools_sr"]:
            raise ApiError("JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS")


def _none_of(cls: str, code: str) -> Callable[[Join], None]:
    def check(join: Join) -> None:
        if join.joiner.db.tables[cls]:
            raise ApiError(code)

    check.__name__ = f"no_{cls}"
    return check


def no_other_vlans(join: Join) -> None:
    db = join.joiner.db
    for _, vlan in db.find("VLAN"):
        untagged = db.peek("PIF", vlan["untagged_PIF"])
        if untagged is None or not untagged["management"]:
            raise ApiError("POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS")


def management_vlan_matches(join: Join) -> None:
    local, remote = (s.management_pif for s in (join.joiner, join.pool))
    tags = [str(p["VLAN"]) if p else "-1" for p in (local, remote)]
    if tags[0] != tags[1]:
        raise ApiError("POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH", *tags)


def same_directory(join: Join) -> None:
    local, remote = join.joiner.master, join.pool.master
    names = [r["external_auth_service_name"].lower() for r in (local, remote)]
    if local["external_auth_type"] != remote["external_auth_type"] or names[0] != names[1]:
        raise ApiError("POOL_JOINING_EXTERNAL_AUTH_MISMATCH")


def same_edition(join: Join) -> None:
    """The daemon is asked only when the editions differ; it says what they are worth."""
    local = join.joiner.master["edition"]
    editions = [h["edition"] for _, h in join.pool.db.find("host")]
    if all(e == local for e in editions):
        return
    if not join.licence_daemon:
        text = f"The pool uses v6d. Pool edition list = [{'; '.join(editions)}]"
        raise ApiError("V6D_FAILURE", text)
    for edition in (*editions, local):
        if edition not in join.known_editions:
            raise ApiError(
                "LICENSE_HOST_POOL_MISMATCH",
                f'Edition "{edition}" from pool is not known to v6d.',
            )
    remote = min(editions, key=join.known_editions.index)
    if remote != local:
        raise ApiError(
            "LICENSE_HOST_POOL_MISMATCH",
            f'host edition = "{local}"',
            f'pool edition = "{remote}"',
        )


def _backend(side: Side) -> str:
    return str(side.master["software_version"].get("network_backend", "bridge"))


def same_backend(join: Join) -> None:
    if _backend(join.joiner) != _backend(join.pool):
        raise ApiError("OPERATION_NOT_ALLOWED", "Network backends differ")


def same_controller(join: Join) -> None:
    """A pool has at most one controller: the first one counts."""
    if _backend(join.joiner) != "openvswitch":
        return
    local, remote = (side.db.first("SDN_controller") for side in (join.joiner, join.pool))
    if local is None:
        return
    same = remote is not None and all(
        local[1][name] == remote[1][name] for name in ("protocol", "address", "port")
    )
    if not same:
        raise ApiError("OPERATION_NOT_ALLOWED", "SDN controller differs")


def same_api_version(join: Join) -> None:
    local, remote = (
        f"{m['API_version_major']}.{m['API_version_minor']}"
        for m in (join.joiner.master, join.pool.master)
    )
    if local != remote:
        raise ApiError("POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION", local, remote)


def same_schema(join: Join) -> None:
    local, remote = (
        s.master["software_version"].get("db_schema", "") for s in (join.joiner, join.pool)
    )
    if local != remote or not local:
        raise ApiError("POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA", local, remote)


def same_updates(join: Join) -> None:
    def applied(side: Side) -> set[str]:
        found = side.db.find("pool_update", enforce_homogeneity=True)
        return {u["uuid"] for _, u in found if side.master_ref in u["hosts"]}

    if applied(join.joiner) != applied(join.pool):
        names = (join.joiner.master["name_label"], join.pool.master["name_label"])
        text = f"Updates on local host {names[0]} and pool host {names[1]} differ"
        raise ApiError("HOSTS_NOT_HOMOGENEOUS", text)


def same_address_family(join: Join) -> None:
    local, remote = (s.management_pif for s in (join.joiner, join.pool))
    if local and remote and local["primary_address_type"] != remote["primary_address_type"]:
        raise ApiError("OPERATION_NOT_ALLOWED", "Primary address type differs")


def compatible_purposes(join: Join) -> None:
    def first_of(side: Side) -> str | None:
        purposes = (p for _, network in side.db.find("network") for p in network["purpose"])
        return next((p for p in purposes if p in ("nbd", "insecure_nbd")), None)

    local, remote = first_of(join.joiner), first_of(join.pool)
    if local is not None and remote is not None and local != remote:
        raise ApiError(
            "OPERATION_NOT_ALLOWED", "Incompatible network purposes: nbd and insecure_nbd"
        )


def same_tls_verification(join: Join) -> None:
    local, remote = (s.pool["tls_verification_enabled"] for s in (join.joiner, join.pool))
    if local != remote:
        raise ApiError("POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH")


def no_authority_conflicts(join: Join) -> None:
    """The names come in falling order, as the real one collects them."""

    def authorities(side: Side) -> dict[str, str]:
        found = side.db.find("Certificate", type="ca")
        return {c["name"]: c["fingerprint_sha256"] for _, c in found if c["name"]}

    local, remote = authorities(join.joiner), authorities(join.pool)
    conflicts = [n for n in local if n in remote and local[n] != remote[n]]
    if conflicts:
        names = sorted(conflicts, reverse=True)
        raise ApiError("POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT", *names)


def no_purpose_conflicts(join: Join) -> None:
    """Certificates without a name are trusted for purposes, and known by their fingerprint."""

    def trusted(side: Side) -> dict[str, tuple[str, set[str]]]:
        return {
            c["fingerprint_sha256"]: (ref, set(c["purpose"]))
            for ref, c in side.db.find("Certificate", name="")
            if c["type"] in ("ca", "pinned")
        }

    local, remote = trusted(join.joiner), trusted(join.pool)
    for fingerprint in sorted(local.keys() & remote.keys()):
        (ours, mine), (theirs, pools) = local[fingerprint], remote[fingerprint]
        if mine != pools and mine & pools:
            raise ApiError("POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT", theirs, ours)


def no_updates_under_way(join: Join) -> None:
    for side in (join.joiner, join.pool):
        if "apply_updates" in side.pool["current_operations"].values():
            raise ApiError("NOT_SUPPORTED_DURING_UPGRADE")


def storage_managers_suffice(join: Join) -> None:
    """Each type exactly once, with every feature of the pool's in at least its version."""
    for remote_ref, remote in join.pool.db.find("SM"):
        found = list(join.joiner.db.find("SM", type=remote["type"]))
        if len(found) != 1:
            raise ApiError("POOL_JOINING_SM_FEATURES_INCOMPATIBLE", remote_ref, "")
        local_ref, local = found[0]
        enough = all(
            int(local["features"].get(feature, -1)) >= int(version)
            for feature, version in remote["features"].items()
        )
        if not enough:
            raise ApiError("POOL_JOINING_SM_FEATURES_INCOMPATIBLE", remote_ref, local_ref)


CHECKS: tuple[Callable[[Join], None], ...] = (
    licensed_for_size,
    management_exists,
    joiner_without_ha,
    joiner_without_clustering,
    cluster_network_fits,
    pool_without_ha,
    not_itself,
    joiner_is_alone,
    no_running_guests,
    no_guest_operations,
    no_mandatory_guidance,
    compatible,
    homogeneous,
    no_shared_storage,
    _none_of("Bond", "POOL_JOINING_HOST_HAS_BONDS"),
    _none_of("tunnel", "POOL_JOINING_HOST_HAS_TUNNELS"),
    _none_of("network_sriov", "POOL_JOINING_HOST_HAS_NETWORK_SRIOVS"),
    no_other_vlans,
    management_vlan_matches,
    same_directory,
    same_edition,
    same_backend,
    same_controller,
    same_api_version,
    same_schema,
    same_updates,
    same_address_family,
    compatible_purposes,
    same_tls_verification,
    no_authority_conflicts,
    no_purpose_conflicts,
    no_updates_under_way,
    storage_managers_suffice,
)

# The builds of xapi that made these checks first; the others are older than all levels.
CAME_WITH: dict[Callable[[Join], None], tuple[int, ...]] = {
    cluster_network_fits: (25, 20),
    no_mandatory_guidance: (24, 31),
    same_tls_verification: (1, 297),
    no_authority_conflicts: (1, 297),
    no_purpose_conflicts: (26, 13),
    no_updates_under_way: (1, 301),
    storage_managers_suffice: (24, 37),
}
