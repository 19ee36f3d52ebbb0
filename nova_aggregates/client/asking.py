"""The question before something is destroyed."""

from __future__ import annotations

import argparse
import sys

from nova_aggregates.client.errors import ClientError
from nova_aggregates.client.exits import Exit


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal.

    :raises ClientError: the answer is not yes, or nobody can be asked.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ClientError(f"{question} Nobody can be asked here: add --yes.", Exit.NOT_CONFIRMED)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ClientError("Nothing was changed.", Exit.NOT_CONFIRMED)
