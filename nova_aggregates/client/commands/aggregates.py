"""aggregate-*: aggregates, which are pools."""

from __future__ import annotations

import argparse
from typing import Any

from nova_aggregates.client import asking, waiting
from nova_aggregates.client.api import Answer
from nova_aggregates.client.commands import looks
from nova_aggregates.client.output import ApiCommand, ListCommand, ShowCommand, rows

COLUMNS = {
    "id": "Id",
    "name": "Name",
    "availability_zone": "Availability Zone",
    "operational_state": "Operational State",
    "hosts": "Hosts",
    "metadata": "Metadata",
}


class AggregateList(ListCommand):
    """List the aggregates."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--availability-zone", metavar="ZONE", help="only those of this zone")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return rows(COLUMNS, self.api.aggregates(parsed_args.availability_zone))


class _AggregateCommand(ShowCommand):
    """Works on one aggregate and shows it afterwards."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("aggregate", metavar="AGGREGATE", help="its id or name")
        return parser

    def changed(self, parsed_args: argparse.Namespace, answer: Answer) -> Any:
        """The aggregate after a request that may have queued an operation."""
        aggregate = answer.document["aggregate"]
        if parsed_args.wait and answer.operation:
            waiting.follow_to_success(self.api, answer.operation, parsed_args.wait_timeout)
            aggregate = self.api.get(f"/os-aggregates/{aggregate['id']}")["aggregate"]
        return self.show({**aggregate, "operation": answer.operation})


class AggregateCreate(ShowCommand):
    """Create an aggregate; its pool comes with the first host."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("availability_zone", metavar="ZONE", help="availability zone")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        wanted = {
            "name": parsed_args.name,
            "availability_zone": parsed_args.availability_zone,
        }
        answer = self.api.send("POST", "/os-aggregates", {"aggregate": wanted})
        return self.show(answer.document["aggregate"])


class AggregateDelete(ApiCommand):
    """Delete an aggregate that has no hosts."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("aggregate", metavar="AGGREGATE", help="its id or name")
        asking.add_option(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        aggregate = self.api.aggregate(parsed_args.aggregate)
        question = f"Delete aggregate {aggregate['id']} ({aggregate['name']}) with its metadata?"
        asking.confirm(question, yes=parsed_args.yes)
        self.api.send("DELETE", f"/os-aggregates/{aggregate['id']}")


class AggregateDetails(_AggregateCommand):
    """Show one aggregate."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.show(self.api.aggregate(parsed_args.aggregate))


class AggregateAddHost(_AggregateCommand):
    """Add a host: it joins the pool; the first one becomes its master."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="its name")
        looks.add_dry_run(parser)
        waiting.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        aggregate = self.api.aggregate(parsed_args.aggregate)
        if parsed_args.dry_run:
            return looks.show(self, aggregate, "add_host", parsed_args.host)
        answer = self.api.act(aggregate, "add_host", {"host": parsed_args.host})
        return self.changed(parsed_args, answer)


class AggregateRemoveHost(_AggregateCommand):
    """Remove a host: it is ejected from the pool, which wipes its local storage."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="its name")
        parser.add_argument(
            "--confirm",
            metavar="DIGEST",
            help="what may be lost, as a dry run names it; with --yes nothing else is asked",
        )
        parser.add_argument(
            "--forget", action="store_true", help="the host is dead: the pool forgets it"
        )
        asking.add_option(parser)
        looks.add_dry_run(parser)
        waiting.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        aggregate = self.api.aggregate(parsed_args.aggregate)
        host = parsed_args.host
        if parsed_args.dry_run:
            return looks.show(self, aggregate, "remove_host", host)
        wish: dict[str, Any] = {"host": host}
        question = f"Remove {host} from {aggregate['name']}? The eject wipes its local storage."
        if parsed_args.forget:
            wish["forget"] = True
            question = f"Make the pool {aggregate['name']} forget {host}, which must be dead?"
        elif parsed_args.confirm:
            wish["confirm"] = parsed_args.confirm
        elif not parsed_args.yes:
            digest, lost = self._lost(aggregate, host)
            if digest:
                wish["confirm"] = digest
                question = f"These are lost with {host}: {lost}. Remove it from the pool?"
        asking.confirm(question, yes=parsed_args.yes)
        return self.changed(parsed_args, self.api.act(aggregate, "remove_host", wish))

    def _lost(self, aggregate: dict[str, Any], host: str) -> tuple[str | None, str]:
        """What the host holds that nobody else has, and the digest that allows its loss."""
        holdings = looks.take(self.api, aggregate, "remove_host", host)["holdings"] or {}
        lost = (each for kind in ("guests", "disks", "storage") for each in holdings.get(kind, ()))
        return holdings.get("digest"), ", ".join(lost)


class AggregateSetMetadata(_AggregateCommand):
    """Set and remove metadata."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "metadata",
            metavar="KEY=VALUE",
            nargs="+",
            help="KEY alone removes it; keys that are not named stay",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        pairs = (each.partition("=") for each in parsed_args.metadata)
        metadata = {key: value or None for key, _, value in pairs}
        aggregate = self.api.aggregate(parsed_args.aggregate)
        answer = self.api.act(aggregate, "set_metadata", {"metadata": metadata})
        return self.show(answer.document["aggregate"])


class AggregateUpdate(_AggregateCommand):
    """Rename an aggregate with its pool, or move it to another zone."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="NAME", nargs="?", help="the new name")
        parser.add_argument(
            "availability_zone", metavar="ZONE", nargs="?", help="the new availability zone"
        )
        parser.add_argument(
            "--availability-zone",
            dest="only_zone",
            metavar="ZONE",
            help="the new availability zone, when the name stays",
        )
        waiting.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        wanted = {
            "name": parsed_args.name,
            "availability_zone": parsed_args.only_zone or parsed_args.availability_zone,
        }
        body = {"aggregate": {key: value for key, value in wanted.items() if value is not None}}
        aggregate = self.api.aggregate(parsed_args.aggregate)
        answer = self.api.send("PUT", f"/os-aggregates/{aggregate['id']}", body)
        return self.changed(parsed_args, answer)
