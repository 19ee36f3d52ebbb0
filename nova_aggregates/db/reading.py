"""Reads that cost little more than the driver: the statement's text is made once, the rows are
plain tuples, and long results let other green threads run in between.

SQLAlchemy's own execution costs several times what the database itself needs for a row or two.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Select

ROWS_AT_A_TIME = 500  # a few milliseconds' worth

Rows = list[tuple[Any, ...]]
# The SQL, the parameters that the statement itself has, and the order of all of them where the
# driver knows no names.
_Text = tuple[str, Mapping[str, Any], tuple[str, ...] | None]


class Question:
    """A SELECT with named parameters, asked over and over.

    :param long: the result may have thousands of rows. MySQL's driver then reads them as they
        arrive; it would spend tens of milliseconds on them in one go otherwise.
    """

    def __init__(self, statement: Select, *, long: bool = False) -> None:
        self._statement = statement
        self._long = long
        self._texts: dict[Dialect, _Text] = {}

    def ask(self, dialect: Dialect, raw: Any, values: Mapping[str, Any]) -> Rows:
        """All rows, as the driver returns them (see :func:`instant`).

        :param raw: a connection of the driver, or the pool's cover of one.
        :raises DBAPIError: as SQLAlchemy raises it.
        """
        text, constants, order = self._text(dialect)
        given = {**constants, **values}
        with translated(dialect, raw), contextlib.closing(self._cursor(dialect, raw)) as cursor:
            cursor.execute(text, given if order is None else [given[name] for name in order])
            return _all(cursor)

    def _text(self, dialect: Dialect) -> _Text:
        found = self._texts.get(dialect)
        if found is None:
            compiled: Any = self._statement.compile(dialect=dialect)
            order = tuple(compiled.positiontup) if compiled.positional else None
            found = self._texts[dialect] = (str(compiled), compiled.params, order)
        return found

    def _cursor(self, dialect: Dialect, raw: Any) -> Any:
        if self._long and dialect.name == "mysql":
            from pymysql.cursors import SSCursor

            return raw.cursor(SSCursor)
        return raw.cursor()


@contextlib.contextmanager
def translated(dialect: Dialect, raw: Any) -> Iterator[None]:
    """Errors of the driver become SQLAlchemy's, which say whether the connection is lost."""
    dbapi: Any = dialect.dbapi
    try:
        yield
    except dbapi.Error as error:
        raise DBAPIError.instance(
            None,
            None,
            error,
            dbapi.Error,
            hide_parameters=True,
            connection_invalidated=dialect.is_disconnect(error, raw, None),
            dialect=dialect,
        ) from error


def _all(cursor: Any) -> Rows:
    rows: Rows = list(cursor.fetchmany(ROWS_AT_A_TIME))
    if len(rows) < ROWS_AT_A_TIME:
        return rows
    while found := cursor.fetchmany(ROWS_AT_A_TIME):
        rows += found
        time.sleep(0)  # somebody else's turn
    return rows


def in_turns(rows: Rows) -> Iterator[Rows]:
    """``rows`` in batches; between two of them other green threads run."""
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        if start:
            time.sleep(0)
        yield rows[start : start + ROWS_AT_A_TIME]


def instant(value: Any) -> Any:
    """A time, or None, out of a row of a :class:`Question`. SQLite keeps times as text."""
    return datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
