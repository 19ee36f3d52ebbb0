"""nova-aggregates-manager: runs the operations and watches the hosts."""

from nova_aggregates.cmd import green  # noqa: F401 - patches before all else

# isort: split
from collections.abc import Sequence

from nova_aggregates.cmd import common, launch
from nova_aggregates.flows.service import ManagerService

PROG = "nova-aggregates-manager"


def serve(argv: Sequence[str]) -> int:
    """Work until a signal arrives.

    :returns: the exit code.
    """
    conf = common.configure(PROG, argv)
    common.check(conf)
    common.check_locks(conf)
    common.serve_metrics(conf)
    return launch.single(conf, ManagerService(conf))


def main() -> int:
    return common.run(PROG, serve)
