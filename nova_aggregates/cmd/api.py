"""nova-aggregates-api: the HTTP server alone, with its worker processes."""

from nova_aggregates.cmd import green  # noqa: F401 - patches before all else

# isort: split
from collections.abc import Sequence

from oslo_service import service

from nova_aggregates.api.server import ApiServer
from nova_aggregates.cmd import common

PROG = "nova-aggregates-api"


def serve(argv: Sequence[str]) -> int:
    """Serve until a signal arrives.

    :returns: the exit code.
    """
    conf = common.configure(PROG, argv)
    common.check(conf)
    server = ApiServer(conf)
    launcher = service.launch(conf, server, workers=conf.api.workers, restart_method="mutate")
    return launcher.wait() or 0


def main() -> int:
    return common.run(PROG, serve)
