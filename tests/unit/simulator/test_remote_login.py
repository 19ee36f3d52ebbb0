"""What a joining host says of a pool whose master answers its logins badly."""

from __future__ import annotations

from typing import Any

import pytest

from nova_aggregates.simulator import changes
from tests.unit.simulator.world import World, run

LOGIN = "session.login_with_password"


def spoil(world: World, action: str, **more: Any) -> None:
    changes.wire(world.site, {"host": "host1", "method": LOGIN, "action": action, **more})


async def refused(world: World) -> list[str]:
    return await world.failure(1, "pool.join", world[0].address, "root", "secret")


@pytest.mark.parametrize("login", ["before the checks", "with the pool's certificates"])
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("http-500", ["JOINING_HOST_SERVICE_FAILED"]),
        ("drop-before", ["JOINING_HOST_CONNECTION_FAILED"]),
        ("drop-after", ["JOINING_HOST_CONNECTION_FAILED"]),
        ("truncate", ["JOINING_HOST_CONNECTION_FAILED"]),
        ("garbage", ["INTERNAL_ERROR", "Xmlm.Error(_, _)"]),
    ],
)
def test_an_answer_that_is_none(action: str, expected: list[str], login: str) -> None:
    async def scenario(world: World) -> None:
        await world.call(1, "host.get_all")
        spoil(world, action, skip=0 if login.startswith("before") else 1)
        assert await refused(world) == expected
        assert len(world.db(0).tables["host"]) == 1
        assert world.db(0).pool_record["current_operations"] == {}
        assert world.site.faults.wire == []
        await world.pool(1)

    run(scenario)


def test_an_injected_error_comes_through() -> None:
    async def scenario(world: World) -> None:
        spoil(world, "error", error=["SESSION_AUTHORIZATION_FAILED", "root", "no role"])
        assert await refused(world) == ["SESSION_AUTHORIZATION_FAILED", "root", "no role"]

    run(scenario)


def test_late_answers_delay_the_join_only() -> None:
    async def scenario(world: World) -> None:
        began = world.clock.now()
        spoil(world, "delay", seconds=50.0)
        await world.join(1)
        assert world.clock.now() - began >= 50

    run(scenario)


def test_a_master_that_dies_before_it_answers() -> None:
    async def scenario(world: World) -> None:
        spoil(world, "trigger", then=({"fault": "power-off", "host": "host1", "at": 5},))
        spoil(world, "hang")
        assert await refused(world) == ["JOINING_HOST_CONNECTION_FAILED"]
        assert world.clock.now() >= 5

    run(scenario)


def test_a_pool_without_its_masters_certificate() -> None:
    async def scenario(world: World) -> None:
        disk = world[0].disk
        disk.trusted.discard(disk.certificate_id)
        expected = ["POOL_JOINING_MASTER_CERTIFICATE_NOT_IN_POOL_BUNDLE", disk.uuid]
        assert await refused(world) == expected
        assert len(world.db(0).tables["host"]) == 1
        await world.call(0, "pool.certificate_sync")
        await world.pool(1)

    run(scenario)


def test_a_pool_whose_secret_is_to_be_changed() -> None:
    async def scenario(world: World) -> None:
        await world.call(0, "pool.set_is_psr_pending", world.db(0).pool, True)
        assert await refused(world) == ["POOL_SECRET_ROTATION_PENDING"]

    run(scenario)


def test_a_busy_pool_is_waited_for_and_given_up_in_the_end() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        db.set("pool", db.pool, current_operations={"OpaqueRef:t": "ha_enable"})
        began = world.clock.now()
        error = await refused(world)
        assert error == ["OTHER_OPERATION_IN_PROGRESS", "pool", db.pool, "ha_enable", "OpaqueRef:t"]
        assert world.clock.now() - began >= 7200

    run(scenario)


def test_an_emergency_of_the_host_that_is_asked_comes_through() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await world.local(1, "pool.emergency_reset_master", world[1].address)
        await world.sleep(60)
        address = world[1].address
        error = await world.failure(2, "pool.join", address, "root", "secret")
        assert error == ["HOST_ITS_OWN_SLAVE"]

    run(scenario, hosts=3)
