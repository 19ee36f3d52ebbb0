"""host_metrics.memory_free follows the guests, at the next report."""

from __future__ import annotations

from nova_aggregates.simulator import builder
from nova_aggregates.simulator.profile import BARE, GIB
from tests.unit.simulator.world import World, run


def free(world: World) -> int:
    record = world.db(0).get("host", world.host(0))
    return int(world.db(0).get("host_metrics", record["metrics"])["memory_free"])


def test_free_memory_is_what_guests_leave() -> None:
    async def scenario(world: World) -> None:
        assert free(world) == 60 * GIB
        vm = builder.add_guest(world[0], "web", memory=2 * GIB)
        await world.sleep(61)
        assert 57 * GIB < free(world) < 58 * GIB
        await world.call(0, "VM.hard_shutdown", vm)
        await world.sleep(61)
        assert free(world) == 60 * GIB

    run(scenario, hosts=1)


def test_without_the_statistics_daemon_it_stays_zero() -> None:
    async def scenario(world: World) -> None:
        await world.sleep(61)
        assert free(world) == 0

    run(scenario, hosts=1, profile=BARE)
