"""event.from's tokens and order, event.inject, and the old event.register and event.next."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from nova_aggregates.simulator import legacy_events
from nova_aggregates.simulator.errors import ApiError
from tests.unit.simulator.world import World, run

BOGUS = "OpaqueRef:00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    "token",
    ["nonsense", "1", "1,", ",", "1,2,3", "9" * 20 + ",1", "1," + "9" * 20, " 1,2"],
)
def test_tokens_that_are_none(token: str) -> None:
    async def scenario(world: World) -> None:
        error = await world.failure(0, "event.from", ["pool"], token, 1.0)
        assert error == ["EVENT_FROM_TOKEN_PARSE_FAILURE", token]

    run(scenario, hosts=1)


@pytest.mark.parametrize("token", ["", "1,2", "-5,0", "0x1,0", "1_0,0", f"{0:020d},{0:020d}"])
def test_tokens_that_give_everything(token: str) -> None:
    async def scenario(world: World) -> None:
        answer = await world.call(0, "event.from", ["pool"], token, 1.0)
        assert [e["operation"] for e in answer["events"]] == ["add"]

    run(scenario, hosts=1)


def test_a_token_moves_only_with_what_was_asked_for() -> None:
    async def scenario(world: World) -> None:
        first = await world.call(0, "event.from", ["pool"], "", 1.0)
        await world.call(0, "host.set_name_label", world.db(0).master, "other")
        idle = await world.call(0, "event.from", ["pool"], first["token"], 1.0)
        assert (idle["events"], idle["token"]) == ([], first["token"])
        nothing = await world.call(0, "event.from", ["nosuch"], "", 1.0)
        assert nothing["token"] == f"{0:020d},{0:020d}"

    run(scenario, hosts=1)


def test_additions_come_first_and_deletions_last() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        gone = await world.call(0, "network.create", {"name_label": "gone"})
        token = (await world.call(0, "event.from", ["network"], "", 1.0))["token"]
        await world.call(0, "network.destroy", gone)
        changed = next(iter(db.tables["network"]))
        await world.call(0, "network.set_name_label", changed, "changed")
        added = await world.call(0, "network.create", {"name_label": "added"})
        short = await world.call(0, "network.create", {"name_label": "short-lived"})
        await world.call(0, "network.destroy", short)
        answer = await world.call(0, "event.from", ["network"], token, 1.0)
        told = [(e["operation"], e["ref"]) for e in answer["events"]]
        assert told == [("add", added), ("mod", changed), ("del", gone)]
        assert "snapshot" not in answer["events"][2]

    run(scenario, hosts=1)


def test_an_injected_event_is_seen_with_its_own_token() -> None:
    async def scenario(world: World) -> None:
        pool = world.db(0).pool
        token = await world.call(0, "event.inject", "pool", pool)
        answer = await world.call(0, "event.from", ["pool"], token, 1.0)
        assert [(e["operation"], e["ref"]) for e in answer["events"]] == [("mod", pool)]
        for cls, ref in (("pool", BOGUS), ("host", pool), ("POOL", pool), ("nosuch", pool)):
            error = await world.failure(0, "event.inject", cls, ref)
            assert error == ["HANDLE_INVALID", cls, ref]

    run(scenario, hosts=1)


def test_who_has_not_registered_gets_no_next_event() -> None:
    async def scenario(world: World) -> None:
        session = await world.raw(0, "session.login_with_password", "root", "secret")
        digest = hashlib.md5(session.encode(), usedforsecurity=False).hexdigest()
        with pytest.raises(ApiError) as failed:
            await world.raw(0, "event.next", session)
        assert failed.value.description == ["SESSION_NOT_REGISTERED", f"trackid={digest}"]

    run(scenario, hosts=1)


def test_next_events_are_single_writes_since_the_registration() -> None:
    async def scenario(world: World) -> None:
        pool = world.db(0).pool
        await world.call(0, "pool.set_name_label", pool, "before")
        await world.call(0, "event.register", ["Pool", "network"])
        await world.call(0, "pool.set_name_label", pool, "one")
        await world.call(0, "pool.set_name_label", pool, "two")
        await world.call(0, "host.set_name_label", world.db(0).master, "not asked for")
        network = await world.call(0, "network.create", {"name_label": "n"})
        await world.call(0, "network.destroy", network)
        events = await world.call(0, "event.next")
        told = [(e["class"], e["operation"], e["ref"]) for e in events]
        assert told == [
            ("pool", "mod", pool),
            ("pool", "mod", pool),
            ("network", "add", network),
            ("network", "del", network),
        ]
        assert [e["snapshot"]["name_label"] for e in events[:2]] == ["one", "two"]
        assert [e["id"] for e in events] == ["0", "1", "2", "3"]
        assert await world.call(0, "event.get_current_id") == 4

    run(scenario, hosts=1)


def test_next_waits_until_something_fits() -> None:
    async def scenario(world: World) -> None:
        db = world.db(0)
        await world.call(0, "event.register", ["*"])
        await world.call(0, "event.unregister", ["*"])
        await world.call(0, "event.register", [f"pool/{db.pool}"])
        waiting = asyncio.ensure_future(world.call(0, "event.next"))
        await world.call(0, "host.set_name_label", db.master, "other")
        await world.sleep(1000)
        assert not waiting.done()
        await world.call(0, "pool.set_name_label", db.pool, "x")
        assert [e["ref"] for e in await waiting] == [db.pool]

    run(scenario, hosts=1)


def test_a_logout_ends_the_wait() -> None:
    async def scenario(world: World) -> None:
        session = await world.raw(0, "session.login_with_password", "root", "secret")
        await world.raw(0, "event.register", session, ["pool"])
        waiting = asyncio.ensure_future(world.raw(0, "event.next", session))
        await world.sleep(1)
        await world.raw(0, "session.logout", session)
        with pytest.raises(ApiError) as failed:
            await waiting
        assert failed.value.description == ["SESSION_INVALID", session]

    run(scenario, hosts=1)


def test_a_slow_reader_is_told_that_events_were_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy_events, "QUEUE_LIMIT", 10_000)

    async def scenario(world: World) -> None:
        pool = world.db(0).pool
        await world.call(0, "event.register", ["pool"])
        for number in range(20):
            await world.call(0, "pool.set_name_label", pool, str(number))
        assert await world.failure(0, "event.next") == ["EVENTS_LOST"]
        await world.call(0, "pool.set_name_label", pool, "last")
        events: list[Any] = await world.call(0, "event.next")
        assert [e["snapshot"]["name_label"] for e in events] == ["last"]

    run(scenario, hosts=1)


def test_each_session_reads_for_itself_and_a_restart_forgets_all() -> None:
    async def scenario(world: World) -> None:
        pool = world.db(0).pool
        login = ("session.login_with_password", "root", "secret")
        pair = [await world.raw(0, *login) for _ in range(2)]
        for session in pair:
            await world.raw(0, "event.register", session, ["pool"])
        await world.call(0, "pool.set_name_label", pool, "x")
        for session in pair:
            assert len(await world.raw(0, "event.next", session)) == 1
        db = world.db(0)
        assert len(db.listeners) == 1
        await world.call(0, "host.restart_agent", db.master)
        await world.sleep(60)
        assert not db.listeners
        assert (await world.failure(0, "event.next"))[0] == "SESSION_NOT_REGISTERED"

    run(scenario, hosts=1)
