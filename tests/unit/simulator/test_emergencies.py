"""Hosts that do not go on by themselves: a hand-over that broke, a release that is too new."""

from __future__ import annotations

import asyncio

import pytest

from nova_aggregates.simulator import changes
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Phase
from tests.unit.simulator.test_membership import until_enabled, until_master
from tests.unit.simulator.world import World, run

DESIGNATE = "pool.designate_new_master"
NEWER = {"change": "set-hardware", "host": "host2", "software": {"xapi_build": "26.18.0"}}


async def login_failure(world: World, position: int) -> list[str]:
    with pytest.raises(ApiError) as failed:
        await world.raw(position, "session.login_with_password", "root", "secret")
    return failed.value.description


async def break_hand_over(world: World) -> None:
    """Host 3 agrees to host 2 as the new master and dies before it can be told so."""
    await world.pool(1, 2)
    target = world.host(1)
    designating = asyncio.ensure_future(world.failure(0, DESIGNATE, target))
    await world.sleep(0.1)
    assert all(m.process and m.process.proposal for m in world.site.machines)
    await changes.fault(world.site, "power-off", "host3")
    assert await designating == ["CANNOT_CONTACT_HOST", target]
    await world.sleep(30)


def test_a_member_lost_in_the_second_phase_leaves_the_new_master_broken() -> None:
    async def scenario(world: World) -> None:
        await break_hand_over(world)
        assert await login_failure(world, 1) == ["HOST_BROKEN"]
        process = world[1].process
        assert await login_failure(world, 0) == ["HOST_IS_SLAVE", world[1].address]
        await world.sleep(180)
        assert world[1].process not in (None, process)
        assert await login_failure(world, 1) == ["HOST_BROKEN"]
        await world.local(1, "pool.emergency_transition_to_master")
        await until_master(world, 1)
        await until_enabled(world, 1, 0)
        assert len(world.db(1).tables["host"]) == 3
        await changes.fault(world.site, "power-on", "host3")
        await world.sleep(120)
        assert await login_failure(world, 0) == ["HOST_IS_SLAVE", world[1].address]

    run(scenario, hosts=3)


def test_a_broken_host_can_be_made_another_masters_slave() -> None:
    async def scenario(world: World) -> None:
        await break_hand_over(world)
        await world.local(0, "pool.emergency_transition_to_master")
        await until_master(world, 0)
        await world.local(1, "pool.emergency_reset_master", world[0].address)
        await until_enabled(world, 0, 1)
        assert not world[1].disk.broken
        assert await login_failure(world, 1) == ["HOST_IS_SLAVE", world[0].address]

    run(scenario, hosts=3)


def test_a_proposal_that_somebody_took_back_breaks_the_hand_over_as_well() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1, 2)
        designating = asyncio.ensure_future(world.failure(0, DESIGNATE, world.host(1)))
        await world.sleep(0.1)
        await world.local(2, "host.abort_new_master", world[1].address)
        await designating
        await world.sleep(30)
        assert await login_failure(world, 1) == ["HOST_BROKEN"]
        assert world[2].disk.master_address == world[0].address

    run(scenario, hosts=3)


def test_a_member_newer_than_its_master_waits_for_it() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        member = world.host(1)
        await changes.change(world.site, NEWER)
        await changes.fault(world.site, "kill-toolstack", "host2")
        await world.sleep(60)
        assert world[1].process is not None
        assert world[1].process.phase is Phase.EMERGENCY
        expected = ["HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR", "26.18.0"]
        assert await login_failure(world, 1) == expected
        assert await world.local(1, "host.is_in_emergency_mode") is True
        await changes.change(world.site, {**NEWER, "host": "host1"})
        await world.sleep(10)
        assert world.db(0).get("host", member)["enabled"]

    run(scenario)


def test_a_member_older_than_its_master_is_welcome() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await changes.change(world.site, {**NEWER, "host": "host1"})
        await changes.fault(world.site, "kill-toolstack", "host2")
        await world.sleep(60)
        assert world.db(0).get("host", world.host(1))["enabled"]

    run(scenario)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("pool.emergency_transition_to_master", ()), ("pool.emergency_reset_master", ("10.9.9.9",))],
)
def test_high_availability_chooses_the_master_itself(
    method: str, arguments: tuple[str, ...]
) -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        world.db(0).set("pool", world.db(0).pool, ha_enabled=True)
        await world.call(0, "pool.sync_database")
        with pytest.raises(ApiError) as failed:
            await world.local(1, method, *arguments)
        assert failed.value.description == ["HA_IS_ENABLED"]

    run(scenario)


def test_no_hand_over_while_the_secret_is_to_be_changed() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await world.call(0, "pool.set_is_psr_pending", world.db(0).pool, True)
        expected = ["POOL_SECRET_ROTATION_PENDING"]
        assert await world.failure(0, DESIGNATE, world.host(1)) == expected

    run(scenario)
