"""PUT /os-hosts/NAME and power actions answer at once, as the contract says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.api.conftest import Client


@pytest.fixture
def member(client: Client) -> Client:
    """host1 is meant to be in a pool; nobody works on operations here."""
    assert client.add(client.create("blue"), "host1").status_code == 200
    return client


@pytest.mark.parametrize(
    ("body", "status", "mode", "action"),
    [
        ({"maintenance_mode": "enable"}, "disabled", "on_maintenance", "maintenance_on"),
        ({"maintenance_mode": "Disable"}, "enabled", "off_maintenance", "maintenance_off"),
        (
            {"status": "disable", "maintenance_mode": "enable"},
            "disabled",
            "on_maintenance",
            "maintenance_on",
        ),
        ({"status": "disable"}, "disabled", "off_maintenance", "set_status"),
        ({"status": "ENABLE"}, "enabled", "off_maintenance", "set_status"),
    ],
)
def test_the_goal_and_the_operation(
    member: Client, body: Any, status: str, mode: str, action: str
) -> None:
    answer = member.send("PUT", "/os-hosts/host1", body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"host": "host1", "status": status, "maintenance_mode": mode}
    uuid = answer.headers["X-Operation-Id"]
    operation = member.good("GET", f"/os-operations/{uuid}")["operation"]
    assert (operation["action"], operation["host"]) == (action, "host1")
    assert operation["state"] == "queued"


def test_services_of_members_are_changed_by_an_operation(member: Client) -> None:
    wish = {"host": "host1", "binary": "nova-compute"}
    body = {**wish, "disabled_reason": "broken fan"}
    answer = member.send("PUT", "/os-services/disable-log-reason", body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"service": {**body, "status": "disabled"}}
    uuid = answer.headers["X-Operation-Id"]
    operation = member.good("GET", f"/os-operations/{uuid}")["operation"]
    assert (operation["action"], operation["host"]) == ("set_status", "host1")
    assert operation["parameters"] == {"enabled": False, "reason": "broken fan"}
    (told,) = member.good("GET", "/os-services?host=host1")["services"]
    assert told["disabled_reason"] is None, "not before it is so"
    answer = member.send("PUT", "/os-services/enable", wish)
    assert answer.json() == {"service": {**wish, "status": "enabled"}}
    assert answer.headers["X-Operation-Id"] != uuid
    alone = member.send("PUT", "/os-services/disable", {**wish, "host": "host2"})
    assert alone.status_code == 200
    assert "X-Operation-Id" not in alone.headers


def test_the_wish_is_kept_with_the_operation(member: Client) -> None:
    wish = {"concurrency": 5, "network": "Storage", "policy": "shutdown_and_restart"}
    answer = member.send("PUT", "/os-hosts/host1", {"maintenance_mode": "enable", **wish})
    uuid = answer.headers["X-Operation-Id"]
    assert member.good("GET", f"/os-operations/{uuid}")["operation"]["parameters"] == wish


def test_the_same_request_twice_is_one_operation(member: Client) -> None:
    body = {"maintenance_mode": "enable"}
    options = {"headers": {"Idempotency-Key": "once"}}
    first, second = (
        member.send("PUT", "/os-hosts/host1", body, **options).headers["X-Operation-Id"]
        for _time in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "maybe"},
        {"status": True},
        {"maintenance_mode": None},
        {"concurrency": 3},
        {"maintenance_mode": "enable", "concurrency": 0},
        {"maintenance_mode": "enable", "policy": "kill"},
        {"maintenance_mode": "enable", "extra": 1},
        [],
    ],
)
def test_bad_bodies(member: Client, body: Any) -> None:
    member.fault("badRequest", 400, member.send("PUT", "/os-hosts/host1", body))


@pytest.mark.parametrize(
    "body",
    [
        {"status": "enable", "maintenance_mode": "enable"},
        {"status": "disable", "maintenance_mode": "disable"},
    ],
)
def test_wishes_that_exclude_each_other(member: Client, body: Any) -> None:
    answer = member.send("PUT", "/os-hosts/host1", body)
    assert "cannot be both" in member.fault("conflictingRequest", 409, answer)


@pytest.mark.parametrize("verb", ["reboot", "shutdown", "startup"])
def test_power_is_refused_outside_of_maintenance(member: Client, verb: str) -> None:
    answer = member.send("GET", f"/os-hosts/host1/{verb}")
    assert "not in maintenance" in member.fault("conflictingRequest", 409, answer)
    member.good("PUT", "/os-hosts/host1", {"maintenance_mode": "enable"})
    answer = member.send("GET", f"/os-hosts/host1/{verb}")
    assert "has not put it there yet" in member.fault("conflictingRequest", 409, answer)


def test_hosts_in_no_pool_and_unknown_ones(member: Client) -> None:
    for method, path, body in (
        ("PUT", "", {"maintenance_mode": "enable"}),
        ("GET", "/reboot", None),
        ("POST", "/action", {"plan_maintenance": {}}),
    ):
        answer = member.send(method, f"/os-hosts/host2{path}", body)
        assert "in no pool" in member.fault("conflictingRequest", 409, answer)
        member.fault("itemNotFound", 404, member.send(method, f"/os-hosts/host99{path}", body))


def test_only_rolling_updates_are_steered(member: Client) -> None:
    answer = member.send("PUT", "/os-hosts/host1", {"maintenance_mode": "enable"})
    uuid = answer.headers["X-Operation-Id"]
    for verb in ("pause", "resume", "abort", "start"):
        answer = member.send("POST", f"/os-operations/{uuid}/action", {verb: None})
        member.fault("conflictingRequest", 409, answer)


def test_headroom_that_nobody_has_computed(member: Client) -> None:
    (aggregate,) = member.good("GET", "/os-aggregates")["aggregates"]
    told = member.good("GET", f"/os-aggregates/{aggregate['id']}/headroom")["headroom"]
    assert set(told.values()) == {None}
    member.fault("itemNotFound", 404, member.send("GET", "/os-aggregates/999/headroom"))


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"action": {}},
        {"action": {"reboot": None, "restart_toolstack": None}},
        {"action": {"reboot": 1}},
        {"action": {"webhook": {"url": "ftp://host/x"}}},
        {"action": {"webhook": {}}},
        {"action": {"plugin": {"plugin": "updater.py"}}},
        {"action": {"reboot": None}, "max_unavailable": 0},
        {"action": {"reboot": None}, "hosts": []},
        {"action": {"reboot": None}, "order": "any"},
        {"action": {"reboot": None}, "dry_run": "yes"},
        {"action": {"reboot": None}, "do": {"reboot": None}},
    ],
)
def test_rolling_updates_that_say_nothing_clear(member: Client, wish: Any) -> None:
    (aggregate,) = member.good("GET", "/os-aggregates")["aggregates"]
    answer = member.act(aggregate["id"], {"rolling_update": wish})
    member.fault("badRequest", 400, answer)


def test_a_rolling_update_is_queued_and_can_be_paused(member: Client) -> None:
    (aggregate,) = member.good("GET", "/os-aggregates")["aggregates"]
    wish = {"action": {"reboot": None}, "hosts": ["host1"], "max_unavailable": 2}
    answer = member.act(aggregate["id"], {"rolling_update": wish})
    assert answer.status_code == 202, answer.text
    operation = answer.json()["operation"]
    assert answer.headers["X-Operation-Id"] == operation["uuid"]
    assert (operation["action"], operation["state"]) == ("rolling_update", "queued")
    path = f"/os-operations/{operation['uuid']}/action"
    for verb, directive in (("pause", "pause"), ("resume", None), ("abort", "abort")):
        told = member.good("POST", path, {verb: None})["operation"]
        assert told["directive"] == directive
    member.fault("conflictingRequest", 409, member.send("POST", path, {"start": None}))


def test_rolling_updates_need_a_pool_and_its_members(member: Client) -> None:
    empty = member.create("empty")
    wish = {"rolling_update": {"action": {"reboot": None}}}
    assert "no pool" in member.fault("conflictingRequest", 409, member.act(empty, wish))
    (blue, *_rest) = member.good("GET", "/os-aggregates")["aggregates"]
    wish = {"rolling_update": {"action": {"reboot": None}, "hosts": ["host2"]}}
    member.fault("itemNotFound", 404, member.act(blue["id"], wish))
