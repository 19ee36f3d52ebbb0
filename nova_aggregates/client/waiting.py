"""--wait: follows an operation to its end, with a bar on a terminal and lines elsewhere."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from nova_aggregates.client.api import Api
from nova_aggregates.client.errors import ClientError, Refused, from_library
from nova_aggregates.client.exits import Exit

POLL_SECONDS = 0.5
OUTAGE_SECONDS = 120.0  # for which an API that restarts may be away
ENDED = ("succeeded", "failed", "error", "cancelled")

Reporter = Callable[[dict[str, Any]], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("waiting")
    group.add_argument("--wait", action="store_true", help="return when the operation has ended")
    add_timeout(group)


def add_timeout(group: Any) -> None:
    group.add_argument(
        "--wait-timeout",
        type=float,
        metavar="SECONDS",
        help="give up the wait after this time; the operation goes on",
    )


def follow(api: Api, uuid: str, timeout: float | None) -> dict[str, Any]:
    """The operation once it has ended, whatever its end.

    :param timeout: seconds; None waits for ever.
    :raises ClientError: the time is over, or the service is away for too long.
    """
    end = None if timeout is None else time.monotonic() + timeout
    with _reporter() as report:
        while True:
            operation = _look(api, uuid)
            report(operation)
            if operation["state"] in ENDED:
                return operation
            if end is not None and time.monotonic() >= end:
                raise ClientError(
                    f"Operation {uuid} is still {operation['state']} ({operation['progress']} %); "
                    f"it goes on: operation-watch {uuid}",
                    Exit.TIMEOUT,
                )
            time.sleep(POLL_SECONDS)


def follow_to_success(api: Api, uuid: str, timeout: float | None) -> dict[str, Any]:
    """:raises ClientError: as :func:`follow`, or the operation ended in another way."""
    operation = follow(api, uuid, timeout)
    if operation["state"] != "succeeded":
        raise ClientError(_end(operation), Exit.OPERATION_FAILED)
    return operation


def _end(operation: dict[str, Any]) -> str:
    told = operation["error"] or {}
    parts = [
        f"Operation {operation['uuid']} ({title(operation)}) ended as {operation['state']}",
        f": {told['message'].rstrip('.')}. {told['cure']}" if told else ".",
    ]
    return "".join(parts)


def _look(api: Api, uuid: str) -> dict[str, Any]:
    from keystoneauth1 import exceptions

    end = time.monotonic() + OUTAGE_SECONDS
    while True:
        try:
            return api.operation(uuid)
        except exceptions.RetriableConnectionFailure as error:
            failure: Exception = from_library(error) or error
        except Refused as error:
            if error.status < 500:
                raise
            failure = error
        if time.monotonic() >= end:
            raise failure
        time.sleep(POLL_SECONDS)


def title(operation: dict[str, Any]) -> str:
    return " ".join(filter(None, [operation["action"], operation["host"]]))


@contextlib.contextmanager
def _reporter() -> Iterator[Reporter]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[step]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task("...", total=100, step="")

        def report(operation: dict[str, Any]) -> None:
            shown.update(
                task,
                description=title(operation),
                completed=operation["progress"],
                step=_step(operation),
            )

        yield report


class _Lines:
    """One line a change, for logs and pipes."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, operation: dict[str, Any]) -> None:
        line = f"{title(operation)}: {operation['progress']} % {_step(operation)}"
        if line != self._last:
            self._last = line
            print(line, file=sys.stderr, flush=True)


def _step(operation: dict[str, Any]) -> str:
    """Where it is; of hosts that are emptied, how many guests have moved and how long it takes."""
    parts = [operation["state"]]
    if operation["step"]:
        parts = [f"{operation['state']}: {operation['step']}"]
    hosts = (operation.get("details") or {}).get("hosts") or {}
    told = [host["guests"] for host in hosts.values() if host.get("guests")]
    if told:
        moved = sum(each["moved"] for each in told)
        rest = sum(each["left"] + len(each["moving"]) for each in told)
        parts.append(f"{moved} of {moved + rest} guests moved")
        seconds = [each["seconds_left"] for each in told if each["seconds_left"] is not None]
        if seconds and rest:
            parts.append(f"{max(seconds):.0f} s left")
    return ", ".join(parts)
