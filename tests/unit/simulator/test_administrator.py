"""Shared storage comes and goes with the pools of the site."""

from __future__ import annotations

from typing import Any

from nova_aggregates.simulator import builder
from tests.unit.simulator.test_membership import until_master
from tests.unit.simulator.world import World, run


def shared(world: World, position: int) -> list[dict[str, Any]]:
    found = world.db(position).find("SR", shared=True)
    return [sr for _, sr in found if not sr["is_tools_sr"]]


def test_a_pool_of_two_has_storage_that_both_have_attached() -> None:
    async def scenario(world: World) -> None:
        assert shared(world, 0) == shared(world, 1) == []
        await world.pool(1, 2)
        (sr,) = shared(world, 0)
        attached = [world.db(0).get("PBD", ref)["currently_attached"] for ref in sr["PBDs"]]
        assert attached == [True, True, True]

    run(scenario, hosts=3, storage_of_pools=True)


def test_the_last_host_loses_it_and_may_join_another_pool() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await world.call(0, "pool.eject", world.host(1))
        assert shared(world, 0) == []
        await until_master(world, 1)
        assert shared(world, 1) == []

    run(scenario, hosts=3, storage_of_pools=True)


def test_it_stays_while_disks_are_on_it() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        (ref,) = [r for r, sr in world.db(0).find("SR", shared=True) if not sr["is_tools_sr"]]
        builder.add_disk(world[0], "precious", sr=ref)
        await world.call(0, "pool.eject", world.host(1))
        assert len(shared(world, 0)) == 1

    run(scenario, hosts=3, storage_of_pools=True)
