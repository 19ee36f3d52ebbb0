"""The console script ``nova-aggregates``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from cliff.app import App
from cliff.commandmanager import CommandManager

from nova_aggregates.client import login
from nova_aggregates.client.exits import Exit

PROG = "nova-aggregates"
NAMESPACE = "nova_aggregates.client"
NAME_WIDTH = 23


class Shell(App):
    NAME = PROG

    def __init__(self) -> None:
        super().__init__(
            description="Host aggregates that are XenServer pools.",
            version=metadata.version(PROG),
            command_manager=CommandManager(NAMESPACE, convert_underscores=False),
            deferred_help=True,
        )
        from nova_aggregates.client.commands.completion import Complete

        self.command_manager.add_command("complete", Complete)
        self._api: Any = None

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        parser = super().build_option_parser(description, version, argparse_kwargs)
        login.add_options(parser)
        return parser

    def configure_logging(self) -> None:
        super().configure_logging()
        if self.options.verbose_level <= self.DEFAULT_VERBOSE_LEVEL:
            # It warns of each attempt; the last one is told anyway.
            logging.getLogger("keystoneauth").setLevel(logging.ERROR)

    def api(self) -> Any:
        """:raises ClientError: it is not known where the service is, or it cannot be reached."""
        from nova_aggregates.client.api import Api

        if self._api is None:
            self._api = Api(login.adapter(self.options, os.environ))
        return self._api

    def interact(self) -> None:
        """Without a command there is nothing to do; cliff would become a shell of its own."""
        self.parser.print_usage(self.stderr)
        print(f"{PROG}: name a command; --help lists them", file=self.stderr)

    def run(self, argv: list[str]) -> int:
        result = super().run(argv)
        return Exit.USAGE if self.interactive_mode else result

    def print_help_if_requested(self) -> None:
        """cliff would look through everything that is installed and make every command."""
        if not self.options.deferred_help:
            return
        self.parser.print_help(self.stdout)
        print("\ncommands:", file=self.stdout)
        for name, entry in sorted(self.command_manager):
            text = (entry.load().__doc__ or "").partition("\n")[0].rstrip(".")
            print(f"  {name:<{NAME_WIDTH}} {text}", file=self.stdout)
        raise SystemExit(Exit.OK)


def main(argv: Sequence[str] | None = None) -> int:
    return Shell().run(sys.argv[1:] if argv is None else list(argv))


if __name__ == "__main__":
    sys.exit(main())
