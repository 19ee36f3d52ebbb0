"""Settings of a pool that are more than fields: what is checked before they are written.

The checks and their errors are those of xapi_pool.ml.
"""

from __future__ import annotations

import datetime

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.values import DateTime, new_uuid

LATEST_COLLECTION = {"daily": 2, "weekly": 14, "monthly": 62}  # days
LAST_DAY_OF_WEEK = 6


def backend(db: Database) -> str:
    version = db.get("host", db.master)["software_version"]
    return str(version.get("network_backend", "bridge"))


@api("pool.set_vswitch_controller")
def set_vswitch_controller(call: Call, address: str) -> None:
    db = call.db
    if backend(db) != "openvswitch":
        raise ApiError("OPERATION_NOT_ALLOWED", "host not configured for vswitch operation")
    for ref in list(db.tables["SDN_controller"]):
        db.delete("SDN_controller", ref)
    if address:
        db.create("SDN_controller", protocol="ssl", address=address, port=6632)
    db.set("pool", db.pool, vswitch_controller=address)


@api("pool.set_igmp_snooping_enabled")
def set_igmp_snooping(call: Call, pool: str, on: bool) -> None:
    if backend(call.db) != "openvswitch":
        raise ApiError("OPENVSWITCH_NOT_ACTIVE")
    call.db.set("pool", pool, igmp_snooping_enabled=on)


@api("pool.set_ext_auth_cache_size")
def set_cache_size(call: Call, pool: str, size: int) -> None:
    if size < 0:
        raise ApiError("INVALID_VALUE", "size", str(size))
    call.db.set("pool", pool, ext_auth_cache_size=size)


@api("pool.set_ext_auth_cache_expiry")
def set_cache_expiry(call: Call, pool: str, seconds: int) -> None:
    if seconds <= 0:
        raise ApiError("INVALID_VALUE", "expiry", str(seconds))
    call.db.set("pool", pool, ext_auth_cache_expiry=seconds)


@api("pool.set_telemetry_next_collection")
def set_next_collection(call: Call, pool: str, moment: DateTime) -> None:
    days = LATEST_COLLECTION[call.db.get("pool", pool)["telemetry_frequency"]]
    latest = datetime.datetime.fromtimestamp(call.clock.now(), datetime.UTC)
    latest += datetime.timedelta(days=days)
    if moment > latest.strftime("%Y%m%dT%H:%M:%SZ"):
        raise ApiError("TELEMETRY_NEXT_COLLECTION_TOO_LATE", moment)
    call.db.set("pool", pool, telemetry_next_collection=moment)


@api("pool.reset_telemetry_uuid")
def reset_telemetry_uuid(call: Call, pool: str) -> None:
    db = call.db
    before = db.get("pool", pool)["telemetry_uuid"]
    db.set("pool", pool, telemetry_uuid=db.create("secret", value=new_uuid()))
    if db.peek("secret", before) is not None:
        db.delete("secret", before)


@api("pool.configure_update_sync")
def configure_update_sync(call: Call, pool: str, frequency: str, day: int) -> None:
    """A daily one has no day: what is given for it is not looked at."""
    if frequency == "weekly" and not 0 <= day <= LAST_DAY_OF_WEEK:
        raise ApiError("INVALID_UPDATE_SYNC_DAY", str(day))
    day = day if frequency == "weekly" else 0
    call.db.set("pool", pool, update_sync_frequency=frequency, update_sync_day=day)


@api("pool.set_update_sync_enabled")
def set_update_sync_enabled(call: Call, pool: str, on: bool) -> None:
    if on and not call.db.get("pool", pool)["repositories"]:
        raise ApiError("NO_REPOSITORIES_CONFIGURED")
    call.db.set("pool", pool, update_sync_enabled=on)


@api("pool.set_uefi_certificates")
def set_uefi_certificates(call: Call, pool: str, certificates: str) -> None:
    del call, pool, certificates
    raise ApiError(
        "OPERATION_NOT_ALLOWED",
        "Setting UEFI certificates is deprecated, please use `set_custom_uefi_certificates`",
    )


@api("pool.set_custom_uefi_certificates")
def set_custom_uefi_certificates(call: Call, pool: str, certificates: str) -> None:
    del call, pool, certificates
    raise ApiError(
        "OPERATION_NOT_ALLOWED",
        "Setting UEFI certificates is not possible when allow_custom_uefi_certs is false",
    )


@api("pool.get_guest_secureboot_readiness")
def secureboot_readiness(call: Call, pool: str) -> str:
    call.db.get("pool", pool)
    return "not_ready"


@api("pool.configure_repository_proxy")
def configure_proxy(call: Call, pool: str, url: str, user: str, password: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ApiError("INVALID_REPOSITORY_PROXY_URL", url)
    if bool(user) != bool(password) or "\n" in user + password:
        raise ApiError("INVALID_REPOSITORY_PROXY_CREDENTIAL")
    secret = call.db.create("secret", value=password) if password else NULL_REF
    _set_proxy(call, pool, url, user, secret)


@api("pool.disable_repository_proxy")
def disable_proxy(call: Call, pool: str) -> None:
    _set_proxy(call, pool, "", "", NULL_REF)


def _set_proxy(call: Call, pool: str, url: str, user: str, secret: str) -> None:
    db = call.db
    before = db.get("pool", pool)["repository_proxy_password"]
    db.set(
        "pool",
        pool,
        repository_proxy_url=url,
        repository_proxy_username=user,
        repository_proxy_password=secret,
    )
    if db.peek("secret", before) is not None:
        db.delete("secret", before)


@api("pool.get_license_state")
def license_state(call: Call, pool: str) -> dict[str, str]:
    call.db.get("pool", pool)
    editions = [h["edition"] for _, h in call.db.find("host")]
    known = call.machine.profile.editions
    lowest = min(editions, key=lambda e: known.index(e) if e in known else -1)
    return {"edition": lowest, "expiry": "never"}


@api("pool.has_extension")
def pool_has_extension(call: Call, pool: str, name: str) -> bool:
    del name
    call.db.get("pool", pool)
    return False


@api("pool.set_https_only")
async def set_https_only(call: Call, pool: str, on: bool) -> None:
    db = call.db
    db.get("pool", pool)
    for host in list(db.tables["host"]):
        await call.machine.site.contact(db, host)
        db.set("host", host, https_only=on)


@api("pool.certificate_list", "pool.crl_list")
def pool_certificates(call: Call) -> list[str]:
    if call.method.verb == "crl_list":
        return []
    return [c["name"] for _, c in call.db.find("Certificate", type="ca") if c["name"]]


@api("pool.disable_redo_log")
def disable_redo_log(call: Call) -> None:
    call.db.set("pool", call.db.pool, redo_log_enabled=False)


@api("pool.test_archive_target")
def test_archive_target(call: Call, pool: str, config: dict[str, str]) -> None:
    del call, pool, config
    raise ApiError("MESSAGE_REMOVED")


@api(
    "pool.deconfigure_wlb",
    "pool.send_wlb_configuration",
    "pool.retrieve_wlb_configuration",
    "pool.retrieve_wlb_recommendations",
    "host.retrieve_wlb_evacuate_recommendations",
    "VM.retrieve_wlb_recommendations",
)
def without_workload_balancing(call: Call, *args: object) -> None:
    """No workload balancing server can be set up here, so none is."""
    del call, args
    raise ApiError("WLB_NOT_INITIALIZED")


@api("pool.disable_ssl_legacy", "pool.audit_log_append", "pool.detect_nonhomogeneous_external_auth")
def nothing_to_see(call: Call, *args: object) -> None:
    """Succeeds, and nobody can tell that it did anything."""
    del call, args
