"""The outside administrator, the control API and the history."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from nova_aggregates.simulator import changes, furnishing, outsider
from nova_aggregates.simulator.control import Control
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.testing import SimulatedSite
from tests.unit.simulator.world import World, run


def test_guests_in_other_hands() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        db = world.db(0)
        vm = furnishing.add_guest(world[1], "web", disk=0)

        async def act(verb: str, **more: Any) -> None:
            await changes.guest(world.site, {"verb": verb, "guest": "web", **more})

        await act("migrate", host="host1")
        assert db.get("VM", vm)["resident_on"] == db.master
        await act("shutdown")
        await act("start", host="host2")
        assert db.get("VM", vm)["resident_on"] == world.host(1)
        await act("suspend")
        await act("resume")
        await act("reboot")
        with pytest.raises(ApiError, match="VM_BAD_POWER_STATE"):
            await act("start")
        with pytest.raises(ValueError, match="unknown verb fly"):
            await act("fly")
        with pytest.raises(ValueError, match="say where"):
            await act("migrate")
        await act("stop", wait=False)
        assert db.get("VM", vm)["power_state"] == "Running"
        await world.sleep(10)
        assert db.get("VM", vm)["power_state"] == "Halted"
        await act("delete")
        with pytest.raises(LookupError, match="guest web"):
            await act("start")
        kinds = [e.kind for e in world.site.history.events if e.guest == "web"]
        assert kinds == [
            "guest-started", "move-began", "moved", "guest-stopped", "guest-started",
            "guest-stopped", "guest-started", "guest-rebooted", "guest-stopped",
        ]  # fmt: skip
        assert world.site.history.summary().stops["web"] == [
            "clean_shutdown", "suspend", "hard_shutdown",
        ]  # fmt: skip

    run(scenario)


def test_a_name_that_two_guests_have() -> None:
    async def scenario(world: World) -> None:
        for machine in (world[0], world[1]):
            furnishing.add_guest(machine, "web", disk=0)
        with pytest.raises(LookupError, match="2 guests called web"):
            outsider.find_guest(world.site, "web")

    run(scenario)


def test_any_call() -> None:
    async def scenario(world: World) -> None:
        await world.pool(1)
        await outsider.call(world[1], "host.disable", "$host")
        assert not world.db(0).get("host", world.host(1))["enabled"]
        await outsider.call(world[1], "pool.set_name_label", "$pool", "theirs")
        (pool,) = outsider.overview(world.site)
        assert (pool["name"], pool["master"]) == ("theirs", "host1")
        assert [h["enabled"] for h in pool["hosts"]] == [True, False]
        with pytest.raises(LookupError, match=r"pool\.fly"):
            await outsider.call(world[1], "pool.fly")
        await changes.fault(world.site, "power-off", "host1")
        with pytest.raises(LookupError, match="host1"):
            await outsider.call(world[0], "host.enable", "$host")

    run(scenario)


@pytest.fixture(scope="module")
def controlled() -> Iterator[tuple[SimulatedSite, str]]:
    with SimulatedSite(hosts=2, time_scale=200, shared_storage=False) as site:
        control = Control(site._running)

        async def start() -> int:
            await control.start(0)
            return control.port

        yield site, f"http://127.0.0.1:{site.run(start())}"
        site.run(control.stop())


def ask(url: str, path: str, **given: Any) -> tuple[int, Any]:
    body = json.dumps(given).encode() if given else None
    request = urllib.request.Request(url + path, body, method="POST" if given else "GET")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_control_api(controlled: tuple[SimulatedSite, str]) -> None:
    site, url = controlled
    site.reset()
    status, ref = ask(url, "/change", change="add-guest", host="host1", name="web")
    assert (status, ref.split(":")[0]) == (200, "OpaqueRef")
    assert ask(url, "/guest", verb="shutdown", guest="web") == (200, {})
    status, found = ask(url, "/guest", verb="shutdown", guest="web")
    assert (status, found["error"][0]) == (409, "VM_BAD_POWER_STATE")
    assert ask(url, "/guest", verb="start", guest="nobody")[0] == 404
    assert ask(url, "/guest", verb="fly", guest="web")[0] == 400
    assert ask(url, "/change", change="nothing", host="host1")[0] == 404
    assert ask(url, "/nowhere")[0] == 404
    args = ["$pool", "theirs"]
    assert ask(url, "/call", host="host1", method="pool.set_name_label", args=args) == (200, "")
    _, pools = ask(url, "/pools")
    assert [(p["name"], p["halted"]) for p in pools if p["master"] == "host1"] == [
        ("theirs", ["web"])
    ]
    _, history = ask(url, "/history")
    assert history["summary"]["stops"] == {"web": ["clean_shutdown"]}
    last = history["events"][-1]["number"]
    assert ask(url, f"/history?since={last}")[1]["events"] == []


def test_the_same_from_a_test(controlled: tuple[SimulatedSite, str]) -> None:
    site, _ = controlled
    site.reset()
    site.change("add-guest", "host1", name="web")
    site.guest("stop", "web")
    site.call("host1", "host.disable", "$host")
    assert site.history.summary().stops == {"web": ["hard_shutdown"]}
    (pool,) = [p for p in site.pools if p["master"] == "host1"]
    assert pool["hosts"][0]["enabled"] is False


def test_what_goes_on_in_the_background_ends_with_the_site() -> None:
    async def scenario(world: World) -> None:
        furnishing.add_guest(world[0], "web", disk=0)
        given = {"verb": "start", "guest": "web", "wait": False}
        await changes.guest(world.site, given)  # fails, and only the log says so
        await asyncio.sleep(1)

    run(scenario)
