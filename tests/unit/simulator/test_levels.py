"""What older releases lack: arguments, checks, codes, fields, operations."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from nova_aggregates.simulator import datamodel
from nova_aggregates.simulator.levels import LEVELS, NEWEST, ORDER
from tests.unit.simulator.world import World, run

MISMATCH = "MESSAGE_PARAMETER_COUNT_MISMATCH"


def test_each_level_adds_to_the_one_before() -> None:
    known = [set(datamodel.load(level).methods) for level in ORDER]
    assert all(lower < upper for lower, upper in itertools.pairwise(known))
    fields = [
        {(c.name, f) for c in datamodel.load(level).classes.values() for f in c.fields}
        for level in ORDER
    ]
    assert all(lower < upper for lower, upper in itertools.pairwise(fields))


@pytest.mark.parametrize(
    ("method", "first"),
    [
        ("pool.designate_new_master", "8.0"),
        ("pool.rotate_secret", "8.2"),
        ("pool.enable_tls_verification", "8.4"),
        ("host.apply_updates", "8.4"),
        ("host.set_servertime", "26"),
        ("host.get_all_where", "26"),
        ("host.get_pending_guidances", "8.4"),
        ("Certificate.get_all", "8.2"),
        ("host.get_tls_verification_enabled", "8.4"),
    ],
)
def test_when_a_method_came(method: str, first: str) -> None:
    known = [level for level in ORDER if method in datamodel.load(level).methods]
    assert known == list(ORDER[ORDER.index(first) :])


@pytest.mark.parametrize(
    ("level", "disable", "evacuate"),
    [("8.0", False, 0), ("8.2", False, 0), ("8.4", False, 2), ("26", True, 2)],
)
def test_optional_arguments(level: str, disable: bool, evacuate: int) -> None:
    async def scenario(world: World) -> None:
        host = world.db(0).master
        if disable:
            assert await world.call(0, "host.disable", host, False) == ""
        else:
            error = await world.failure(0, "host.disable", host, False)
            assert error == [MISMATCH, "host.disable", "1", "2"]
            assert await world.call(0, "host.disable", host) == ""
        if evacuate:
            assert await world.call(0, "host.evacuate", host, "OpaqueRef:NULL", "3") == ""
        else:
            error = await world.failure(0, "host.evacuate", host, "OpaqueRef:NULL")
            assert error == [MISMATCH, "host.evacuate", "1", "2"]
            assert await world.call(0, "host.evacuate", host) == ""

    run(scenario, hosts=1, xapi=level)


@pytest.mark.parametrize("level", ORDER)
def test_records_and_events_have_the_fields_of_the_level(level: str) -> None:
    async def scenario(world: World) -> None:
        host = world.db(0).master
        fields = set(datamodel.load(level).classes["host"].fields)
        assert set(await world.call(0, "host.get_record", host)) == fields
        assert set((await world.call(0, "host.get_all_records"))[host]) == fields
        answer = await world.call(0, "event.from", ["*"], "", 1.0)
        classes = {e["class"] for e in answer["events"]}
        assert ("certificate" in classes) == (level != "8.0")
        snapshot = next(e["snapshot"] for e in answer["events"] if e["class"] == "host")
        assert set(snapshot) == fields
        version = snapshot["software_version"]
        xapi = LEVELS[level].xapi
        assert version["xapi_build"] == ".".join(map(str, xapi))
        assert version["db_schema"] == LEVELS[level].db_schema
        assert (snapshot["API_version_major"], snapshot["API_version_minor"]) == LEVELS[level].api

    run(scenario, hosts=1, xapi=level)


@pytest.mark.parametrize("level", ORDER)
def test_hosts_of_a_level_make_a_pool(level: str) -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        assert world.db(0).get("host", world.host(1))["enabled"]

    run(scenario, xapi=level)


CHECKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY": (
        "host",
        {"pending_guidances": ["reboot_host"]},
        "26",
    ),
    "POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH": (
        "pool",
        {"tls_verification_enabled": None},
        "8.4",
    ),
    "NOT_SUPPORTED_DURING_UPGRADE": (
        "pool",
        {"current_operations": {"OpaqueRef:t": "apply_updates"}},
        "8.4",
    ),
    "HA_IS_ENABLED": ("pool", {"ha_enabled": True}, "8.0"),
}


@pytest.mark.parametrize("level", ORDER)
@pytest.mark.parametrize("code", CHECKS)
def test_checks_of_a_join_that_came_later(level: str, code: str) -> None:
    cls, values, first = CHECKS[code]

    async def scenario(world: World) -> None:
        db = world.db(1)
        ref = db.master if cls == "host" else db.pool
        record = db.get(cls, ref)
        db.set(cls, ref, **{k: not record[k] if v is None else v for k, v in values.items()})
        if ORDER.index(level) < ORDER.index(first):
            assert await world.join(1) == ""
        else:
            args = (world[0].address, "root", "secret")
            assert (await world.failure(1, "pool.join", *args))[0] == code

    run(scenario, xapi=level)


def test_storage_managers_are_compared_by_the_newest_only() -> None:
    for level, refused in (("8.4", False), (NEWEST, True)):

        async def scenario(world: World, refused: bool = refused) -> None:
            manager = next(iter(world.db(1).tables["SM"]))
            world.db(1).delete("SM", manager)
            if refused:
                args = (world[0].address, "root", "secret")
                error = await world.failure(1, "pool.join", *args)
                assert error[0] == "POOL_JOINING_SM_FEATURES_INCOMPATIBLE"
            else:
                assert await world.join(1) == ""

        run(scenario, xapi=level)


def test_hosts_of_different_levels_do_not_fit_together() -> None:
    async def scenario(world: World) -> None:
        machine = world[1]
        machine.hardware.level = "8.2"
        db = world.db(1)
        db.set("host", db.master, software_version={"platform_version": "3.2.1"})
        args = (world[0].address, "root", "secret")
        assert await world.failure(1, "pool.join", *args) == ["HOSTS_NOT_COMPATIBLE"]

    run(scenario)


@pytest.mark.parametrize(
    ("level", "marks"),
    [("8.0", set()), ("8.2", {"designate_new_master"}), ("8.4", {"designate_new_master", "eject"})],
)
def test_operations_of_a_pool_by_level(level: str, marks: set[str]) -> None:
    async def scenario(world: World) -> None:
        allowed = set(world.db(0).pool_record["allowed_operations"])
        assert allowed & {"designate_new_master", "eject"} == marks
        assert "sync_bundle" not in allowed
        host = set(world.db(0).get("host", world.db(0).master)["allowed_operations"])
        assert ("enable" in host) == (level == "8.4")

    run(scenario, hosts=1, xapi=level)
