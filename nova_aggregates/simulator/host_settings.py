"""Settings and questions of one host, with what xapi checks before it writes (xapi_host.ml)."""

from __future__ import annotations

import re
from typing import Any

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.errors import ApiError, internal
from nova_aggregates.simulator.values import EPOCH, DateTime, datetime_at

LONGEST_NAME = 255
LONGEST_SSH = 172_800  # two days
NAME = re.compile(r"[A-Za-z0-9.-]*")
C_STATE = re.compile(r"(|unlimited|C([0-9]+)(,([0-9]+))?)")


@api("host.set_hostname_live")
async def set_hostname_live(call: Call, host: str, hostname: str) -> None:
    target = await call.machine.site.contact(call.db, host)
    if not hostname:
        raise ApiError("HOST_NAME_INVALID", "hostname empty")
    if len(hostname) > LONGEST_NAME:
        raise ApiError("HOST_NAME_INVALID", "hostname is too long")
    if "-" in (hostname[0], hostname[-1]) or NAME.fullmatch(hostname) is None:
        raise ApiError("HOST_NAME_INVALID", "hostname contains invalid characters")
    target.machine.name = hostname
    call.db.set("host", host, hostname=hostname)


@api("host.list_methods")
def list_methods(call: Call) -> None:
    del call
    raise ApiError("NOT_IMPLEMENTED", "list_method")


@api("host.get_management_interface")
def management_interface(call: Call, host: str) -> str:
    found = call.db.first("PIF", host=host, management=True)
    if found is None:
        raise internal("Not_found")
    return found[0]


@api("host.get_uncooperative_resident_VMs", "host.get_uncooperative_domains")
def nobody(call: Call, host: str) -> list[str]:
    """Deprecated: always empty."""
    del call, host
    return []


@api("host.compute_memory_overhead")
def memory_overhead(call: Call, host: str) -> int:
    return int(call.db.get("host", host)["memory_overhead"])


@api("host.get_server_localtime")
async def localtime(call: Call, host: str) -> DateTime:
    """The hosts are set to UTC; a local time ends without a Z."""
    target = await call.machine.site.contact(call.db, host)
    moment = call.clock.now() + target.machine.hardware.clock_skew
    return DateTime(datetime_at(moment).rstrip("Z"))


@api("host.has_extension")
async def has_extension(call: Call, host: str, name: str) -> bool:
    del name
    await call.machine.site.contact(call.db, host)
    return False


@api("host.call_extension")
async def call_extension(call: Call, host: str, name: str) -> None:
    await call.machine.site.contact(call.db, host)
    raise ApiError("MESSAGE_METHOD_UNKNOWN", name)


@api("host.set_iscsi_iqn")
async def set_iscsi_iqn(call: Call, host: str, iqn: str) -> None:
    await _keep_beside(call, host, "iscsi_iqn", iqn)


@api("host.set_multipathing")
async def set_multipathing(call: Call, host: str, on: bool) -> None:
    await _keep_beside(call, host, "multipathing", on)


async def _keep_beside(call: Call, host: str, field: str, value: Any) -> None:
    """Old clients read these from other_config, so they stand in both places."""
    await call.machine.site.contact(call.db, host)
    if value == "":
        raise ApiError("INVALID_VALUE", "value", "")
    text = value if isinstance(value, str) else str(value).lower()
    config = {**call.db.get("host", host)["other_config"], field: text}
    call.db.set("host", host, **{field: value, "other_config": config})


@api("host.set_max_cstate")
async def set_max_cstate(call: Call, host: str, value: str) -> None:
    await call.machine.site.contact(call.db, host)
    found = C_STATE.fullmatch(value)
    if found is None:
        raise ApiError("INVALID_VALUE", "max_cstate", value)
    if found.group(2) not in (None, "0", "1"):
        text = "Only C0, C1 and unlimited are supported for max-cstate"
        raise ApiError("VALUE_NOT_SUPPORTED", "max_cstate", value, text)
    call.db.set("host", host, max_cstate=value)


@api(
    "host.set_https_only",
    "host.set_ntp_custom_servers",
    "host.set_numa_affinity_policy",
    "host.set_ssh_auto_mode",
    "host.set_timezone",
)
async def set_at_the_host(call: Call, host: str, value: Any) -> None:
    """The host itself is told first, so one that is dead or unknown is offline."""
    await call.machine.site.contact(call.db, host)
    call.db.set("host", host, **{call.method.verb.removeprefix("set_"): value})


@api("host.set_ntp_mode")
async def set_ntp_mode(call: Call, host: str, mode: str) -> None:
    await call.machine.site.contact(call.db, host)
    if mode == "Custom" and not call.db.get("host", host)["ntp_custom_servers"]:
        text = "Can't set ntp_mode to Custom when ntp_custom_servers is empty"
        raise ApiError("INVALID_NTP_CONFIG", text)
    call.db.set("host", host, ntp_mode=mode)


@api("host.enable_ssh", "host.disable_ssh")
async def switch_ssh(call: Call, host: str) -> None:
    await call.machine.site.contact(call.db, host)
    _switch_ssh(call, host, on=call.method.verb == "enable_ssh")


def _switch_ssh(call: Call, host: str, *, on: bool) -> None:
    seconds = int(call.db.get("host", host)["ssh_enabled_timeout"])
    expiry = datetime_at(call.clock.now() + seconds) if on and seconds else EPOCH
    call.db.set("host", host, ssh_enabled=on, ssh_auto_mode=False, ssh_expiry=expiry)


@api("host.set_ssh_enabled_timeout")
async def set_ssh_timeout(call: Call, host: str, seconds: int) -> None:
    await call.machine.site.contact(call.db, host)
    _set_ssh_timeout(call, host, seconds)


def _set_ssh_timeout(call: Call, host: str, seconds: int) -> None:
    if not 0 <= seconds <= LONGEST_SSH:
        raise ApiError("INVALID_VALUE", "ssh_enabled_timeout", str(seconds))
    enabled = call.db.get("host", host)["ssh_enabled"]
    expiry = datetime_at(call.clock.now() + seconds) if enabled and seconds else EPOCH
    call.db.set("host", host, ssh_enabled_timeout=seconds, ssh_expiry=expiry)


@api("host.set_console_idle_timeout")
async def set_console_timeout(call: Call, host: str, seconds: int) -> None:
    await call.machine.site.contact(call.db, host)
    _set_console_timeout(call, host, seconds)


def _set_console_timeout(call: Call, host: str, seconds: int) -> None:
    if seconds < 0:
        raise ApiError("INVALID_VALUE", "console_timeout", str(seconds))
    call.db.set("host", host, console_idle_timeout=seconds)


@api("pool.enable_ssh", "pool.disable_ssh", "pool.set_ssh_auto_mode")
@api("pool.set_ssh_enabled_timeout", "pool.set_console_idle_timeout")
async def on_all_hosts(call: Call, pool: str, value: Any = None) -> None:
    """A host that fails is named in the error, the others have the setting all the same."""
    failures = {
        "set_ssh_enabled_timeout": "SET_SSH_TIMEOUT_PARTIALLY_FAILED",
        "set_console_idle_timeout": "SET_CONSOLE_TIMEOUT_PARTIALLY_FAILED",
        "set_ssh_auto_mode": "SET_SSH_AUTO_MODE_PARTIALLY_FAILED",
        "enable_ssh": "ENABLE_SSH_PARTIALLY_FAILED",
        "disable_ssh": "DISABLE_SSH_PARTIALLY_FAILED",
    }
    db, verb = call.db, call.method.verb
    db.get("pool", pool)
    failed = []
    for host in list(db.tables["host"]):
        try:
            await call.machine.site.contact(db, host)
            _apply(call, host, verb, value)
        except ApiError:
            failed.append(host)
    if failed:
        raise ApiError(failures[verb], *failed)


def _apply(call: Call, host: str, verb: str, value: Any) -> None:
    if verb == "set_ssh_enabled_timeout":
        _set_ssh_timeout(call, host, value)
    elif verb == "set_console_idle_timeout":
        _set_console_timeout(call, host, value)
    elif verb == "set_ssh_auto_mode":
        call.db.set("host", host, ssh_auto_mode=value)
    else:
        _switch_ssh(call, host, on=verb == "enable_ssh")


@api("host.get_sched_gran")
async def scheduler_granularity(call: Call, host: str) -> str:
    await call.machine.site.contact(call.db, host)
    return "cpu"


@api("host.certificate_list", "host.crl_list")
async def certificate_names(call: Call, host: str) -> list[str]:
    await call.machine.site.contact(call.db, host)
    if call.method.verb == "crl_list":
        return []
    return [c["name"] for _, c in call.db.find("Certificate", type="ca") if c["name"]]


@api(
    "host.backup_rrds",
    "host.dmesg_clear",
    "host.refresh_pack_info",
    "host.send_debug_keys",
    "host.syslog_reconfigure",
)
async def nothing_to_see(call: Call, host: str, *args: object) -> str:
    """Succeeds, and nobody can tell that it did anything; dmesg_clear gives an empty log."""
    del args
    await call.machine.site.contact(call.db, host)
    return ""


@api("host.sync_data", "host.tickle_heartbeat")
def known_to_the_master(call: Call, host: str, *args: object) -> Any:
    del args
    call.db.get("host", host)
    return {} if call.method.verb == "tickle_heartbeat" else None


@api("host.emergency_ha_disable")
def emergency_ha_disable(call: Call, soft: bool) -> None:
    del soft
    if not call.db.pool_record["ha_enabled"]:
        raise ApiError("HA_NOT_ENABLED")
    call.db.set("pool", call.db.pool, ha_enabled=False)


@api(
    "auth.get_subject_identifier",
    "auth.get_group_membership",
    "auth.get_subject_information_from_identifier",
)
def without_a_directory(call: Call, *args: object) -> None:
    """The users of a simulated site need no directory service to be set up first."""
    del call, args
    raise ApiError("AUTH_IS_DISABLED")


@api("session.logout_subject_identifier")
def logout_subject(call: Call, subject: str) -> None:
    del call, subject
