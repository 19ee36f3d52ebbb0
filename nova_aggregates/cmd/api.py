"""nova-aggregates-api: the HTTP server alone, with its worker processes."""

from nova_aggregates.cmd import green  # noqa: F401 - patches before all else

# isort: split
from collections.abc import Sequence

from nova_aggregates.api.server import ApiServer
from nova_aggregates.cmd import common, launch

PROG = "nova-aggregates-api"


def serve(argv: Sequence[str]) -> int:
    """Serve until a signal arrives.

    :returns: the exit code.
    """
    conf = common.configure(PROG, argv)
    common.check(conf)
    server = ApiServer(conf)
    if conf.api.workers == 1:
        return launch.single(conf, server)
    return launch.prefork(conf, [(server, conf.api.workers)])


def main() -> int:
    return common.run(PROG, serve)
