"""Real lock services for tests: files, Redis, etcd, and the servers of :mod:`tests.databases`.

The servers are those of ``NOVA_AGGREGATES_TEST_REDIS`` and ``NOVA_AGGREGATES_TEST_ETCD`` (URLs of
tooz). One that does not answer is skipped with the reason, or fails when
``NOVA_AGGREGATES_REQUIRE_ALL=1``.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.databases import REQUIRE_ALL, temporary_database

KINDS = ("file", "redis", "etcd", "postgresql", "mysql")
SERVERS = {
    "redis": os.environ.get("NOVA_AGGREGATES_TEST_REDIS", "redis://127.0.0.1:6379"),
    "etcd": os.environ.get("NOVA_AGGREGATES_TEST_ETCD", "etcd3+http://127.0.0.1:2379"),
}


@contextlib.contextmanager
def lock_service(kind: str, directory: Path, lock_timeout: int = 30) -> Iterator[str]:
    """The URL of a lock service. What is in Redis and etcd is shared with other tests: take a
    namespace of your own."""
    if kind == "file":
        yield f"file://{directory}/locks"
    elif kind in SERVERS:
        _require(kind)
        separator = "&" if "?" in SERVERS[kind] else "?"
        yield f"{SERVERS[kind]}{separator}lock_timeout={lock_timeout}"
    else:
        with temporary_database(kind, directory) as url:
            scheme, _, rest = url.partition("://")
            yield f"{scheme.partition('+')[0]}://{rest}"


def _require(kind: str) -> None:
    parts = urlsplit(SERVERS[kind])
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), 2).close()
    except OSError as error:
        reason = f"no {kind} server for tests: {error}"
        if REQUIRE_ALL:
            pytest.fail(reason)
        pytest.skip(reason)
