"""host-update, host-action, plan: service, maintenance and power of a host."""

from __future__ import annotations

import argparse
from typing import Any

from nova_aggregates.client import asking, waiting
from nova_aggregates.client.api import Answer
from nova_aggregates.client.exits import Exit
from nova_aggregates.client.output import ShowCommand

SWITCH = ("enable", "disable")
POWER = ("startup", "shutdown", "reboot")
POLICIES = ("refuse", "skip", "shutdown_and_restart")


class _HostCommand(ShowCommand):
    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="its name")
        return parser

    def done(self, parsed_args: argparse.Namespace, answer: Answer) -> Any:
        """What was asked for, with the operation that makes it true."""
        if parsed_args.wait and answer.operation:
            waiting.follow_to_success(self.api, answer.operation, parsed_args.wait_timeout)
        return self.show({**answer.document, "operation": answer.operation})


def add_wish(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("moving guests")
    group.add_argument(
        "--concurrency", type=int, metavar="NUMBER", help="guests that move at the same time"
    )
    group.add_argument("--network", metavar="NAME", help="the network that they move over")
    group.add_argument(
        "--policy",
        choices=POLICIES,
        help="what becomes of guests that cannot move (default: refuse, which moves none)",
    )


def wish(parsed_args: argparse.Namespace) -> dict[str, Any]:
    given = {key: getattr(parsed_args, key) for key in ("concurrency", "network", "policy")}
    return {key: value for key, value in given.items() if value is not None}


class Plan(_HostCommand):
    """Show where the guests of a host would go if it went into maintenance."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_wish(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.plan(parsed_args)

    def plan(self, parsed_args: argparse.Namespace) -> Any:
        path = self.api.host_path(parsed_args.host, "/action")
        answer = self.api.send("POST", path, {"plan_maintenance": wish(parsed_args)})
        found = answer.document.get("plan")
        if found is None:
            # It takes longer than the service lets a caller wait.
            operation = waiting.follow(self.api, answer.document["operation"]["uuid"], None)
            found = {
                "host": parsed_args.host,
                "ok": operation["state"] == "succeeded",
                **((operation.get("details") or {}).get("plan") or {}),
                "findings": operation["findings"],
                "error": operation["error"],
            }
        if not found["ok"]:
            self.outcome = Exit.BLOCKED
        return self.show(found)


class HostUpdate(Plan):
    """Enable or disable a host; put it into maintenance (its guests move away) or end that."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--status", choices=SWITCH, help="whether it takes new guests")
        parser.add_argument(
            "--maintenance",
            choices=SWITCH,
            help="enable moves its guests away, disable brings them back",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only show where the guests would go"
        )
        waiting.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        if parsed_args.dry_run:
            return self.plan(parsed_args)
        wanted = {"status": parsed_args.status, "maintenance_mode": parsed_args.maintenance}
        body = {key: value for key, value in wanted.items() if value} | wish(parsed_args)
        answer = self.api.send("PUT", self.api.host_path(parsed_args.host), body)
        return self.done(parsed_args, answer)


class HostAction(_HostCommand):
    """Start, shut down or reboot a host that is in maintenance."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--action", choices=POWER, required=True)
        asking.add_option(parser)
        waiting.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        verb = parsed_args.action
        if verb != "startup":
            asking.confirm(f"{verb.capitalize()} host {parsed_args.host}?", yes=parsed_args.yes)
        answer = self.api.send("GET", self.api.host_path(parsed_args.host, f"/{verb}"))
        return self.done(parsed_args, answer)
