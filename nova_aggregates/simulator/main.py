"""``nova-aggregates-simulator``: simulated XenServer hosts until a signal ends them."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nova_aggregates.simulator import export_command, scenario, site_file
from nova_aggregates.simulator.builder import Plan, plan_of_spec
from nova_aggregates.simulator.control import Control
from nova_aggregates.simulator.exporter import CannotExport
from nova_aggregates.simulator.levels import LEVELS, NEWEST
from nova_aggregates.simulator.profile import PROFILES
from nova_aggregates.simulator.server import PortInUse, Simulation, write_inventory

EXIT_USAGE = 2
EXIT_PORT = 3
EXIT_EXPORT = 4


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="nova-aggregates-simulator",
        description="Simulated XenServer hosts, each at a loopback address of its own, that speak "
        "XenAPI over HTTPS.",
    )
    add = found.add_argument
    add("--hosts", type=int, default=6, metavar="N", help="how many hosts (default 6)")
    add("--port", type=int, default=8443, help="the HTTPS port of every host (default 8443)")
    add(
        "--base-address",
        default="127.0.70.1",
        metavar="IP",
        help="the first host's loopback address; the others follow (default 127.0.70.1)",
    )
    add("--zones", default="nova", help="comma-separated zones to spread the hosts over")
    add(
        "--time-scale",
        type=float,
        metavar="S",
        help="how many times faster than real hosts their delays pass (default: as the site file "
        "says, or 1)",
    )
    add("--password", help="one root password for all hosts (default: one for each, made up)")
    add("--inventory", type=Path, metavar="FILE", help="write how to reach the hosts, as JSON")
    add("--state-dir", type=Path, metavar="DIR", help="the same, as DIR/inventory.json")
    add(
        "--shared-storage",
        choices=("pools", "first", "none"),
        default="pools",
        help="who has the NFS export of a zone: pools of two and more (default), the zone's first "
        "host from the start, nobody",
    )
    add("--profile", choices=sorted(PROFILES), default="standard", help="the kind of hosts")
    add(
        "--xapi",
        choices=tuple(LEVELS),
        default=NEWEST,
        help="the API level: what came later is not there (default %(default)s)",
    )
    add(
        "--other-vendor",
        default="",
        metavar="N,…",
        help="numbers of the hosts, from 1, that have a CPU of another vendor",
    )
    add("--plain-port", type=int, metavar="PORT", help="also serve without TLS, as on port 80")
    add("--control-port", type=int, metavar="PORT", help="control API, on 127.0.0.1 only")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="EVENT",
        help="what happens to the hosts, such as 'fault: power-off, host: host2, at: 60' or 'wire: "
        "drop-after, host: host1, method: pool.join'; may be repeated",
    )
    add(
        "--site",
        type=Path,
        metavar="FILE",
        help="a site file that says which hosts, pools and guests there are (then --hosts, "
        "--zones, --other-vendor and --xapi do not count)",
    )
    add("--verbose", action="store_true", help="log what the hosts do")
    export_command.add_arguments(found)
    return found


def plan_of(options: argparse.Namespace) -> Plan:
    """Raises ValueError with a sentence for the user, OSError."""
    schedule = tuple(scenario.parse_text(text) for text in options.fault)
    if options.site is not None:
        return plan_of_spec(
            site_file.load(options.site),
            base_address=options.base_address,
            password=options.password,
            profile=PROFILES[options.profile],
            storage_of_pools=options.shared_storage == "pools",
            schedule=schedule,
        )
    zones = tuple(z.strip() for z in options.zones.split(",") if z.strip())
    if options.hosts < 1:
        raise ValueError("--hosts must be at least 1")
    if not zones:
        raise ValueError("--zones needs at least one zone")
    try:
        other = tuple(int(n) - 1 for n in options.other_vendor.split(",") if n.strip())
    except ValueError:
        raise ValueError("--other-vendor wants host numbers such as 4 or 2,4") from None
    return Plan(
        hosts=options.hosts,
        base_address=options.base_address,
        zones=zones,
        password=options.password,
        profile=PROFILES[options.profile],
        shared_storage=options.shared_storage == "first",
        storage_of_pools=options.shared_storage == "pools",
        other_vendor=other,
        xapi=options.xapi,
        schedule=schedule,
    )


def scale_of(plan: Plan, options: argparse.Namespace) -> float:
    """Raises ValueError with a sentence for the user."""
    of_site = plan.spec.time_scale if plan.spec is not None else 0.0
    scale: float = of_site or 1.0 if options.time_scale is None else options.time_scale
    if scale <= 0:
        raise ValueError("--time-scale must be greater than zero")
    return scale


async def serve(plan: Plan, options: argparse.Namespace) -> None:
    """Until SIGTERM or SIGINT. Raises PortInUse, BadAddress, LookupError."""
    simulation = Simulation(
        plan, port=options.port, time_scale=scale_of(plan, options), plain_port=options.plain_port
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    control = Control(simulation)
    await simulation.start()
    try:
        if options.control_port is not None:
            await control.start(options.control_port)
        inventory = options.inventory
        if inventory is None and options.state_dir is not None:
            options.state_dir.mkdir(parents=True, exist_ok=True)
            inventory = options.state_dir / "inventory.json"
        if inventory is not None:
            write_inventory(inventory, simulation.inventory())
        print("ready", flush=True)
        await ended.wait()
    finally:
        await control.stop()
        await simulation.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(asctime)s %(name)s %(message)s",
    )
    try:
        if options.export is not None:
            export_command.run(options)
            return 0
        asyncio.run(serve(plan_of(options), options))
    except CannotExport as error:
        print(f"nova-aggregates-simulator: {error}", file=sys.stderr)
        return EXIT_EXPORT
    except PortInUse as error:
        print(f"nova-aggregates-simulator: {error}", file=sys.stderr)
        return EXIT_PORT
    except (ValueError, LookupError) as error:
        print(f"nova-aggregates-simulator: {error}", file=sys.stderr)
        return EXIT_USAGE
    except OSError as error:
        print(f"nova-aggregates-simulator: {error.filename}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE
    return 0
