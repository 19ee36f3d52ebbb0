"""Column types that mean the same on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine


class ExactString(sa.TypeDecorator[str]):
    """A string that compares and sorts by code point, trailing spaces included.

    MySQL compares without regard to case and pads with spaces unless the collation says otherwise,
    and MariaDB and MySQL name that collation differently.
    """

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.String(self.impl.length, collation="C"))
        if dialect.name != "mysql":
            return dialect.type_descriptor(sa.String(self.impl.length))
        is_mariadb = getattr(dialect, "is_mariadb", False)
        collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return dialect.type_descriptor(
            mysql.VARCHAR(self.impl.length, charset="utf8mb4", collation=collation)
        )


class LongText(sa.TypeDecorator[str]):
    """Text of up to 16 MiB; MySQL's TEXT ends at 64 KiB."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "mysql":
            return dialect.type_descriptor(sa.Text())
        return dialect.type_descriptor(mysql.MEDIUMTEXT(charset="utf8mb4"))


class Json(sa.TypeDecorator[Any]):
    """JSON kept as text: no query looks inside, and the servers' JSON types differ."""

    impl = LongText
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"), sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Instant(sa.TypeDecorator[Any]):
    """A naive UTC time with microseconds, which MySQL drops unless told otherwise."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "mysql":
            return dialect.type_descriptor(sa.DateTime())
        return dialect.type_descriptor(mysql.DATETIME(fsp=6))


def big_id() -> TypeEngine[Any]:
    """A key that outlasts 2**31 rows. SQLite numbers only INTEGER columns by itself."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
