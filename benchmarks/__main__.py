"""``python -m benchmarks``: everything that doc/source/benchmarks.rst shows."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import http.client
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.draw import draw
from benchmarks.load import memory_mib
from benchmarks.pairs import Pair, compare, measure
from benchmarks.requests import Target
from benchmarks.seed import DataSet, seed
from benchmarks.servers import database, floor, service

DATABASES = ("sqlite", "postgresql", "mysql")
WRITES = ("create_delete", "set_metadata", "add_remove")
GROWING = (("show", 8), ("create_delete", 8), ("add_remove", 8), ("list", 1))
SPARE = 1900  # Nova's host of this number and those after it are in no small aggregate


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asks for."""

    rounds: int
    seconds: float
    aggregates: int
    sizes: tuple[int, ...]
    nova: Target | None


def changer(target: Target) -> Callable[[], None]:
    """Changes the first aggregate, so that no list after it is like the one before."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    numbers = iter(range(1, sys.maxsize))

    def change() -> None:
        connection.request(
            "POST",
            f"{target.prefix}/os-aggregates/1/action",
            json.dumps({"set_metadata": {"metadata": {"key00": str(next(numbers))}}}),
            {"X-Auth-Token": "admin:admin", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{target.name} refuses a change: {answer.status}")

    return change


def pairs(ours: Target, peer: Target, plan: Plan) -> list[Pair]:
    """The service beside one peer, which has the same aggregates."""

    def one(scenario: str, concurrency: int, **how: Any) -> Pair:
        found = compare(
            ours,
            peer,
            scenario,
            concurrency,
            plan.aggregates,
            rounds=plan.rounds,
            seconds=plan.seconds,
            **how,
        )
        tell(found)
        return found

    found = [one("show", concurrency) for concurrency in (1, 8, 32)]
    if peer.name == "floor":
        return [*found, one("list", 8)]
    found.append(one("list", 1))
    changed = one("list", 1, between=changer)
    found.append(dataclasses.replace(changed, scenario="list, changed before each request"))
    return found + [one(scenario, 8) for scenario in WRITES]


def tell(pair: Pair) -> None:
    print(
        f"{pair.scenario:14} c{pair.concurrency:<3} beside {pair.peer:6} "
        f"rate x {pair.rate_ratio:8.2f}   cpu x {pair.cpu_ratio:8.2f}   "
        f"{pair.service['rate']:9.1f}/s  p50 {pair.service['p50_ms']:8.2f} ms  "
        f"p99 {pair.service['p99_ms']:8.2f} ms  cpu {pair.service['cpu_ms']:7.3f} ms",
        flush=True,
    )


def growth(url: str, folder: Path, plan: Plan) -> list[dict[str, Any]]:
    """The service alone, with ever more aggregates; memory in MiB."""
    found = []
    for size in plan.sizes:
        seed(url, DataSet(size))
        with service(url, folder) as ours:
            measure(ours, "show", 1, size, 0.2)
            row: dict[str, Any] = {"aggregates": size, "memory_at_rest": memory_mib([ours.pid])}
            for scenario, concurrency in GROWING:
                measured = measure(ours, scenario, concurrency, size, plan.seconds)
                row[scenario] = {**dataclasses.asdict(measured), "rate": measured.rate}
            with_list = measure(ours, "list", 1, size, 1, changer(ours))
            row["list_changed"] = {**dataclasses.asdict(with_list), "rate": with_list.rate}
            row["memory_after_lists"] = memory_mib([ours.pid])
        found.append(row)
        rates = "  ".join(f"{name} {row[name]['rate']:.0f}/s" for name, _ in GROWING)
        print(
            f"{size:6} aggregates: {rates}  list, changed {row['list_changed']['p50_ms']:.1f} ms  "
            f"memory {row['memory_at_rest']:.0f} to {row['memory_after_lists']:.0f} MiB",
            flush=True,
        )
    return found


def machine() -> dict[str, Any]:
    """What may be told of the machine without naming it."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def run(kind: str, plan: Plan, parts: list[str]) -> dict[str, Any]:
    """All that is asked for over one kind of database."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as url:
        folder = Path(name)
        print(f"== {kind}, load of the machine {os.getloadavg()[0]:.1f}", flush=True)
        seed(url, DataSet(plan.aggregates))
        if "floor" in parts:
            with service(url, folder) as ours, floor(url) as bare:
                found["floor"] = [dataclasses.asdict(each) for each in pairs(ours, bare, plan)]
        if "nova" in parts and plan.nova is not None:
            with service(url, folder) as ours:
                beside = pairs(ours, plan.nova, plan)
                found["nova"] = [dataclasses.asdict(each) for each in beside]
        if "growth" in parts:
            found["growth"] = growth(url, folder, plan)
    return found


def curves(found: list[dict[str, Any]]) -> str:
    """The growth as a picture."""
    return draw(
        "Time of a request by the number of aggregates",
        "aggregates",
        "ms (median)",
        {
            name: [(row["aggregates"], row[name]["p50_ms"]) for row in found]
            for name in (*(name for name, _ in GROWING), "list_changed")
        },
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--databases", default=",".join(DATABASES), help="of %(default)s")
    add("--parts", default="floor,nova,growth", help="of %(default)s")
    add("--rounds", type=int, default=7, help="pairs of measurements (default: %(default)s)")
    add("--seconds", type=float, default=3.0, help="of each measurement (default: %(default)s)")
    add("--aggregates", type=int, default=1000, help="for the pairs (default: %(default)s)")
    add("--sizes", default="10,100,1000,10000", help="for the growth (default: %(default)s)")
    add("--nova-port", type=int, help="of a Nova that serves as many aggregates; without, no Nova")
    add("--nova-pid", type=int, help="its process, whose CPU time is counted")
    add("--nova-prefix", default="/v2.1", help="default: %(default)s")
    add("--output", type=Path, default=Path("build/benchmarks"), help="default: %(default)s")
    asked = parser.parse_args(arguments)
    if (asked.nova_port is None) != (asked.nova_pid is None):
        parser.error("--nova-port and --nova-pid go together")
    return asked


def main(arguments: list[str] | None = None) -> int:
    asked = parse(arguments)
    nova = None
    if asked.nova_port is not None:
        nova = Target(
            "nova",
            asked.nova_port,
            asked.nova_pid,
            asked.nova_prefix,
            host=lambda number: f"host-{SPARE + number:05d}",
        )
    sizes = tuple(int(size) for size in asked.sizes.split(","))
    plan = Plan(asked.rounds, asked.seconds, asked.aggregates, sizes, nova)
    asked.output.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": ["python", "-m", "benchmarks", *(arguments or sys.argv[1:])],
        "machine": machine(),
    }
    for kind in asked.databases.split(","):
        result[kind] = run(kind, plan, asked.parts.split(","))
        if "growth" in result[kind]:
            (asked.output / f"growth-{kind}.svg").write_text(curves(result[kind]["growth"]))
        (asked.output / "results.json").write_text(json.dumps(result, indent=1))
    print(f"The measurements are in {asked.output}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
