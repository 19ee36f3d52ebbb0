"""What pool.join asks about the two hosts: licence, HA, guests, versions, updates, storage.

Each function mirrors one assertion of xapi ``ocaml/xapi/xapi_pool.ml`` pre_join_checks. A field or
class that one side's release does not have makes no problem.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from nova_aggregates.xenapi.checks import Problem, listed
from nova_aggregates.xenapi.decode import Record, Table
from nova_aggregates.xenapi.snapshot import Snapshot
from nova_aggregates.xenapi.types import Severity

_RESTRICTED_POOL_SIZE = 3  # hosts; xapi ocaml/xapi/xapi_globs.ml
_HOMOGENEOUS_KEYS = ("xapi", "git_id")
_LINUX_PACK = "xs:linux"


@dataclasses.dataclass(frozen=True, slots=True)
class Sides:
    """The joining host as the master of its own pool, and the pool that it is to join."""

    joiner: Snapshot
    pool: Snapshot

    @property
    def joiner_name(self) -> str:
        return self.joiner.master.text("name_label")

    @property
    def pool_name(self) -> str:
        return self.pool.pool.text("name_label") or self.pool.master.text("name_label")


def pooling_licence(sides: Sides) -> Iterator[Problem]:
    if _restricted(sides.joiner, "restrict_pooling"):
        yield Problem(
            "LICENCE_RESTRICTION",
            f"The licence of {sides.joiner_name} does not allow resource pools",
            ours=sides.joiner.master.text("edition"),
        )


def pool_size(sides: Sides) -> Iterator[Problem]:
    restricted = _restricted(sides.joiner, "restrict_pool_size")
    size = len(sides.pool["host"])
    if restricted and size >= _RESTRICTED_POOL_SIZE:
        yield Problem(
            "LICENCE_RESTRICTION",
            f"The licence of {sides.joiner_name} allows pools of {_RESTRICTED_POOL_SIZE} hosts; "
            f"{sides.pool_name} has {size} already",
            params=("Pool_size",),
            ours=str(_RESTRICTED_POOL_SIZE),
            theirs=str(size),
        )


def ha_on_joiner(sides: Sides) -> Iterator[Problem]:
    if sides.joiner.pool.flag("ha_enabled"):
        yield Problem(
            "HA_IS_ENABLED", f"High availability is on at {sides.joiner_name}", ours="enabled"
        )


def ha_on_pool(sides: Sides) -> Iterator[Problem]:
    if sides.pool.pool.flag("ha_enabled"):
        yield Problem(
            "HA_IS_ENABLED", f"High availability is on in {sides.pool_name}", theirs="enabled"
        )


def clustering(sides: Sides) -> Iterator[Problem]:
    for member in sides.joiner["Cluster_host"]:
        if member.flag("enabled"):
            yield Problem(
                "CLUSTERING_ENABLED",
                f"Clustering is enabled on {sides.joiner_name}",
                params=(member.ref,),
                ours="enabled",
            )


def not_itself(sides: Sides) -> Iterator[Problem]:
    uuid = sides.joiner.master.text("uuid")
    if uuid and uuid == sides.pool.master.text("uuid"):
        alone = len(sides.joiner["host"]) < 2
        reason = "Host cannot become slave of itself" if alone else "Host is already part of a pool"
        yield Problem(
            "OPERATION_NOT_ALLOWED",
            f"{sides.joiner_name} is itself the master of {sides.pool_name}",
            params=(reason,),
            ours=uuid,
            theirs=uuid,
        )


def no_members(sides: Sides) -> Iterator[Problem]:
    hosts = sides.joiner["host"]
    if len(hosts) > 1:
        others = [h.text("name_label") for h in hosts if h.ref != sides.joiner.master.ref]
        yield Problem(
            "JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS",
            f"{sides.joiner_name} is the master of a pool with other members: {listed(others)}",
            ours=str(len(hosts)),
        )


def no_running_guests(sides: Sides) -> Iterator[Problem]:
    """Only dom0 itself is excepted, and only Running counts: paused and suspended ones may stay."""
    dom0s = {found.link("control_domain") for found in sides.joiner["host"]} - {None}
    running = [
        vm.text("name_label")
        for vm in sides.joiner["VM"]
        if vm.text("power_state") == "Running"
        and (vm.ref not in dom0s if dom0s else not vm.flag("is_control_domain"))
    ]
    if running:
        yield Problem(
            "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS",
            f"Guests run on {sides.joiner_name}: {listed(running)}",
            ours=str(len(running)),
        )


def no_guest_operations(sides: Sides) -> Iterator[Problem]:
    busy = [
        f"{vm.text('name_label')} ({', '.join(vm.operations())})"
        for vm in sides.joiner["VM"]
        if vm.operations()
    ]
    if busy:
        yield Problem(
            "JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS",
            f"Operations are under way on guests or templates of {sides.joiner_name}: "
            f"{listed(busy)}",
            ours=str(len(busy)),
        )


def no_pending_guidance(sides: Sides) -> Iterator[Problem]:
    for host, is_ours in ((sides.joiner.master, True), (sides.pool.master, False)):
        pending = ", ".join(host.texts("pending_guidances"))
        if pending:
            yield Problem(
                "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY",
                f"Updates of {host.text('name_label')} are not finished: {pending}",
                params=(host.ref,),
                ours=pending if is_ours else "",
                theirs="" if is_ours else pending,
            )


def compatible(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _product(sides.joiner.version), _product(sides.pool.version)
    if ours != theirs:
        yield Problem(
            "HOSTS_NOT_COMPATIBLE",
            f"{sides.joiner_name} runs {ours}, {sides.pool_name} runs {theirs}",
            ours=ours,
            theirs=theirs,
        )


def homogeneous(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _build(sides.joiner.version), _build(sides.pool.version)
    if ours != theirs:
        yield Problem(
            "HOSTS_NOT_HOMOGENEOUS",
            f"The software of {sides.joiner_name} ({ours}) is not that of {sides.pool_name} "
            f"({theirs})",
            params=("Software version differs",),
            ours=ours,
            theirs=theirs,
        )


def same_cpu_vendor(sides: Sides) -> Iterator[Problem]:
    ours = sides.joiner.master.mapping("cpu_info").get("vendor", "")
    theirs = sides.pool.pool.mapping("cpu_info").get("vendor", "")
    if ours and theirs and ours != theirs:
        yield Problem(
            "HOSTS_NOT_HOMOGENEOUS",
            f"{sides.joiner_name} has a CPU of {ours}, {sides.pool_name} has CPUs of {theirs}",
            params=("CPUs differ",),
            ours=ours,
            theirs=theirs,
        )


def no_shared_storage(sides: Sides) -> Iterator[Problem]:
    shared = [
        sr.text("name_label")
        for sr in sides.joiner["SR"]
        if sr.flag("shared") and not sr.flag("is_tools_sr")
    ]
    if shared:
        yield Problem(
            "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS",
            f"{sides.joiner_name} has shared storage of its own: {listed(shared)}",
            ours=str(len(shared)),
        )


def same_directory(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _directory(sides.joiner.master), _directory(sides.pool.master)
    if ours != theirs:
        yield Problem(
            "POOL_JOINING_EXTERNAL_AUTH_MISMATCH",
            f"{sides.joiner_name} authenticates users by {_spoken(ours)}, {sides.pool_name} by "
            f"{_spoken(theirs)}",
            ours=_spoken(ours),
            theirs=_spoken(theirs),
        )


def same_edition(sides: Sides) -> Iterator[Problem]:
    """The pool's edition is the lowest of its members'. Their order is known to the licence daemon
    only, so a mixed pool that has the joiner's edition too is only mentioned."""
    if not sides.joiner.master.has("edition"):
        return
    ours = sides.joiner.master.text("edition")
    editions = sorted({host.text("edition") for host in sides.pool["host"]})
    if editions == [ours]:
        return
    theirs = ", ".join(edition or '""' for edition in editions)
    yield Problem(
        "LICENSE_HOST_POOL_MISMATCH",
        f'The edition of {sides.joiner_name} is "{ours}", {sides.pool_name} has {theirs}',
        params=(f'host edition = "{ours}"', f'pool edition = "{theirs}"'),
        ours=ours,
        theirs=theirs,
        severity=Severity.INFO if ours in editions else None,
    )


def same_api_version(sides: Sides) -> Iterator[Problem]:
    ours, theirs = _api_version(sides.joiner.master), _api_version(sides.pool.master)
    if ours != theirs:
        yield Problem(
            "POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION",
            f"{sides.joiner_name} speaks XenAPI {ours}, {sides.pool_name} {theirs}",
            params=(ours, theirs),
            ours=ours,
            theirs=theirs,
        )


def same_db_schema(sides: Sides) -> Iterator[Problem]:
    ours = sides.joiner.version.get("db_schema", "")
    theirs = sides.pool.version.get("db_schema", "")
    if ours != theirs:
        yield Problem(
            "POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA",
            f"The database of {sides.joiner_name} has the schema {ours or 'unknown'}, that of "
            f"{sides.pool_name} {theirs or 'unknown'}",
            params=(ours, theirs),
            ours=ours,
            theirs=theirs,
        )


def same_updates(sides: Sides) -> Iterator[Problem]:
    if not (sides.joiner["pool_update"].offered and sides.pool["pool_update"].offered):
        return
    ours, theirs = _updates(sides.joiner), _updates(sides.pool)
    if ours.keys() != theirs.keys():
        missing = listed(theirs[uuid] for uuid in theirs.keys() - ours.keys()) or "none"
        surplus = listed(ours[uuid] for uuid in ours.keys() - theirs.keys()) or "none"
        names = sides.joiner_name, sides.pool.master.text("name_label")
        yield Problem(
            "HOSTS_NOT_HOMOGENEOUS",
            f"Updates differ. Missing on {names[0]}: {missing}; only there: {surplus}",
            params=("Updates on local host {} and pool host {} differ".format(*names),),
            ours=listed(ours.values()),
            theirs=listed(theirs.values()),
        )


def not_updating(sides: Sides) -> Iterator[Problem]:
    for side, name in ((sides.joiner, sides.joiner_name), (sides.pool, sides.pool_name)):
        if "apply_updates" in side.pool.operations():
            yield Problem(
                "NOT_SUPPORTED_DURING_UPGRADE", f"Updates are being applied to {name} at this time"
            )


def same_storage_features(sides: Sides) -> Iterator[Problem]:
    """The joiner needs every storage driver of the pool, with at least its features."""
    if not (sides.joiner["SM"].offered and sides.pool["SM"].offered):
        return
    for theirs in sides.pool["SM"]:
        kind = theirs.text("type")
        found = [sm for sm in sides.joiner["SM"] if sm.text("type") == kind]
        lacking = _lacking_features(found, theirs)
        if lacking:
            yield Problem(
                "POOL_JOINING_SM_FEATURES_INCOMPATIBLE",
                f"The storage driver {kind} of {sides.joiner_name} lacks what {sides.pool_name} "
                f"has: {lacking}",
                params=(theirs.ref, found[0].ref if len(found) == 1 else ""),
                ours=_features_text(found[0]) if len(found) == 1 else "no such driver",
                theirs=_features_text(theirs),
            )


def _restricted(side: Snapshot, feature: str) -> bool:
    """The pool's restrictions are the sum of its hosts' licences; one of the two may lag."""
    licences = (side.pool.mapping("restrictions"), side.master.mapping("license_params"))
    return any(licence.get(feature) == "true" for licence in licences)


def _lacking_features(found: list[Record], theirs: Record) -> str:
    if len(found) != 1:
        return "the driver itself" if not found else "a single driver of this type"
    ours = Record("", found[0].mapping("features"))
    wanted = Record("", theirs.mapping("features"))
    names = theirs.mapping("features")
    return listed(name for name in names if ours.integer(name, -1) < wanted.integer(name))


def _features_text(driver: Record) -> str:
    return ", ".join(
        f"{name}/{level}" for name, level in sorted(driver.mapping("features").items())
    )


def _brand(version: Mapping[str, str]) -> str:
    return version.get("product_brand", version.get("platform_name", ""))


def _product(version: Mapping[str, str]) -> str:
    return f"{_brand(version)} with platform {version.get('platform_version', 'unknown')}"


def _build(version: Mapping[str, str]) -> str:
    parts = [_brand(version), *(f"{key} {version.get(key, '')}" for key in _HOMOGENEOUS_KEYS)]
    return ", ".join([*parts, *(["linux pack"] if _LINUX_PACK in version else [])])


def _api_version(host: Record) -> str:
    return f"{host.integer('API_version_major')}.{host.integer('API_version_minor')}"


def _directory(host: Record) -> tuple[str, str]:
    return host.text("external_auth_type"), host.text("external_auth_service_name").lower()


def _spoken(directory: tuple[str, str]) -> str:
    return " ".join(directory).strip() or "local accounts only"


def _updates(side: Snapshot) -> dict[str, str]:
    """uuid -> name of the applied updates that every member must have."""
    table: Table = side["pool_update"]
    applied = [table.get(ref) for ref in side.master.texts("updates")]
    return {
        update.text("uuid"): update.text("name_label") or update.text("uuid")
        for update in applied
        if update is not None and update.flag("enforce_homogeneity")
    }
