"""Connections and transactions, the same on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from nova_aggregates.db.trouble import Trouble, WriteLockTimeout, as_fact, trouble_of
from nova_aggregates.db.url import parse_url

T = TypeVar("T")

CONNECT_TIMEOUT = 10  # seconds
LOCK_TIMEOUT = 10.0  # seconds
BUSY_TIMEOUT_MS = 5000
RUN_DEADLINE = 15.0  # seconds after which a transaction is not run again
LOST_RETRIES = 2  # a server that restarts is found again at once, or the caller is told
TAKEN_RETRIES = 3  # a unique value that somebody else took: look again, which names the fact

READ = "nova_aggregates_read"


class Database:
    """One pool of connections to the database at ``url``.

    :param lock_timeout: seconds that a transaction waits for another one.

    :raises ConfigurationInvalid: ``url`` is malformed, in-memory SQLite, or lacks its driver.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 5,
        max_overflow: int = 20,
        pool_timeout: int = 10,
        max_retries: int = 10,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self._max_retries = max_retries
        self._engine = make_engine(
            url,
            lock_timeout=lock_timeout,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=pool_timeout,
        )
        self._reader = self._engine.execution_options(**{READ: True})
        _databases.add(self)

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Database:
        """The database of the group [database]."""
        group = conf.database
        return cls(
            group.connection,
            pool_size=group.pool_size,
            max_overflow=group.max_overflow,
            pool_timeout=group.pool_timeout,
            max_retries=group.max_retries,
        )

    @property
    def engine(self) -> Engine:
        """For libraries that keep their own tables here (TaskFlow's persistence)."""
        return self._engine

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that writes; committed unless the block raises.

        :raises DatabaseUnavailable: the database cannot be reached, or stays locked.
        """
        with _facts(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reads; on SQLite all of them see one snapshot.

        :raises DatabaseUnavailable: the database cannot be reached.
        """
        with _facts(), self._reader.connect() as connection:
            yield connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, done in one transaction.

        It is run again from the start when the transaction met a deadlock, a serialization failure,
        a lock, a unique value that somebody else took meanwhile, or a connection lost before the
        commit was sent. A connection lost during the commit is not: the outcome is unknown.

        :raises DatabaseUnavailable: it did not succeed within ``max_retries``.
        """
        return self._repeat(self._engine, work)

    def query(self, work: Callable[[Connection], T]) -> T:
        """Like :meth:`run` for work that only reads."""
        return self._repeat(self._reader, work)

    def dispose(self) -> None:
        """Close every idle connection."""
        self._engine.dispose()

    def _repeat(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        attempt = 0
        deadline = time.monotonic() + RUN_DEADLINE
        while True:
            attempt += 1
            committing = False
            try:
                with engine.begin() as connection:
                    result = work(connection)
                    committing = engine is not self._reader  # the end of a read changes nothing
                return result
            except SQLAlchemyError as error:
                trouble = trouble_of(error)
                if committing and trouble is Trouble.LOST:
                    trouble = Trouble.UNREACHABLE
                if attempt > self._allowed(trouble) or time.monotonic() > deadline:
                    raise as_fact(error) from error
            if trouble is Trouble.MOVED:
                self._engine.dispose()
            # Seconds; two that collided must not meet again.
            time.sleep(random.uniform(0, min(0.005 * 2**attempt, 0.5)))  # noqa: S311

    def _allowed(self, trouble: Trouble) -> int:
        return {
            Trouble.CONFLICT: self._max_retries,
            Trouble.TAKEN: min(TAKEN_RETRIES, self._max_retries),
            Trouble.LOST: min(LOST_RETRIES, self._max_retries),
            Trouble.MOVED: min(LOST_RETRIES, self._max_retries),
        }.get(trouble, 0)


@contextlib.contextmanager
def _facts() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise as_fact(error) from error


def make_engine(url: str, *, lock_timeout: float = LOCK_TIMEOUT, **options: Any) -> Engine:
    """An engine with the settings that this package relies on; see :class:`Database`."""
    parsed = parse_url(url)
    dialect = parsed.get_backend_name()
    arguments: dict[str, Any] = {}
    if dialect == "sqlite":
        arguments = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
        if options.get("poolclass") is None:
            options["poolclass"] = sa.pool.QueuePool
    elif dialect == "postgresql":
        arguments = {
            "connect_timeout": CONNECT_TIMEOUT,
            "options": f"-c lock_timeout={int(lock_timeout * 1000)}",
        }
    elif dialect == "mysql":
        # Repeatable read would take gap locks, on which two inserts deadlock.
        options["isolation_level"] = "READ COMMITTED"
        options["pool_recycle"] = 1800
        arguments = {
            "connect_timeout": CONNECT_TIMEOUT,
            "charset": "utf8mb4",
            "init_command": "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,"
            "ERROR_FOR_DIVISION_BY_ZERO', "
            f"SESSION innodb_lock_wait_timeout={max(1, int(lock_timeout))}",
        }
    options.setdefault("future", True)
    for name in parsed.query:
        arguments.pop(name, None)
    engine = sa.create_engine(parsed, connect_args=arguments, hide_parameters=True, **options)
    if dialect == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", partial(_begin_sqlite, lock_timeout))
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own BEGIN comes too late (at the first write) and never before DDL.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(lock_timeout: float, connection: Connection) -> None:
    if connection.get_execution_options().get(READ):
        connection.exec_driver_sql("BEGIN")
        return
    # A transaction that reads first and writes later cannot be upgraded while another one writes;
    # so it takes the write lock at once. Waiting inside SQLite would stop every green thread,
    # the one that holds the lock included.
    deadline = time.monotonic() + lock_timeout
    raw = connection.connection.dbapi_connection
    pause = 0.0005
    raw.execute("PRAGMA busy_timeout=0").close()
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE").close()
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise OperationalError("BEGIN IMMEDIATE", {}, error) from error
                if time.monotonic() > deadline:
                    raise WriteLockTimeout from None
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311
            pause = min(pause * 1.5, 0.02)
    finally:
        raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}").close()


_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _forget_connections() -> None:
    for database in _databases:
        database._engine.dispose(close=False)


# A connection shared with the parent process would mix the answers of both.
os.register_at_fork(after_in_child=_forget_connections)
