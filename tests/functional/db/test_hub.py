"""Nothing stops the green threads of a process for long, on any database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.seed import DataSet, seed
from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from tests.databases import empty_tables

BLOCKED_MS = 20


@pytest.fixture
def many(empty_url: str) -> Iterator[str]:
    """The URL of a database with 1,000 aggregates."""
    migration.sync(empty_url)
    seed(empty_url, DataSet(aggregates=1000))
    yield empty_url
    database = Database(empty_url)
    empty_tables(database)
    database.dispose()


def test_the_hub_is_never_blocked(many: str, backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.functional.db.hub", many],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["longest_ms"] < BLOCKED_MS
    if backend != "sqlite":
        assert told["turns_while_waiting"] > 100
