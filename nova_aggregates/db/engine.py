"""Connections and transactions, the same on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from nova_aggregates.db.reading import Question, Rows, translated
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
# Isolation of the transactions that write: the locks of each row say who comes first. Repeatable
# read would take gap locks in MySQL, on which two inserts deadlock.
WRITE_ISOLATION = "READ COMMITTED"
REPEATABLE_READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"  # of the next one only

Ask = Callable[..., Rows]  # a Question and its parameters by name -> its rows


class Database:
    """One pool of connections to the database at ``url``.

    :param lock_timeout: seconds that a transaction waits for another one.

    :raises ConfigurationInvalid: ``url`` is malformed, in-memory SQLite, or lacks its driver.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        max_overflow: int = 15,
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
        # A short question waits for one of the connections that stay open: opening another one,
        # only to close it again, takes longer than all the questions before it.
        self._asking = threading.BoundedSemaphore(pool_size)
        self._pool_timeout = pool_timeout
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
        """A connection for reads; all of them see one snapshot.

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

    def ask(self, question: Question, **values: Any) -> Rows:
        """The rows of one SELECT, the cheapest read there is.

        :raises DatabaseUnavailable: it did not succeed within ``max_retries``.
        """
        return self._until_done(partial(self._ask, question, values))

    def snapshot(self, work: Callable[[Ask], T]) -> T:
        """What ``work`` makes of several questions that see the same state of the database. It is
        run again like the work of :meth:`query`.

        :raises DatabaseUnavailable: it did not succeed within ``max_retries``.
        """

        def ask_all() -> T:
            with self._borrowed() as raw:
                dialect = self._engine.dialect
                with translated(dialect, raw):
                    _begin_snapshot(dialect, raw)
                result = work(lambda question, **values: question.ask(dialect, raw, values))
                with translated(dialect, raw):
                    raw.rollback()
                return result

        return self._until_done(ask_all)

    def _ask(self, question: Question, values: Mapping[str, Any]) -> Rows:
        if not self._asking.acquire(timeout=self._pool_timeout):
            raise PoolTimeout("too many questions at once")
        try:
            with self._borrowed() as raw:
                return question.ask(self._engine.dialect, raw, values)
        finally:
            self._asking.release()

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Any]:
        """A connection of the pool without SQLAlchemy's cover; it is in no transaction."""
        borrowed = self._engine.raw_connection()
        try:
            yield borrowed
        except SQLAlchemyError as error:
            if trouble_of(error) is Trouble.LOST:
                borrowed.invalidate(error)
                # The others are as old, and their other end is likely gone as well.
                self._engine.dispose()
            raise
        except BaseException as reason:
            if not isinstance(reason, Exception):
                # A green thread was killed, perhaps in the middle of an answer.
                borrowed.invalidate()
            raise
        finally:
            borrowed.close()

    def _until_done(self, attempt_once: Callable[[], T]) -> T:
        """The same as :meth:`_repeat` for what cannot change anything."""
        attempt = 0
        deadline = time.monotonic() + RUN_DEADLINE
        while True:
            try:
                return attempt_once()
            except SQLAlchemyError as error:
                attempt += 1
                self._before_another(error, attempt, deadline)

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
                self._before_another(error, attempt, deadline, committing=committing)

    def _before_another(
        self, error: SQLAlchemyError, attempt: int, deadline: float, *, committing: bool = False
    ) -> None:
        """Wait before the next attempt, or raise what the failure of this one means."""
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
    future = options.setdefault("future", True)
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
        options["pool_recycle"] = 1800
        arguments = {
            "connect_timeout": CONNECT_TIMEOUT,
            "charset": "utf8mb4",
            "init_command": "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,"
            "ERROR_FOR_DIVISION_BY_ZERO', "
            f"SESSION innodb_lock_wait_timeout={max(1, int(lock_timeout))}",
        }
    for name in parsed.query:
        arguments.pop(name, None)
    if future:
        # Returned connections are reset by _reset, at no cost where there is nothing to reset.
        options["pool_reset_on_return"] = None
    engine = sa.create_engine(parsed, connect_args=arguments, hide_parameters=True, **options)
    for name, listener in _listeners(dialect, lock_timeout, future):
        event.listen(engine, name, listener)
    return engine


def _listeners(
    dialect: str, lock_timeout: float, future: bool
) -> Iterator[tuple[str, Callable[..., None]]]:
    if dialect == "sqlite":
        yield "connect", _prepare_sqlite
        yield "begin", partial(_begin_sqlite, lock_timeout)
    elif future and dialect == "postgresql":
        yield "connect", _prepare_postgresql
        yield "begin", _begin_postgresql
    elif dialect == "mysql":
        yield "connect", partial(_prepare_mysql, future)
        if future:
            yield "begin", _begin_mysql
    if future:
        yield "reset", partial(_reset, dialect)


def _begin_snapshot(dialect: Dialect, raw: Any) -> None:
    """Begin a transaction on a connection without SQLAlchemy's cover."""
    if dialect.name == "postgresql":
        raw.dbapi_connection.set_session(isolation_level="REPEATABLE READ", autocommit=False)
        return
    with contextlib.closing(raw.cursor()) as cursor:
        if dialect.name == "mysql":
            cursor.execute(REPEATABLE_READ)
        cursor.execute("BEGIN")


def _reset(dialect: str, cover: Any, _record: object) -> None:
    """Before a connection goes back to the pool. The drivers know by themselves whether a
    transaction is open, so nothing has to be sent when none is."""
    raw = cover.dbapi_connection
    if dialect == "sqlite":
        if raw.in_transaction:
            raw.rollback()
    elif dialect == "postgresql":
        if raw.closed:
            return
        if raw.get_transaction_status() != IDLE:
            raw.rollback()
        if not raw.autocommit:
            # In two steps, of which none is sent to the server.
            raw.set_session(isolation_level="DEFAULT")
            raw.autocommit = True
    elif raw.open and raw.server_status & IN_TRANSACTION:
        raw.rollback()


IDLE = 0  # https://www.postgresql.org/docs/current/libpq-status.html PQTRANS_IDLE
IN_TRANSACTION = 1  # https://mariadb.com/kb/en/ok_packet/ SERVER_STATUS_IN_TRANS


def _prepare_postgresql(raw: Any, _record: object) -> None:
    raw.autocommit = True  # a lone SELECT then needs no BEGIN


def _begin_postgresql(connection: Connection) -> None:
    raw = connection.connection.dbapi_connection
    reads = connection.get_execution_options().get(READ)
    level = "REPEATABLE READ" if reads else WRITE_ISOLATION
    raw.set_session(isolation_level=level, autocommit=False)  # said at the next statement


def _prepare_mysql(autocommit: bool, raw: Any, _record: object) -> None:
    with raw.cursor() as cursor:
        cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {WRITE_ISOLATION}")
    raw.autocommit(autocommit)


def _begin_mysql(connection: Connection) -> None:
    if connection.get_execution_options().get(READ):
        connection.exec_driver_sql(REPEATABLE_READ)
    connection.exec_driver_sql("BEGIN")


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
