"""Imported before the metrics: a directory through which the processes of one daemon share their
numbers, gone with the process that made it.

Set PROMETHEUS_MULTIPROC_DIR to share it with more processes, or to keep it.
"""

import atexit
import os
import shutil
import tempfile

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def _remove(directory: str, maker: int) -> None:
    if os.getpid() == maker:
        shutil.rmtree(directory, ignore_errors=True)


if VARIABLE not in os.environ:
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix="nova-aggregates-metrics-")
    atexit.register(_remove, os.environ[VARIABLE], os.getpid())
