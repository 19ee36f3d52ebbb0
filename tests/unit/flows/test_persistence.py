from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from taskflow import engines, states, task
from taskflow.patterns import linear_flow

from nova_aggregates.db.engine import Database
from nova_aggregates.exceptions import DatabaseUnavailable
from nova_aggregates.flows.outcome import Interrupted
from nova_aggregates.flows.persistence import Logbooks
from tests.unit.flows.bench import Bench, until
from tests.unit.flows.site import FakeSite


def rows(database: Database, table: str) -> int:
    with database.read() as connection:
        return connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()


def test_a_page_is_found_again_as_it_was_left(bench: Bench) -> None:
    page = bench.logbooks.open("operation-1", "flow")
    flow = linear_flow.Flow("flow").add(
        task.FunctorTask(lambda: {"seen": 1}, name="one", provides="facts"),
        task.FunctorTask(_interrupt, name="two"),
    )
    engine = engines.load(flow, flow_detail=page, backend=bench.logbooks.backend, engine="serial")
    with pytest.raises(Interrupted):
        engine.run()
    again = Logbooks(bench.database).open("operation-1", "flow")
    assert again.state == states.RUNNING
    assert {atom.name: atom.state for atom in again} == {
        "one": states.SUCCESS,
        "two": states.RUNNING,
    }


def _interrupt() -> None:
    raise Interrupted("killed")


def test_a_page_of_another_flow_is_replaced(bench: Bench) -> None:
    bench.logbooks.open("operation-1", "flow")
    assert bench.logbooks.open("operation-1", "another").name == "another"
    assert rows(bench.database, "flowdetails") == 1


def test_a_closed_book_leaves_no_row(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"), bench.add(blue, "h2"), bench.remove(blue, "h1"))
    until(lambda: not bench.runners[0].busy)
    for table in ("logbooks", "flowdetails", "atomdetails"):
        assert rows(bench.database, table) == 0
    bench.logbooks.close("operation-1")  # one that is not there


def test_no_password_is_written_in_the_clear(bench: Bench, site: FakeSite, tmp_path: Path) -> None:
    """In the middle of a join, when everything that TaskFlow keeps is there."""
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h2"].delay = 10**9
    uuid = bench.add(blue, "h2")
    until(lambda: bench.operation(uuid).step == "await_member")
    assert rows(bench.database, "atomdetails") == 8
    for path in tmp_path.iterdir():
        if path.is_file():
            assert b"secret-of-" not in path.read_bytes(), path
    site["h2"].arrives_in = 1
    bench.succeeded(uuid)


def test_many_writers_at_once(bench: Bench) -> None:
    """SQLite has one writer at a time; none of them may see "database is locked"."""
    problems: list[Exception] = []

    def work(number: int) -> None:
        try:
            page = bench.logbooks.open(f"operation-{number}", "flow")
            steps = [task.FunctorTask(lambda: None, name=str(step)) for step in range(5)]
            flow = linear_flow.Flow("flow").add(*steps)
            backend = bench.logbooks.backend
            engines.load(flow, flow_detail=page, backend=backend, engine="serial").run()
            bench.logbooks.close(f"operation-{number}")
        except Exception as problem:  # noqa: BLE001
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_database_that_is_away_is_told_as_such(bench: Bench) -> None:
    gone = Database(f"sqlite:///{bench.path.parent}/missing/service.sqlite")
    with pytest.raises(DatabaseUnavailable):
        Logbooks(gone).open("operation-1", "flow")
