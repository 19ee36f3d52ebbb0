"""operation-*: what was asked, how far it is, and why it failed."""

from __future__ import annotations

import argparse
from typing import Any

from nova_aggregates.client import asking, waiting
from nova_aggregates.client.api import Answer
from nova_aggregates.client.exits import Exit
from nova_aggregates.client.output import ListCommand, ShowCommand, rows

COLUMNS = {
    "uuid": "UUID",
    "aggregate_id": "Aggregate",
    "host": "Host",
    "action": "Action",
    "state": "State",
    "progress": "Progress",
    "step": "Step",
    "created_at": "Created At",
}
STATES = ("queued", "running", "paused", "succeeded", "failed", "error", "cancelled")
LIMIT = 50


def begun(command: ShowCommand, parsed_args: argparse.Namespace, answer: Answer) -> Any:
    """The operation that the answer has; with --wait, once it has succeeded."""
    operation = answer.document["operation"]
    if parsed_args.wait:
        operation = waiting.follow_to_success(
            command.api, operation["uuid"], parsed_args.wait_timeout
        )
    return command.show(operation)


class OperationList(ListCommand):
    """List operations, newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--aggregate", metavar="AGGREGATE", help="only those of this one")
        parser.add_argument("--host", metavar="HOST", help="only those of this host")
        parser.add_argument("--state", choices=STATES, help="only those in this state")
        parser.add_argument(
            "--limit",
            type=int,
            default=LIMIT,
            metavar="NUMBER",
            help="at most so many (default: %(default)s)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        path, filters = "/os-operations", {"state": parsed_args.state}
        if parsed_args.aggregate:
            aggregate = self.api.aggregate(parsed_args.aggregate)
            path = f"/os-aggregates/{aggregate['id']}/operations"
        if parsed_args.host:
            filters["host"] = parsed_args.host
        return rows(COLUMNS, self.api.operations(path, parsed_args.limit, **filters))


class OperationShow(ShowCommand):
    """Show one operation with its findings, its error and the cure."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("operation", metavar="UUID")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.show(self.api.operation(parsed_args.operation))


class OperationWatch(OperationShow):
    """Follow an operation to its end."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        waiting.add_timeout(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        operation = waiting.follow(self.api, parsed_args.operation, parsed_args.wait_timeout)
        if operation["state"] != "succeeded":
            self.outcome = Exit.OPERATION_FAILED
        return self.show(operation)


class _OperationAction(OperationShow):
    action: str

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        uuid = self.api.operation(parsed_args.operation)["uuid"]
        answer = self.api.send("POST", f"/os-operations/{uuid}/action", {self.action: None})
        return self.show(answer.document["operation"])


class OperationCancel(_OperationAction):
    """Stop an operation before its point of no return; it puts back what it did."""

    action = "cancel"


class OperationRetry(_OperationAction):
    """Do an operation again that failed or ended as error."""

    action = "retry"


class OperationPause(_OperationAction):
    """Let an operation rest at its next safe point."""

    action = "pause"


class OperationResume(_OperationAction):
    """Let a paused operation go on."""

    action = "resume"


class OperationAbort(_OperationAction):
    """End a rolling update after the hosts under way."""

    action = "abort"


class OperationStart(OperationShow):
    """Begin the rolling update whose plan (rolling-update --dry-run) the operation was."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        waiting.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        plan = self.api.operation(parsed_args.operation)["uuid"]
        answer = self.api.send("POST", f"/os-operations/{plan}/action", {"start": None})
        return begun(self, parsed_args, answer)


class OperationAbandon(_OperationAction):
    """Take an operation that ended as error for done with: the pool stays as it is."""

    action = "abandon"

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        asking.add_option(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        question = f"Abandon operation {parsed_args.operation} half-way?"
        asking.confirm(question, yes=parsed_args.yes)
        return super().take_action(parsed_args)
