"""What pool.join asks about networks, clustering networks, and certificates.

Each function mirrors one assertion of xapi ``ocaml/xapi/xapi_pool.ml`` pre_join_checks.
"""

from __future__ import annotations

from collections.abc import Iterator

from nova_aggregates.xenapi.checks import Problem, listed
from nova_aggregates.xenapi.decode import Record
from nova_aggregates.xenapi.join_host_checks import Sides
from nova_aggregates.xenapi.snapshot import Snapshot

_NBD = frozenset({"nbd", "insecure_nbd"})


def management_interface(sides: Sides) -> Iterator[Problem]:
    if sides.joiner["PIF"].offered and sides.joiner.management is None:
        yield Problem(
            "HOST_STILL_BOOTING",
            f"{sides.joiner_name} has no management interface in its database yet",
            ours="none",
        )


def clustering_network(sides: Sides) -> Iterator[Problem]:
    """Only where the pool makes each new member join its cluster."""
    pif = _cluster_pif(sides.pool)
    if pif is None:
        return
    vlan = pif.integer("VLAN", -1)
    if vlan > 0 and not pif.flag("management"):
        yield Problem(
            "POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK",
            f"{sides.pool_name} clusters its members over VLAN {vlan}, which no joining host has",
            params=(str(vlan),),
            theirs=str(vlan),
        )
        return
    bridges = _cluster_bridges(sides.pool, pif)
    addresses = [
        found.text("IP")
        for found in sides.joiner["PIF"]
        if found.text("IP") and _bridge(sides.joiner, found) in bridges
    ]
    if len(addresses) != 1:
        yield Problem(
            "POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK",
            f"{sides.joiner_name} has {len(addresses)} addresses on the network over which "
            f"{sides.pool_name} clusters its members; exactly one is needed",
            ours=listed(addresses) or "none",
            theirs=listed(bridges),
        )


def no_bonds(sides: Sides) -> Iterator[Problem]:
    yield from _none_of(sides, "Bond", "POOL_JOINING_HOST_HAS_BONDS", "network bonds")


def no_tunnels(sides: Sides) -> Iterator[Problem]:
    yield from _none_of(sides, "tunnel", "POOL_JOINING_HOST_HAS_TUNNELS", "network tunnels")


def no_sriov(sides: Sides) -> Iterator[Problem]:
    yield from _none_of(
        sides, "network_sriov", "POOL_JOINING_HOST_HAS_NETWORK_SRIOVS", "SR-IOV networks"
    )


def no_other_vlans(sides: Sides) -> Iterator[Problem]:
    tags = [
        vlan.text("tag")
        for vlan in sides.joiner["VLAN"]
        if not _is_management(sides.joiner, vlan.link("untagged_PIF"))
    ]
    if tags:
        yield Problem(
            "POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS",
            f"{sides.joiner_name} has VLANs besides that of its management: {listed(tags)}",
            ours=listed(tags),
        )


def same_management_vlan(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _management_values(sides, "VLAN")
    if ours is not None and theirs is not None and ours != theirs:
        yield Problem(
            "POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH",
            f"The management of {sides.joiner_name} is on {_vlan(ours)}, that of "
            f"{sides.pool_name} on {_vlan(theirs)}",
            params=(ours, theirs),
            ours=ours,
            theirs=theirs,
        )


def same_backend(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _backend(sides.joiner), _backend(sides.pool)
    if ours != theirs:
        yield Problem(
            "OPERATION_NOT_ALLOWED",
            f"The network backend of {sides.joiner_name} is {ours}, that of {sides.pool_name} "
            f"{theirs}",
            params=("Network backends differ",),
            ours=ours,
            theirs=theirs,
        )


def same_sdn_controller(sides: Sides) -> Iterator[Problem]:
    if _backend(sides.joiner) != "openvswitch":
        return
    ours, theirs = _sdn(sides.joiner), _sdn(sides.pool)
    if ours and ours != theirs:
        yield Problem(
            "OPERATION_NOT_ALLOWED",
            f"{sides.joiner_name} is controlled by {ours}, {sides.pool_name} by "
            f"{theirs or 'no SDN controller'}",
            params=("SDN controller differs",),
            ours=ours,
            theirs=theirs,
        )


def same_address_type(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _management_values(sides, "primary_address_type")
    if ours and theirs and ours != theirs:
        yield Problem(
            "OPERATION_NOT_ALLOWED",
            f"The management of {sides.joiner_name} uses {ours}, that of {sides.pool_name} "
            f"{theirs}",
            params=("Primary address type differs",),
            ours=ours,
            theirs=theirs,
        )


def same_nbd_purpose(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _nbd(sides.joiner), _nbd(sides.pool)
    if ours and theirs and ours != theirs:
        yield Problem(
            "OPERATION_NOT_ALLOWED",
            f"Networks of {sides.joiner_name} have the purpose {listed(ours)}, those of "
            f"{sides.pool_name} {listed(theirs)}",
            params=("Incompatible network purposes: nbd and insecure_nbd",),
            ours=listed(ours),
            theirs=listed(theirs),
        )


def same_tls_verification(sides: Sides) -> Iterator[Problem]:
    field = "tls_verification_enabled"
    joiner, pool = sides.joiner.pool, sides.pool.pool
    if not (joiner.has(field) and pool.has(field)) or joiner.flag(field) == pool.flag(field):
        return
    lacking = sides.pool_name if joiner.flag(field) else sides.joiner_name
    yield Problem(
        "POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH",
        f"TLS verification is {_on(joiner.flag(field))} at {sides.joiner_name} and "
        f"{_on(pool.flag(field))} in {sides.pool_name}",
        ours=_on(joiner.flag(field)),
        theirs=_on(pool.flag(field)),
        cure=f"Run xe pool-enable-tls-verification at {lacking}; it cannot be turned off again.",
    )


def named_certificates(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _named_certificates(sides.joiner), _named_certificates(sides.pool)
    conflicts = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    if conflicts:
        yield Problem(
            "POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT",
            f"{sides.joiner_name} and {sides.pool_name} trust different certificates of the same "
            f"name: {listed(conflicts)}",
            params=tuple(conflicts),
            ours=listed(ours[name] for name in conflicts),
            theirs=listed(theirs[name] for name in conflicts),
        )


def trusted_certificates(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _trusted_certificates(sides.joiner), _trusted_certificates(sides.pool)
    for fingerprint in sorted(ours.keys() & theirs.keys()):
        mine, other = ours[fingerprint], theirs[fingerprint]
        my_purpose, other_purpose = set(mine.texts("purpose")), set(other.texts("purpose"))
        if my_purpose != other_purpose and my_purpose & other_purpose:
            yield Problem(
                "POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT",
                f"The certificate {fingerprint} is trusted for different purposes by "
                f"{sides.joiner_name} ({listed(my_purpose)}) and {sides.pool_name} "
                f"({listed(other_purpose)})",
                params=(other.ref, mine.ref),
                ours=listed(my_purpose),
                theirs=listed(other_purpose),
            )


def _none_of(sides: Sides, table: str, code: str, what: str) -> Iterator[Problem]:
    count = len(sides.joiner[table])
    if count:
        yield Problem(code, f"{sides.joiner_name} has {count} {what}", ours=str(count))


def _management_values(sides: Sides, field: str) -> tuple[str | None, str | None]:
    ours, theirs = sides.joiner.management, sides.pool.management
    return (
        ours.text(field) if ours is not None and ours.has(field) else None,
        theirs.text(field) if theirs is not None and theirs.has(field) else None,
    )


def _is_management(side: Snapshot, pif_ref: str | None) -> bool:
    pif = side["PIF"].get(pif_ref)
    return pif is not None and pif.flag("management")


def _cluster_pif(pool: Snapshot) -> Record | None:
    for member in pool["Cluster_host"]:
        cluster = pool["Cluster"].get(member.link("cluster"))
        if cluster is None or not cluster.flag("pool_auto_join"):
            return None
        return pool["PIF"].get(member.link("PIF"))
    return None


def _cluster_bridges(pool: Snapshot, pif: Record) -> set[str]:
    bonds = [pool["Bond"].get(ref) for ref in pif.texts("bond_master_of")]
    slaves = [pool["PIF"].get(ref) for bond in bonds if bond for ref in bond.texts("slaves")]
    members = [found for found in slaves if found] if bonds else [pif]
    return {_bridge(pool, member) for member in members} - {""}


def _bridge(side: Snapshot, pif: Record) -> str:
    network = side["network"].get(pif.link("network"))
    return network.text("bridge") if network else ""


def _vlan(tag: str) -> str:
    return "no VLAN" if tag == "-1" else f"VLAN {tag}"


def _backend(side: Snapshot) -> str:
    return side.version.get("network_backend", "bridge")


def _sdn(side: Snapshot) -> str:
    """Of the one controller that a pool can have."""
    for found in side["SDN_controller"]:
        return f"{found.text('protocol')}:{found.text('address')}:{found.text('port')}"
    return ""


def _nbd(side: Snapshot) -> set[str]:
    return {word for network in side["network"] for word in network.texts("purpose")} & _NBD


def _on(flag: bool) -> str:
    return "enabled" if flag else "disabled"


def _named_certificates(side: Snapshot) -> dict[str, str]:
    return {
        found.text("name"): _fingerprint(found)
        for found in side["Certificate"]
        if found.text("type") == "ca" and found.text("name")
    }


def _trusted_certificates(side: Snapshot) -> dict[str, Record]:
    """By fingerprint; releases without purposes have none of these."""
    return {
        _fingerprint(found): found
        for found in side["Certificate"]
        if found.text("type") in ("ca", "pinned")
        and not found.text("name")
        and found.has("purpose")
    }


def _fingerprint(certificate: Record) -> str:
    """Releases before xapi 24.19 have ``fingerprint`` only, which is the SHA-256 too."""
    return certificate.text("fingerprint_sha256") or certificate.text("fingerprint")
