"""Commands for a running simulator's control port.

``python -m nova_aggregates.simulator.remote PORT reset`` and
``python -m nova_aggregates.simulator.remote PORT fault VERB HOST``; made to be given to tools that
run a command to reset a site or to do something to one of its machines.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from collections.abc import Sequence

from nova_aggregates.simulator.changes import VERBS
from nova_aggregates.simulator.control import ADDRESS

TIMEOUT = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nova_aggregates.simulator.remote", description=__doc__)
    parser.add_argument("port", type=int, help="the simulator's --control-port")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("reset", help="all hosts fresh and standalone again")
    fault = commands.add_parser("fault", help="do something to a machine")
    fault.add_argument("verb", choices=sorted(VERBS))
    fault.add_argument("host", help="a name, a letter (A is the first host) or a number from 1")
    options = parser.parse_args(arguments)
    given = {} if options.command == "reset" else {"verb": options.verb, "host": options.host}
    try:
        status, answer = post(options.port, f"/{options.command}", given)
    except OSError as error:
        print(f"no simulator answers at {ADDRESS}:{options.port}: {error}", file=sys.stderr)
        return 1
    if status != http.client.OK:
        print(answer.get("error", "refused"), file=sys.stderr)
        return 1
    return 0


def post(port: int, path: str, given: dict[str, str]) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=TIMEOUT)
    try:
        connection.request("POST", path, json.dumps(given))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
