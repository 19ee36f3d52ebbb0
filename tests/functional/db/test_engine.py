"""Transactions under contention and failure, against the real servers."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, ProgrammingError

from nova_aggregates.db import migration
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.tables import (
    aggregate_hosts,
    aggregate_metadata,
    aggregates,
    generation,
    hosts,
    operations,
    pools,
)
from nova_aggregates.exceptions import DatabaseUnavailable


class Boom(Exception):
    pass


def value(connection: Connection) -> int:
    return int(connection.execute(sa.select(generation.c.value)).scalar_one())


def increment(connection: Connection) -> None:
    """Read, then write: loses updates unless the transactions are kept apart."""
    statement = sa.select(generation.c.value).with_for_update()
    old = connection.execute(statement).scalar_one()
    connection.execute(sa.update(generation).values(value=old + 1))


def aggregate_row(name: str, live_name: str | None) -> dict[str, object]:
    return {
        "uuid": os.urandom(18).hex(),
        "name": name,
        "live_name": live_name,
        "kind": "pool",
        "state": "created",
        "generation": 1,
        "created_at": utcnow(),
    }


def host_row(name: str, port: int) -> dict[str, object]:
    return {
        "uuid": os.urandom(18).hex(),
        "name": name,
        "address": "127.0.0.1",
        "port": port,
        "username": "root",
        "secret": "x",
        "trust_insecure": True,
        "zone": "z",
        "status": "disabled",
        "maintenance_mode": "off_maintenance",
        "created_at": utcnow(),
    }


def operation_row(aggregate_id: int, running_slot: int | None) -> dict[str, object]:
    return {
        "uuid": os.urandom(18).hex(),
        "aggregate_id": aggregate_id,
        "action": "add_host",
        "parameters": {},
        "state": "running",
        "running_slot": running_slot,
        "progress": 0,
        "findings": [],
        "user_id": "u",
        "project_id": "p",
        "request_id": "r",
        "fence": 0,
        "attempts": 0,
        "created_at": utcnow(),
    }


def insert(database: Database, table: sa.Table, row: dict[str, object]) -> int:
    with database.transaction() as connection:
        result = connection.execute(sa.insert(table).values(**row))
        return int(result.inserted_primary_key[0])


class TestInvariantsOfTheTables:
    """The database itself refuses, whatever the rules above it forget."""

    def test_one_live_name(self, database: Database) -> None:
        insert(database, aggregates, aggregate_row("a", "a"))
        with pytest.raises(IntegrityError):
            insert(database, aggregates, aggregate_row("b", "a"))
        insert(database, aggregates, aggregate_row("a", None))
        insert(database, aggregates, aggregate_row("a", None))
        insert(database, aggregates, aggregate_row("A", "A"))

    def test_one_host_name_and_one_address(self, database: Database) -> None:
        insert(database, hosts, host_row("host1", 1))
        for row in (host_row("host1", 2), host_row("host2", 1)):
            with pytest.raises(IntegrityError):
                insert(database, hosts, row)

    def test_a_host_in_one_pool(self, database: Database) -> None:
        host = insert(database, hosts, host_row("host1", 1))
        first, second, third = (
            insert(database, aggregates, aggregate_row(name, name)) for name in "abc"
        )

        def member(aggregate: int, slot: int | None) -> dict[str, object]:
            return {"aggregate_id": aggregate, "host_id": host, "pool_slot": slot}

        insert(database, aggregate_hosts, member(first, host))
        for row in (member(second, host), member(first, None)):
            with pytest.raises(IntegrityError):
                insert(database, aggregate_hosts, row)
        insert(database, aggregate_hosts, member(second, None))
        insert(database, aggregate_hosts, member(third, None))

    def test_one_running_operation(self, database: Database) -> None:
        aggregate = insert(database, aggregates, aggregate_row("a", "a"))
        insert(database, operations, operation_row(aggregate, aggregate))
        with pytest.raises(IntegrityError):
            insert(database, operations, operation_row(aggregate, aggregate))
        insert(database, operations, operation_row(aggregate, None))

    def test_foreign_keys(self, database: Database) -> None:
        with pytest.raises(IntegrityError):
            insert(database, operations, operation_row(999, None))
        with pytest.raises(IntegrityError):
            insert(database, aggregate_metadata, {"aggregate_id": 999, "key": "k", "value": "v"})
        aggregate = insert(database, aggregates, aggregate_row("a", "a"))
        with pytest.raises(IntegrityError):
            insert(
                database,
                pools,
                {
                    "aggregate_id": aggregate,
                    "xen_uuid": "u",
                    "master_host_id": 999,
                    "username": "u",
                    "secret": "s",
                    "updated_at": utcnow(),
                },
            )


class TestTransaction:
    def test_an_exception_undoes_everything(self, database: Database) -> None:
        def work(connection: Connection) -> None:
            increment(connection)
            raise Boom

        with pytest.raises(Boom):
            database.run(work)
        with pytest.raises(Boom), database.transaction() as connection:
            work(connection)
        assert database.query(value) == 1

    def test_a_mistake_of_ours_is_not_repeated(self, database: Database) -> None:
        calls = []

        def work(connection: Connection) -> None:
            calls.append(1)
            connection.execute(sa.text("SELECT * FROM no_such_table"))

        with pytest.raises((ProgrammingError, sa.exc.OperationalError)):
            database.run(work)
        assert len(calls) == 1

    def test_a_unique_value_taken_meanwhile_is_looked_at_again(self, database: Database) -> None:
        outcomes = []

        def work(connection: Connection) -> None:
            found = connection.execute(
                sa.select(aggregates.c.id).where(aggregates.c.live_name == "a")
            ).first()
            outcomes.append(found is not None)
            if found is None:
                row = aggregate_row("a", "a")
                connection.execute(sa.insert(aggregates).values(**row))
                connection.execute(sa.insert(aggregates).values(**{**row, "live_name": None}))

        with pytest.raises(IntegrityError):
            database.run(work)
        assert outcomes == [False] * 4, "and in the end it is told"

    def test_readers_do_not_wait_for_a_writer(self, database: Database) -> None:
        with database.transaction() as connection:
            increment(connection)
            assert value(connection) == 2
            assert database.query(value) == 1
        assert database.query(value) == 2

    def test_no_update_is_lost(self, database: Database) -> None:
        def worker(_number: int) -> None:
            for _ in range(15):
                database.run(increment)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(worker, range(6)))
        assert database.query(value) == 1 + 6 * 15

    def test_a_deadlock_is_run_again(self, database: Database, backend: str) -> None:
        if backend == "sqlite":
            pytest.skip("SQLite has one write lock and so no deadlock")
        ids = [insert(database, aggregates, aggregate_row(name, name)) for name in "ab"]
        both_hold_one = threading.Barrier(2)
        attempts: list[int] = []

        def work(connection: Connection, order: list[int]) -> None:
            attempts.append(1)
            for number in order:
                connection.execute(
                    sa.update(aggregates)
                    .where(aggregates.c.id == number)
                    .values(generation=aggregates.c.generation + 1)
                )
                if len(attempts) <= 2 and number == order[0]:
                    both_hold_one.wait(timeout=20)

        with ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(database.run, lambda connection, o=order: work(connection, o))
                for order in (ids, ids[::-1])
            ]
            for run in runs:
                run.result(timeout=60)
        assert len(attempts) > 2
        with database.read() as connection:
            assert connection.execute(sa.select(aggregates.c.generation)).scalars().all() == [3, 3]


@pytest.fixture
def killer(database: Database, backend: str) -> Iterator[Callable[[Connection], None]]:
    """Ends the server's side of another connection."""
    if backend == "sqlite":
        pytest.skip("SQLite has no server")
    identity, kill = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(:number, 5000)"),
        "mysql": ("SELECT CONNECTION_ID()", "KILL :number"),
    }[backend]

    def end(connection: Connection) -> None:
        number = connection.execute(sa.text(identity)).scalar_one()
        with database.engine.connect() as other:
            other.execute(sa.text(kill), {"number": number})

    yield end
    database.dispose()


class TestLostConnection:
    def test_lost_while_idle(self, database: Database, backend: str, migrated_url: str) -> None:
        if backend == "sqlite":
            pytest.skip("SQLite has no server")
        database.query(value)
        others, kill = {
            "postgresql": (
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()",
                "SELECT pg_terminate_backend(:number, 5000)",
            ),
            "mysql": (
                "SELECT id FROM information_schema.processlist WHERE db = database() "
                "AND id <> connection_id()",
                "KILL :number",
            ),
        }[backend]
        outside = Database(migrated_url)
        with outside.engine.connect() as connection:
            numbers = connection.execute(sa.text(others)).scalars().all()
            assert numbers
            for number in numbers:
                connection.execute(sa.text(kill), {"number": number})
        outside.dispose()
        database.run(increment)
        assert database.query(value) == 2

    def test_lost_in_the_middle(
        self, database: Database, killer: Callable[[Connection], None]
    ) -> None:
        attempts = []

        def work(connection: Connection) -> None:
            attempts.append(1)
            increment(connection)
            if len(attempts) == 1:
                killer(connection)
            value(connection)

        database.run(work)
        assert len(attempts) == 2
        assert database.query(value) == 2, "done once"

    def test_lost_at_the_commit_is_not_repeated(
        self, database: Database, killer: Callable[[Connection], None]
    ) -> None:
        attempts = []

        def work(connection: Connection) -> None:
            attempts.append(1)
            increment(connection)
            killer(connection)

        with pytest.raises(DatabaseUnavailable):
            database.run(work)
        assert len(attempts) == 1

    def test_a_read_that_is_lost_at_its_end_is_repeated(
        self, database: Database, killer: Callable[[Connection], None]
    ) -> None:
        attempts = []

        def work(connection: Connection) -> int:
            attempts.append(1)
            found = value(connection)
            if len(attempts) == 1:
                killer(connection)
            return found

        assert database.query(work) == 1
        assert len(attempts) == 2

    def test_lost_again_and_again(
        self, database: Database, killer: Callable[[Connection], None]
    ) -> None:
        def work(connection: Connection) -> None:
            killer(connection)
            value(connection)

        with pytest.raises(DatabaseUnavailable):
            database.run(work)
        with pytest.raises(DatabaseUnavailable):
            database.query(work)
        with pytest.raises(DatabaseUnavailable), database.read() as connection:
            work(connection)


class TestUnreachable:
    @pytest.fixture
    def closed_port(self) -> Iterator[int]:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            yield taken.getsockname()[1]  # bound, but nobody listens

    @pytest.mark.parametrize("driver", ["postgresql", "mysql"])
    def test_nobody_listens(self, driver: str, closed_port: int) -> None:
        database = Database(f"{driver}://root:geheim@127.0.0.1:{closed_port}/x")
        for call in (
            lambda: database.run(value),
            lambda: database.query(value),
            lambda: migration.check(f"{driver}://root:geheim@127.0.0.1:{closed_port}/x"),
        ):
            with pytest.raises(DatabaseUnavailable) as caught:
                call()
            assert "geheim" not in str(caught.value)
            assert str(closed_port) in str(caught.value) or "127.0.0.1" in str(caught.value)

    def test_every_connection_in_use(self, migrated_url: str) -> None:
        database = Database(migrated_url, pool_size=1, max_overflow=0, pool_timeout=0)
        try:
            with database.read(), pytest.raises(DatabaseUnavailable, match="in use"):
                database.run(value)
        finally:
            database.dispose()


class TestSqlite:
    @pytest.fixture
    def url(self, sqlite_path: Path) -> str:
        url = f"sqlite:///{sqlite_path}"
        migration.sync(url)
        return url

    def test_settings(self, url: str) -> None:
        with Database(url).read() as connection:
            settings = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            }
        assert settings == {
            "journal_mode": "wal",
            "foreign_keys": 1,
            "busy_timeout": 5000,
            "synchronous": 2,
        }

    def test_a_lock_that_stays(self, url: str, sqlite_path: Path) -> None:
        database = Database(url, lock_timeout=0.2)
        with sqlite3.connect(sqlite_path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseUnavailable, match="locked"):
                database.run(increment)
            assert database.query(value) == 1
            other.execute("ROLLBACK")
        database.run(increment)
        assert database.query(value) == 2

    def test_reading_first_never_meets_a_busy_upgrade(self, url: str) -> None:
        database = Database(url, max_retries=0)

        def worker(_number: int) -> None:
            for _ in range(20):
                with database.transaction() as connection:
                    connection.execute(sa.update(generation).values(value=value(connection) + 1))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(worker, range(4)))
        assert database.query(value) == 81

    def test_one_read_sees_one_snapshot(self, url: str) -> None:
        database = Database(url)
        with database.read() as connection:
            assert value(connection) == 1
            database.run(increment)
            assert value(connection) == 1
        assert database.query(value) == 2

    def test_a_missing_directory(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path}/missing/x.sqlite")
        with pytest.raises(DatabaseUnavailable, match="unable to open"):
            database.run(value)


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore:Using fork:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(database: Database) -> None:
    with database.read() as connection:
        value(connection)
    child = os.fork()
    if child == 0:
        code = 1
        signal.alarm(20)
        try:
            for _ in range(5):
                database.run(increment)
            code = 0
        finally:
            os._exit(code)
    for _ in range(5):
        database.run(increment)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert database.query(value) == 11


GREEN = """
import eventlet
eventlet.monkey_patch()
import sqlite3, sys
import sqlalchemy as sa
from nova_aggregates.db.engine import Database
from nova_aggregates.db.tables import generation

database = Database(f"sqlite:///{sys.argv[1]}", lock_timeout=5)
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
eventlet.spawn_after(0.2, other.execute, "COMMIT")

def work(connection):
    value = connection.execute(sa.select(generation.c.value)).scalar_one()
    connection.execute(sa.update(generation).values(value=value + 1))

pool = eventlet.GreenPool()
for _ in range(20):
    pool.spawn(database.run, work)
pool.waitall()
print(database.query(lambda c: c.execute(sa.select(generation.c.value)).scalar_one()))
"""


def test_waiting_for_sqlite_lets_other_green_threads_run(sqlite_path: Path) -> None:
    """Among them the one that holds the lock: waiting inside SQLite would be waiting for ever."""
    migration.sync(f"sqlite:///{sqlite_path}")
    run = subprocess.run(
        [sys.executable, "-c", GREEN, str(sqlite_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout == "21\n", run.stderr


def test_taskflow_keeps_its_records_through_the_same_engine(database: Database) -> None:
    from taskflow.persistence import models
    from taskflow.persistence.backends.impl_sqlalchemy import SQLAlchemyBackend

    book = models.LogBook("operation")
    book.meta = {"k": ["v"]}
    backend = SQLAlchemyBackend({}, engine=database.engine)
    connection = backend.get_connection()
    connection.validate()
    connection.save_logbook(book)
    assert connection.get_logbook(book.uuid).meta == {"k": ["v"]}
    connection.destroy_logbook(book.uuid)
