"""rolling-update: the hosts of an aggregate, a few at a time."""

from __future__ import annotations

import argparse
from typing import Any

from nova_aggregates.client import asking, waiting
from nova_aggregates.client.commands import maintenance, operations
from nova_aggregates.client.errors import ClientError
from nova_aggregates.client.exits import Exit
from nova_aggregates.client.output import ShowCommand

ORDERS = ("master_first", "master_last")
ROLES = ("hand_over", "in_place")
BACK = ("after_each", "at_end", "never")
REBOOTS = ("required", "always", "never")
LIMITS = (
    "pause_after_canary",
    "max_unavailable",
    "order",
    "master",
    "guests_back",
    "reboot_after",
    "retries",
    "retry_delay",
    "deadline",
)


class RollingUpdate(ShowCommand):
    """Reboot or update the hosts of an aggregate, a few at a time, each without its guests."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("aggregate", metavar="AGGREGATE", help="its id or name")
        _add_deeds(parser)
        _add_hosts(parser)
        _add_limits(parser)
        maintenance.add_wish(parser)
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only show the plan; operation-start begins it",
        )
        asking.add_option(parser)
        waiting.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        wish = _wish(parsed_args)
        aggregate = self.api.aggregate(parsed_args.aggregate)
        if parsed_args.dry_run:
            return self._plan(aggregate, wish, parsed_args.wait_timeout)
        told = ", ".join(parsed_args.host or aggregate["hosts"])
        (deed,) = wish["action"]
        question = f"Begin a rolling update ({deed}) of aggregate {aggregate['name']}: {told}?"
        asking.confirm(question, yes=parsed_args.yes)
        answer = self.api.act(aggregate, "rolling_update", wish)
        return operations.begun(self, parsed_args, answer)

    def _plan(self, aggregate: dict[str, Any], wish: dict[str, Any], timeout: float | None) -> Any:
        answer = self.api.act(aggregate, "rolling_update", {**wish, "dry_run": True})
        operation = answer.document["operation"]
        if operation["state"] not in waiting.ENDED:
            # It takes longer than the service lets a caller wait.
            operation = waiting.follow(self.api, operation["uuid"], timeout)
        findings = operation["findings"]
        blocked = any(found["severity"] == "blocking" for found in findings)
        ok = operation["state"] == "succeeded" and not blocked
        if not ok:
            self.outcome = Exit.BLOCKED
        return self.show(
            {
                "operation": operation["uuid"],
                "ok": ok,
                **((operation["details"] or {}).get("plan") or {}),
                "findings": findings,
                "error": operation["error"],
            }
        )


def _add_deeds(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is done to each host (exactly one)")
    deed = group.add_mutually_exclusive_group(required=True)
    deed.add_argument("--reboot", action="store_true", help="reboot it")
    deed.add_argument(
        "--restart-toolstack", action="store_true", help="restart its toolstack; its guests stay"
    )
    deed.add_argument(
        "--pool-update", metavar="UUID", help="apply this update (XenServer 7 to 8.2)"
    )
    deed.add_argument(
        "--apply-updates", metavar="HASH", help="apply the updates with this hash (XenServer 8)"
    )
    deed.add_argument(
        "--plugin",
        type=_plugin,
        metavar="NAME:FUNCTION",
        help="call a plugin of the host, as updater.py:update (XCP-ng)",
    )
    deed.add_argument("--webhook", metavar="URL", help="post its name there; 2xx says done")
    group.add_argument(
        "--argument",
        type=_argument,
        action="append",
        metavar="KEY=VALUE",
        help="an argument of the plugin; may be repeated",
    )
    group.add_argument(
        "--webhook-timeout", type=float, metavar="SECONDS", help="for the answer of the webhook"
    )


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which hosts")
    group.add_argument(
        "--host", action="append", metavar="HOST", help="only this one; may be repeated"
    )
    group.add_argument(
        "--canary",
        action="append",
        metavar="HOST",
        help="this one first and alone; may be repeated",
    )
    group.add_argument(
        "--pause-after-canary",
        action="store_true",
        default=None,
        help="pause when the canaries are done; operation-resume goes on",
    )
    group.add_argument(
        "--max-unavailable",
        type=int,
        metavar="NUMBER",
        help="hosts out of service at the same time (default: 1)",
    )
    group.add_argument("--order", choices=ORDERS, help="default: master_first")
    group.add_argument(
        "--master", choices=ROLES, help="whether another member gets its role (default: hand_over)"
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how")
    group.add_argument(
        "--reboot-after",
        choices=REBOOTS,
        help="when a host is rebooted after the action (default: required, when it asks for it)",
    )
    group.add_argument(
        "--guests-back", choices=BACK, help="when guests come home (default: after_each)"
    )
    group.add_argument(
        "--retries",
        type=int,
        metavar="NUMBER",
        help="further tries of the action at one host (default: 0)",
    )
    group.add_argument(
        "--retry-delay", type=float, metavar="SECONDS", help="between the tries (default: 30)"
    )
    group.add_argument(
        "--deadline", type=float, metavar="SECONDS", help="for a host to come back after a reboot"
    )


def _wish(parsed_args: argparse.Namespace) -> dict[str, Any]:
    given = {key: getattr(parsed_args, key) for key in LIMITS}
    given |= {"hosts": parsed_args.host, "canary": parsed_args.canary}
    limits = {key: value for key, value in given.items() if value is not None}
    return {"action": _deed(parsed_args), **limits, **maintenance.wish(parsed_args)}


def _deed(parsed_args: argparse.Namespace) -> dict[str, Any]:
    """:raises ClientError: an option belongs to another deed."""
    if parsed_args.argument and not parsed_args.plugin:
        raise ClientError("--argument goes with --plugin only.", Exit.USAGE)
    if parsed_args.webhook_timeout is not None and not parsed_args.webhook:
        raise ClientError("--webhook-timeout goes with --webhook only.", Exit.USAGE)
    if parsed_args.plugin:
        arguments = {"arguments": dict(parsed_args.argument)} if parsed_args.argument else {}
        return {"plugin": {**parsed_args.plugin, **arguments}}
    if parsed_args.webhook:
        timeout = parsed_args.webhook_timeout
        limit = {} if timeout is None else {"timeout": timeout}
        return {"webhook": {"url": parsed_args.webhook, **limit}}
    for key in ("pool_update", "apply_updates"):
        value = getattr(parsed_args, key)
        if value is not None:
            return {key: value}
    return {"reboot": None} if parsed_args.reboot else {"restart_toolstack": None}


def _plugin(text: str) -> dict[str, str]:
    plugin, _, function = text.partition(":")
    if not plugin or not function:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:FUNCTION")
    return {"plugin": plugin, "function": function}


def _argument(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
