"""``nova-aggregates-simulator --export FILE --from URL``."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from nova_aggregates.simulator import exporter, site_file
from nova_aggregates.simulator.exporter import CannotExport
from nova_aggregates.simulator.spec import SiteSpec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("export of a site file, instead of serving")
    add = group.add_argument
    add("--export", metavar="FILE", help="write the site file of what --from names; -: to stdout")
    add(
        "--from",
        dest="sources",
        action="append",
        default=[],
        metavar="URL",
        help="http://127.0.0.1:PORT, the control API of a running simulation; or https://ADDRESS, "
        "the master of a real pool, of which only records are read; may be repeated for pools",
    )
    add("--user", default="root", help="for real pools; any role will do (default root)")
    add("--password-file", type=Path, metavar="FILE", help="its password (default: ask for it)")
    add("--trust", type=Path, metavar="FILE", help="certificates to trust (default: any)")
    add("--zone", default="nova", help="the zone of the exported hosts (default nova)")


def run(options: argparse.Namespace) -> None:
    """Raises CannotExport, OSError."""
    if not options.sources:
        raise CannotExport("--export needs --from: a simulation's control API, or a pool's master")
    text = site_file.dumps(_read(options))
    if options.export == "-":
        sys.stdout.write(text)
        return
    path = Path(options.export)
    draft = path.with_name(path.name + ".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _read(options: argparse.Namespace) -> SiteSpec:
    kinds = {url.split("://", 1)[0] for url in options.sources}
    if kinds == {"http"} and len(options.sources) == 1:
        return exporter.of_control(options.sources[0])
    if kinds != {"https"}:
        raise CannotExport("--from wants one http:// of a simulation, or https:// of pool masters")
    password = _password(options)
    trust, zone = options.trust, options.zone
    return exporter.combine(
        exporter.of_pool(url, options.user, password, trust=trust, zone=zone)
        for url in options.sources
    )


def _password(options: argparse.Namespace) -> str:
    if options.password_file is not None:
        return options.password_file.read_text(encoding="utf-8").rstrip("\n")
    if not os.isatty(sys.stdin.fileno()):
        raise CannotExport("give --password-file, or run it where it can ask for the password")
    return getpass.getpass(f"Password of {options.user}: ")
