"""nova-aggregates-all: the API's workers and the manager in one command."""

from nova_aggregates.cmd import green  # noqa: F401 - patches before all else

# isort: split
from collections.abc import Sequence

from nova_aggregates.api.server import ApiServer
from nova_aggregates.cmd import common, launch
from nova_aggregates.flows.service import ManagerService

PROG = "nova-aggregates-all"


def serve(argv: Sequence[str]) -> int:
    """Serve and work until a signal arrives.

    :returns: the exit code.
    """
    conf = common.configure(PROG, argv)
    common.check(conf)
    common.check_locks(conf)
    api = ApiServer(conf)
    return launch.prefork(conf, [(api, conf.api.workers), (ManagerService(conf), 1)])


def main() -> int:
    return common.run(PROG, serve)
