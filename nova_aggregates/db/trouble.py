"""What a database error means for the transaction that met it."""

from __future__ import annotations

import enum

from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from nova_aggregates.exceptions import DatabaseUnavailable

RETRY_AFTER = 5  # seconds that a client is asked to wait


class WriteLockTimeout(SQLAlchemyError):
    """SQLite's one write lock was not free in time."""


class Trouble(enum.Enum):
    CONFLICT = "rolled back because of another transaction; may be run again"
    TAKEN = "a unique value or a referenced row changed meanwhile; may be run again"
    LOST = "the connection broke; nothing was committed unless the commit was under way"
    MOVED = "this server only reads any more; new connections may lead to another one"
    UNREACHABLE = "no connection"
    DEFECT = "our own mistake"


# https://www.postgresql.org/docs/current/errcodes-appendix.html
POSTGRESQL = {
    "40001": Trouble.CONFLICT,  # serialization_failure
    "40P01": Trouble.CONFLICT,  # deadlock_detected
    "55P03": Trouble.CONFLICT,  # lock_not_available
    "25006": Trouble.MOVED,  # read_only_sql_transaction
    "57P01": Trouble.LOST,  # admin_shutdown
    "57P02": Trouble.LOST,  # crash_shutdown
    "57P03": Trouble.UNREACHABLE,  # cannot_connect_now
    "53300": Trouble.UNREACHABLE,  # too_many_connections
}
# https://mariadb.com/kb/en/mariadb-error-codes/
MYSQL = {
    1205: Trouble.CONFLICT,  # lock wait timeout
    1213: Trouble.CONFLICT,  # deadlock, or a write that Galera could not certify
    1020: Trouble.CONFLICT,  # record has changed since last read
    1290: Trouble.MOVED,  # --read-only
    1792: Trouble.MOVED,  # read-only transaction
    1836: Trouble.MOVED,  # read-only mode
    1040: Trouble.UNREACHABLE,  # too many connections
    1047: Trouble.UNREACHABLE,  # Galera node has not yet prepared itself
    1053: Trouble.LOST,  # shutdown in progress
    1927: Trouble.LOST,  # connection was killed
    2003: Trouble.UNREACHABLE,
    2006: Trouble.LOST,
    2013: Trouble.LOST,
    2055: Trouble.LOST,
}


def trouble_of(error: SQLAlchemyError) -> Trouble:
    """What kind of trouble ``error`` is."""
    if isinstance(error, PoolTimeout | WriteLockTimeout):
        return Trouble.UNREACHABLE
    if isinstance(error, DisconnectionError):
        return Trouble.LOST
    if not isinstance(error, DBAPIError):
        return Trouble.DEFECT
    known = _by_code(error)
    if known is not None:
        return known
    if error.connection_invalidated:
        return Trouble.LOST
    if isinstance(error, IntegrityError):
        return Trouble.TAKEN
    # Without a statement it was the attempt to connect.
    if error.statement is None and isinstance(error, OperationalError | InterfaceError):
        return Trouble.UNREACHABLE
    return Trouble.DEFECT


def _by_code(error: DBAPIError) -> Trouble | None:
    original = error.orig
    code = getattr(original, "pgcode", None)
    if code is not None:
        return POSTGRESQL.get(code)
    first = original.args[0] if original is not None and original.args else None
    if isinstance(first, int) and isinstance(error, OperationalError | InternalError):
        return MYSQL.get(first)
    text = str(first)
    if text.startswith("database") and "locked" in text:
        return Trouble.CONFLICT
    if "unable to open database file" in text or "disk I/O error" in text:
        return Trouble.UNREACHABLE
    if "readonly database" in text or "database or disk is full" in text:
        return Trouble.UNREACHABLE
    return None


def as_fact(error: SQLAlchemyError) -> Exception:
    """The exception to raise for ``error``: ours when the database is at fault, else itself."""
    if trouble_of(error) in (Trouble.DEFECT, Trouble.TAKEN):
        return error
    return DatabaseUnavailable(reason=_reason(error), retry_after=RETRY_AFTER)


def _reason(error: SQLAlchemyError) -> str:
    if isinstance(error, WriteLockTimeout):
        return "another process keeps it locked"
    if isinstance(error, PoolTimeout):
        return "every connection of the pool is in use"
    original = error.orig if isinstance(error, DBAPIError) else error
    text = str(original.args[-1]).strip() if original is not None and original.args else ""
    return text.splitlines()[0] if text else type(error).__name__
