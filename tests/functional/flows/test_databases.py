"""The runner and TaskFlow's logbooks on every database that is supported."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova_aggregates.db.engine import Database
from nova_aggregates.objects import Trust
from tests.databases import backend, database, migrated_url, shared_database
from tests.unit.flows.bench import FAST, Bench, until
from tests.unit.flows.site import FakeSite

__all__ = ["backend", "database", "migrated_url", "shared_database"]


@pytest.fixture
def fake() -> FakeSite:
    return FakeSite(8)


@pytest.fixture
def bench(tmp_path: Path, template: Path, fake: FakeSite, database: Database) -> Iterator[Bench]:
    bench = Bench(tmp_path, template, fake, database)
    for host in fake.hosts:
        bench.register(
            host.name,
            host.address,
            host.pool.password,
            trust=Trust(fingerprint=host.fingerprint),
        )
    yield bench
    bench.close()


def test_two_runners_that_die_again_and_again(bench: Bench, fake: FakeSite) -> None:
    fake.kills = random.Random(4)
    # Managers that die hold things up, and a busy machine more so: only the end counts here.
    # Few looks a wait: each may be the last.
    patient = dataclasses.replace(FAST, poll=0.05, join=30.0, eject=30.0, handover=30.0)
    bench.start(patient)
    bench.start(patient)
    uuids = []
    for number in range(4):
        pool = bench.aggregate(f"pool{number}")
        first, second = f"h{2 * number + 1}", f"h{2 * number + 2}"
        uuids += [bench.add(pool, first), bench.add(pool, second), bench.remove(pool, first)]
    bench.succeeded(*uuids, seconds=60)
    for number in range(4):
        first, second = (fake[f"h{2 * number + each}"] for each in (1, 2))
        assert first.pool.hosts == [first]
        assert second.pool.hosts == [second]
        assert second.pool.name == f"pool{number}"
    until(lambda: not any(runner.busy for runner in bench.runners))
    with bench.database.read() as connection:
        for table in ("logbooks", "flowdetails", "atomdetails"):
            found = connection.execute(sa.text(f"SELECT count(*) FROM {table}"))
            assert found.scalar_one() == 0
