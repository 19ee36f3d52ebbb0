"""Settings of pools and hosts: what is checked, with the exact code and parameters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator.world import World, run

BOGUS = "OpaqueRef:00000000-0000-0000-0000-000000000000"

REFUSED: list[tuple[str, tuple[Any, ...], list[str]]] = [
    ("set_hostname_live", ("",), ["HOST_NAME_INVALID", "hostname empty"]),
    ("set_hostname_live", ("x" * 256,), ["HOST_NAME_INVALID", "hostname is too long"]),
    ("set_hostname_live", ("a b",), ["HOST_NAME_INVALID", "hostname contains invalid characters"]),
    ("set_hostname_live", ("-a",), ["HOST_NAME_INVALID", "hostname contains invalid characters"]),
    ("set_iscsi_iqn", ("",), ["INVALID_VALUE", "value", ""]),
    ("set_max_cstate", ("C9",), ["VALUE_NOT_SUPPORTED", "max_cstate", "C9"]),
    ("set_max_cstate", ("x",), ["INVALID_VALUE", "max_cstate", "x"]),
    ("set_ssh_enabled_timeout", ("-1",), ["INVALID_VALUE", "ssh_enabled_timeout", "-1"]),
    ("set_ssh_enabled_timeout", ("172801",), ["INVALID_VALUE", "ssh_enabled_timeout", "172801"]),
    ("set_console_idle_timeout", ("-1",), ["INVALID_VALUE", "console_timeout", "-1"]),
    ("set_ntp_mode", ("Custom",), ["INVALID_NTP_CONFIG"]),
    ("call_extension", ("x",), ["MESSAGE_METHOD_UNKNOWN", "x"]),
    ("retrieve_wlb_evacuate_recommendations", (), ["WLB_NOT_INITIALIZED"]),
]
POOL_REFUSED: list[tuple[str, tuple[Any, ...], list[str]]] = [
    ("set_igmp_snooping_enabled", (True,), ["OPENVSWITCH_NOT_ACTIVE"]),
    ("set_ext_auth_cache_size", ("-1",), ["INVALID_VALUE", "size", "-1"]),
    ("set_ext_auth_cache_expiry", ("0",), ["INVALID_VALUE", "expiry", "0"]),
    ("configure_update_sync", ("weekly", "7"), ["INVALID_UPDATE_SYNC_DAY", "7"]),
    ("set_update_sync_enabled", (True,), ["NO_REPOSITORIES_CONFIGURED"]),
    ("set_uefi_certificates", ("x",), ["OPERATION_NOT_ALLOWED"]),
    ("set_custom_uefi_certificates", ("x",), ["OPERATION_NOT_ALLOWED"]),
    ("test_archive_target", ({},), ["MESSAGE_REMOVED"]),
    (
        "set_telemetry_next_collection",
        ("20990101T00:00:00Z",),
        ["TELEMETRY_NEXT_COLLECTION_TOO_LATE", "20990101T00:00:00Z"],
    ),
    (
        "configure_repository_proxy",
        ("ftp://x", "", ""),
        ["INVALID_REPOSITORY_PROXY_URL", "ftp://x"],
    ),
    (
        "configure_repository_proxy",
        ("http://x", "user", ""),
        ["INVALID_REPOSITORY_PROXY_CREDENTIAL"],
    ),
]
WRITTEN: list[tuple[str, str, Any]] = [
    ("host.set_iscsi_iqn", "iscsi_iqn", "iqn.2026-11.test:a"),
    ("host.set_multipathing", "multipathing", True),
    ("host.set_max_cstate", "max_cstate", "C1"),
    ("host.set_ssh_enabled_timeout", "ssh_enabled_timeout", 600),
    ("host.set_console_idle_timeout", "console_idle_timeout", 600),
    ("host.set_timezone", "timezone", "Europe/Berlin"),
    ("host.set_ntp_mode", "ntp_mode", "DHCP"),
    ("host.set_hostname_live", "hostname", "other"),
    ("pool.set_ext_auth_cache_size", "ext_auth_cache_size", 7),
    ("pool.set_ext_auth_cache_expiry", "ext_auth_cache_expiry", 7),
]
FORWARDED = [
    ("set_https_only", (True,)),
    ("set_iscsi_iqn", ("x",)),
    ("set_multipathing", (True,)),
    ("set_numa_affinity_policy", ("any",)),
    ("set_timezone", ("UTC",)),
    ("set_ssh_auto_mode", (True,)),
    ("enable_ssh", ()),
    ("dmesg_clear", ()),
    ("get_server_localtime", ()),
    ("has_extension", ("x",)),
]


@pytest.mark.parametrize(("verb", "arguments", "expected"), REFUSED)
def test_a_host_refuses(verb: str, arguments: tuple[Any, ...], expected: list[str]) -> None:
    async def scenario(world: World) -> None:
        error = await world.failure(0, f"host.{verb}", world.db(0).master, *arguments)
        assert error[: len(expected)] == expected

    run(scenario, hosts=1)


@pytest.mark.parametrize(("verb", "arguments", "expected"), POOL_REFUSED)
def test_a_pool_refuses(verb: str, arguments: tuple[Any, ...], expected: list[str]) -> None:
    async def scenario(world: World) -> None:
        error = await world.failure(0, f"pool.{verb}", world.db(0).pool, *arguments)
        assert error[: len(expected)] == expected

    run(scenario, hosts=1)


@pytest.mark.parametrize(("method", "field", "value"), WRITTEN)
def test_what_is_written(method: str, field: str, value: Any) -> None:
    async def scenario(world: World) -> None:
        cls = method.split(".")[0]
        ref = world.db(0).master if cls == "host" else world.db(0).pool
        given = str(value) if type(value) is int else value
        assert await world.call(0, method, ref, given) == ""
        assert await world.call(0, f"{cls}.get_{field}", ref) == value

    run(scenario, hosts=1)


def test_what_old_clients_read_from_other_config() -> None:
    async def scenario(world: World) -> None:
        host = world.db(0).master
        await world.call(0, "host.set_iscsi_iqn", host, "iqn.x")
        await world.call(0, "host.set_multipathing", host, True)
        config = await world.call(0, "host.get_other_config", host)
        assert (config["iscsi_iqn"], config["multipathing"]) == ("iqn.x", "true")

    run(scenario, hosts=1)


@pytest.mark.parametrize(("verb", "arguments"), FORWARDED)
def test_unknown_hosts_are_offline(verb: str, arguments: tuple[Any, ...]) -> None:
    async def scenario(world: World) -> None:
        error = await world.failure(0, f"host.{verb}", BOGUS, *arguments)
        assert error == ["HOST_OFFLINE", BOGUS]

    run(scenario, hosts=1)


def test_a_setting_of_all_hosts_names_those_that_failed() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db, member = world.db(0), world.host(1)
        db.set("host_metrics", db.get("host", member)["metrics"], live=False)
        error = await world.failure(0, "pool.enable_ssh", db.pool)
        assert error == ["ENABLE_SSH_PARTIALLY_FAILED", member]
        assert db.get("host", db.master)["ssh_enabled"]

    run(scenario)


def test_a_controller_needs_open_vswitch() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        error = await world.failure(0, "pool.set_vswitch_controller", "10.0.0.1")
        assert error == ["OPERATION_NOT_ALLOWED", "host not configured for vswitch operation"]
        version = db.get("host", db.master)["software_version"]
        db.set("host", db.master, software_version={**version, "network_backend": "openvswitch"})
        await world.call(0, "pool.set_vswitch_controller", "10.0.0.1")
        (controller,) = (await world.call(0, "SDN_controller.get_all_records")).values()
        assert (controller["address"], controller["port"]) == ("10.0.0.1", 6632)
        await world.call(0, "pool.set_vswitch_controller", "")
        assert await world.call(0, "SDN_controller.get_all") == []

    run(scenario, hosts=1)
