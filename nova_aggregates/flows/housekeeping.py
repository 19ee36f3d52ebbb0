"""Forgets what is kept for a limited time only."""

from __future__ import annotations

import logging
import threading

from nova_aggregates.exceptions import DatabaseUnavailable
from nova_aggregates.manager.operations import OperationManager

LOG = logging.getLogger(__name__)
INTERVAL = 3600.0  # seconds


class Housekeeping:
    """:param interval: seconds between two rounds."""

    def __init__(self, operations: OperationManager, interval: float = INTERVAL) -> None:
        self._operations = operations
        self._interval = interval
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin, in the background. Nobody needs to wait for its end."""
        threading.Thread(target=self._loop, name="housekeeping", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                forgotten = self._operations.purge()
                if forgotten:
                    LOG.info("housekeeping.purged idempotency_keys=%s", forgotten)
            except DatabaseUnavailable as reason:
                LOG.debug("housekeeping.waits reason=%s", reason)
            except Exception:
                LOG.exception("housekeeping.defect")
            self._stop.wait(self._interval)
