"""preflight, drift: what would happen and what is, with nothing changed."""

from __future__ import annotations

import argparse
from typing import Any

from nova_aggregates.client import waiting
from nova_aggregates.client.api import Api
from nova_aggregates.client.exits import Exit
from nova_aggregates.client.output import ListCommand, ShowCommand, rows

DRIFT = {
    "host": "Host",
    "kind": "Kind",
    "expected": "Expected",
    "found": "Found",
    "message": "Message",
    "cure": "Cure",
    "policy": "Policy",
    "first_seen": "First Seen",
    "last_seen": "Last Seen",
}
ACTIONS = ("add_host", "remove_host")


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only tell what stands in the way and what would be lost",
    )


def take(api: Api, aggregate: dict[str, Any], action: str, host: str) -> dict[str, Any]:
    """What the hosts say; nothing is changed."""
    answer = api.act(aggregate, "preflight", {action: host})
    if "preflight" in answer.document:
        return answer.document["preflight"]
    # It takes longer than the service lets a caller wait.
    operation = waiting.follow(api, answer.document["operation"]["uuid"], None)
    blocked = any(found["severity"] == "blocking" for found in operation["findings"])
    return {
        "host": host,
        "action": action,
        "ok": operation["state"] == "succeeded" and not blocked,
        "findings": operation["findings"],
        "error": operation["error"],
        "holdings": None,
    }


def show(command: ShowCommand, aggregate: dict[str, Any], action: str, host: str) -> Any:
    found = take(command.api, aggregate, action, host)
    if not found["ok"]:
        command.outcome = Exit.BLOCKED
    return command.show(found)


class Preflight(ShowCommand):
    """Tell what stands in the way of adding or removing a host."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("aggregate", metavar="AGGREGATE", help="its id or name")
        parser.add_argument("action", choices=[action.replace("_", "-") for action in ACTIONS])
        parser.add_argument("host", metavar="HOST", help="its name")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        aggregate = self.api.aggregate(parsed_args.aggregate)
        return show(self, aggregate, parsed_args.action.replace("-", "_"), parsed_args.host)


class Drift(ListCommand):
    """List where an aggregate and its real pool differ."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("aggregate", metavar="AGGREGATE", help="its id or name")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        aggregate = self.api.aggregate(parsed_args.aggregate)
        return rows(DRIFT, self.api.get(f"/os-aggregates/{aggregate['id']}/drift")["drift"])
