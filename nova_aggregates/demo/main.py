"""``./run.sh``: options, signals, and what is said at the start and at the end."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from nova_aggregates.demo.errors import DemoError, Mismatch
from nova_aggregates.demo.processes import Family
from nova_aggregates.demo.service import PROJECT, Service, Settings, StateDirectory
from nova_aggregates.demo.walk import Walk


class Stopped(Exception):
    """SIGINT or SIGTERM has come."""


def main(arguments: Sequence[str] | None = None) -> int:
    """:returns: 0 when all went well, 1 after a mismatch or a failure, 130 when stopped midway."""
    options = _parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    family = Family()
    state = None
    try:
        state = StateDirectory(options.state_dir, options.keep)
        return _run(options, Service(_settings(options), state, family))
    except Stopped:
        print("\nStopped.", file=sys.stderr)
        return 130
    except DemoError as error:
        title = "MISMATCH" if isinstance(error, Mismatch) else "run.sh"
        print(f"{title}: {error}", file=sys.stderr)
        return 1
    finally:
        # A second Ctrl-C must not interrupt the clean-up.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        family.stop()
        if state is not None:
            state.close()
            if state.kept:
                print(f"The state is kept in {state.path}", file=sys.stderr)


def _run(options: argparse.Namespace, service: Service) -> int:
    # With --serve, standard output carries the one line that a script waits for.
    out: TextIO = sys.stderr if options.serve else sys.stdout
    started = time.monotonic()
    print(f"Starting {options.hosts} simulated hosts and the service ...", file=out, flush=True)
    service.start()
    print(f"Up in {time.monotonic() - started:.1f} s: {service.client.url}", file=out, flush=True)
    if options.serve:
        print(f"ready {service.client.base}", flush=True)
    else:
        started = time.monotonic()
        Walk(service.client, service.hosts).run()
        print(f"\nEverything as promised, in {time.monotonic() - started:.1f} s.", flush=True)
        if options.once:
            return 0
        _print_hints(service)
    try:
        while True:
            service.family.check()
            time.sleep(0.5)
    except Stopped:
        return 0


def _print_hints(service: Service) -> None:
    url, host = service.client.url, service.hosts[-1].name
    token = f"-H 'X-Auth-Token: admin:{PROJECT}'"
    json_type = "-H 'Content-Type: application/json'"
    zone = service.hosts[0].zone
    print(
        f"""
Serving until Ctrl-C. To try:

  curl -s {token} {url}/os-hosts
  curl -s {token} {url}/extensions/os-aggregates.xml
  curl -s {token} {json_type} {url}/os-aggregates \\
       -d '{{"aggregate": {{"name": "mine", "availability_zone": "{zone}"}}}}'
  curl -s {token} {json_type} {url}/os-aggregates/2/action \\
       -d '{{"add_host": {{"host": "{host}"}}}}'
  curl -s {token} {url}/os-aggregates/2/operations
""",
        flush=True,
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.sh",
        description="Bring nova-aggregates up beside simulated XenServer hosts, walk through the "
        "whole job over HTTP, check each step at the hosts, and go on serving.",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--once", action="store_true", help="stop after the walk")
    mode.add_argument(
        "--serve", action="store_true", help="skip the walk; print 'ready URL' when all is up"
    )
    parser.add_argument("--port", type=_port, default=8774, help="of the API (default: 8774)")
    parser.add_argument("--hosts", type=_positive, default=6, help="simulated hosts (default: 6)")
    parser.add_argument(
        "--zones",
        type=_zones,
        default=("nova",),
        metavar="N|A,B,...",
        help="availability zones, a number or names; the hosts are divided among them "
        "(default: nova)",
    )
    parser.add_argument(
        "--time-scale",
        type=_scale,
        default=20.0,
        help="how many times faster than real hosts the simulated ones are (default: 20)",
    )
    parser.add_argument("--state-dir", type=Path, help="where to keep state (default: a fresh one)")
    parser.add_argument("--keep", action="store_true", help="do not remove the state at the end")
    parser.add_argument("--database", metavar="URL", help="an empty database (default: SQLite)")
    parser.add_argument("--workers", type=_positive, default=1, help="API workers (default: 1)")
    options = parser.parse_args(arguments)
    if not options.serve and options.hosts <= 2 * len(options.zones):
        parser.error("the walk needs three hosts in one zone; give more --hosts, or --serve")
    return options


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        port=options.port,
        hosts=options.hosts,
        zones=options.zones,
        time_scale=options.time_scale,
        state_dir=options.state_dir,
        keep=options.keep,
        database=options.database,
        workers=options.workers,
    )


def _port(text: str) -> int:
    value = _positive(text)
    if value > 65535:
        raise argparse.ArgumentTypeError(f"{text} is no TCP port (1 to 65535)")
    return value


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and up to 1000")
    return value


def _zones(text: str) -> tuple[str, ...]:
    if text.isascii() and text.isdigit():
        return tuple(f"zone{number}" for number in range(1, _positive(text) + 1))
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) != len(names) or any(":" in name for name in names):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number nor a list of different zone names without colons"
        )
    return names


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Stopped
