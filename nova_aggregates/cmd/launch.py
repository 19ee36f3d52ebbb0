"""oslo.service's launchers, stopped by SIGINT as gently as by SIGTERM.

Their own way with SIGINT is to exit at once, with code 1 and with requests unanswered.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from types import FrameType

from oslo_config import cfg
from oslo_service import service

IDLE_SECONDS = 0.1  # between two looks of the parent for children that ended


class _Single(service.ServiceLauncher):
    def _fast_exit(self, signo: int, frame: FrameType | None) -> None:
        self._graceful_shutdown(signo, frame)


class _Parent(service.ProcessLauncher):
    def _fast_exit(self, signo: int, frame: FrameType | None) -> None:
        # Ctrl-C reaches the children, too; there the parent's SIGTERM decides.
        if self.launcher is None:
            self._handle_term(signo, frame)


def single(conf: cfg.ConfigOpts, what: service.ServiceBase) -> int:
    """Run one service in this process until a signal arrives; the exit code."""
    launcher = _Single(conf, restart_method="mutate")
    launcher.launch_service(what)
    return launcher.wait() or 0


def prefork(conf: cfg.ConfigOpts, services: Sequence[tuple[service.ServiceBase, int]]) -> int:
    """Run services in child processes, the given number of each, until a signal arrives.

    :returns: the exit code.
    """
    launcher = _Parent(conf, wait_interval=IDLE_SECONDS, restart_method="mutate")
    for what, workers in services:
        launcher.launch_service(what, workers=workers)
    launcher.wait()
    return 0 if launcher.sigcaught in (None, signal.SIGTERM, signal.SIGINT) else 1
