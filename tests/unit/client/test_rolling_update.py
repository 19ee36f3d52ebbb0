"""What the options of rolling-update become, and that the service understands it."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from nova_aggregates.api.schemas.rolling import ROLLING_UPDATE
from nova_aggregates.client.commands.rolling import RollingUpdate
from nova_aggregates.client.errors import ClientError
from nova_aggregates.client.exits import Exit

AGGREGATE = {"id": 7, "name": "blue", "hosts": ["h1", "h2"]}
PLAN = {"do": "reboot", "hosts": [{"host": "h1", "guests": []}]}


def operation(state: str, **values: Any) -> dict[str, Any]:
    shown = {"uuid": "u", "action": "preflight", "host": None, "state": state, "step": None}
    empty: dict[str, Any] = {"progress": 0, "findings": [], "error": None, "details": None}
    return {**shown, **empty, **values}


class Answer:
    operation = "u"

    def __init__(self, document: Any) -> None:
        self.document = document


class Service:
    """Takes bodies; its operation gets through the given states."""

    def __init__(self, *operations: dict[str, Any]) -> None:
        self.bodies: list[Any] = []
        self._operations = list(operations) or [operation("queued")]

    def aggregate(self, name: str) -> dict[str, Any]:
        assert name == "blue"
        return AGGREGATE

    def act(self, aggregate: Any, action: str, arguments: Any) -> Answer:
        assert aggregate == AGGREGATE
        self.bodies.append({action: arguments})
        return Answer({"operation": self.operation("u")})

    def operation(self, uuid: str) -> dict[str, Any]:
        assert uuid == "u"
        return self._operations.pop(0)


def call(service: Service, *options: str) -> tuple[RollingUpdate, dict[str, Any]]:
    app = argparse.Namespace(api=lambda: service, options=argparse.Namespace(debug=False))
    command = RollingUpdate(app, None)
    parsed = command.get_parser("rolling-update").parse_args(["blue", *options])
    names, cells = command.take_action(parsed)
    return command, dict(zip(names, cells, strict=True))


@pytest.mark.parametrize(
    ("options", "wish"),
    [
        (["--reboot"], {"action": {"reboot": None}}),
        (["--restart-toolstack"], {"action": {"restart_toolstack": None}}),
        (["--pool-update", "1-2"], {"action": {"pool_update": "1-2"}}),
        (["--apply-updates", "abc"], {"action": {"apply_updates": "abc"}}),
        (
            ["--plugin", "updater.py:update"],
            {"action": {"plugin": {"plugin": "updater.py", "function": "update"}}},
        ),
        (
            ["--plugin", "p:f", "--argument", "a=b=c", "--argument", "d="],
            {
                "action": {
                    "plugin": {"plugin": "p", "function": "f", "arguments": {"a": "b=c", "d": ""}}
                }
            },
        ),
        (["--webhook", "http://x/y"], {"action": {"webhook": {"url": "http://x/y"}}}),
        (
            ["--webhook", "http://x/y", "--webhook-timeout", "90"],
            {"action": {"webhook": {"url": "http://x/y", "timeout": 90.0}}},
        ),
        (
            [
                *("--reboot", "--host", "h1", "--host", "h2", "--canary", "h2"),
                *("--pause-after-canary", "--max-unavailable", "2", "--order", "master_last"),
                *("--master", "in_place", "--guests-back", "at_end", "--reboot-after", "always"),
                *("--retries", "0", "--retry-delay", "5", "--deadline", "900"),
                *("--concurrency", "4", "--network", "storage", "--policy", "skip"),
            ],
            {
                "action": {"reboot": None},
                "hosts": ["h1", "h2"],
                "canary": ["h2"],
                "pause_after_canary": True,
                "max_unavailable": 2,
                "order": "master_last",
                "master": "in_place",
                "guests_back": "at_end",
                "reboot_after": "always",
                "retries": 0,
                "retry_delay": 5.0,
                "deadline": 900.0,
                "concurrency": 4,
                "network": "storage",
                "policy": "skip",
            },
        ),
    ],
)
def test_options_are_what_the_service_reads(options: list[str], wish: dict[str, Any]) -> None:
    service = Service()
    _, shown = call(service, *options, "--yes")
    assert service.bodies == [{"rolling_update": wish}]
    ROLLING_UPDATE.check(service.bodies[0])
    assert (shown["uuid"], shown["state"]) == ("u", "queued")


def test_every_parameter_has_an_option() -> None:
    parser = RollingUpdate(argparse.Namespace(), None).get_parser("rolling-update")
    options = {action.dest for action in parser._actions}
    parameters = ROLLING_UPDATE.schema["properties"]["rolling_update"]["properties"]
    deeds = set(parameters["action"]["properties"])
    assert deeds | parameters.keys() - {"action", "hosts"} <= options
    assert "host" in options


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--reboot", "--restart-toolstack"],
        ["--plugin", "updater.py"],
        ["--plugin", ":f"],
        ["--plugin", "p:f", "--argument", "a"],
        ["--reboot", "--order", "any"],
        ["--reboot", "--retries", "many"],
    ],
    ids=str,
)
def test_the_command_line_is_wrong(options: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        call(Service(), *options, "--yes")
    assert end.value.code == Exit.USAGE


@pytest.mark.parametrize(
    "options", [["--argument", "a=b"], ["--webhook-timeout", "3"]], ids=lambda each: each[0]
)
def test_options_of_another_action(options: list[str]) -> None:
    service = Service()
    with pytest.raises(ClientError, match=f"{options[0]} goes with") as error:
        call(service, "--reboot", *options, "--yes")
    assert error.value.code == Exit.USAGE
    assert service.bodies == []


def test_without_a_terminal_nothing_begins() -> None:
    service = Service()
    with pytest.raises(ClientError, match="h1, h2") as error:
        call(service, "--reboot")
    assert error.value.code == Exit.NOT_CONFIRMED
    assert service.bodies == []


BLOCKING = {"severity": "blocking", "message": "No.", "cure": "Yes."}


@pytest.mark.parametrize(
    ("states", "ok"),
    [
        ([operation("succeeded", details={"plan": PLAN})], True),
        ([operation("queued"), operation("succeeded", details={"plan": PLAN})], True),
        ([operation("succeeded", details={"plan": PLAN}, findings=[BLOCKING])], False),
        ([operation("failed", error={"code": "X", "message": "x", "cure": "y"})], False),
    ],
)
def test_a_dry_run_asks_nobody_and_shows_the_plan(states: list[dict[str, Any]], ok: bool) -> None:
    service = Service(*states)
    command, shown = call(service, "--reboot", "--dry-run")
    assert service.bodies[0]["rolling_update"]["dry_run"] is True
    ROLLING_UPDATE.check(service.bodies[0])
    assert (shown["operation"], shown["ok"]) == ("u", ok)
    assert command.outcome == (Exit.OK if ok else Exit.BLOCKED)
    assert ("do" in shown) == (states[-1]["details"] is not None)
