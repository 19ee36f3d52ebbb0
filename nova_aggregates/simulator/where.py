"""The expressions of get_all_records_where (db/db_filter_parse.mly, db_filter_lex.mll)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nova_aggregates.simulator.datamodel import Field
from nova_aggregates.simulator.errors import ApiError

Test = Callable[[str, dict[str, Any]], bool]
Operand = Callable[[dict[str, Any]], str]

TOKEN = re.compile(
    r'\s*(?:(?P<word>field|and|or|not|true|false)|(?P<text>"[^"]*")|(?P<mark>[()=]))'
)
SYNTAX = "Xapi_database.Db_filter_parse.MenhirBasics.Error"
LEXING = 'Failure("lexing: empty token")'


def parse(expression: str, columns: dict[str, Field]) -> Test:
    """A test for records. Raises INVALID_VALUE for bad syntax (texts observed)."""
    return _Parser(expression, columns).parse()


def database_text(value: Any) -> str:
    """How a value is compared: as the text in the database."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.16g}"
    return str(value)


class _Parser:
    def __init__(self, expression: str, columns: dict[str, Field]) -> None:
        self._expression = expression
        self._columns = columns
        self._tokens = self._scan()
        self._at = 0

    def _scan(self) -> list[str]:
        found, position = [], 0
        while self._expression[position:].strip():
            symbol = TOKEN.match(self._expression, position)
            if symbol is None:
                raise ApiError("INVALID_VALUE", self._expression, LEXING)
            found.append(symbol.group().strip())
            position = symbol.end()
        return found

    def _error(self) -> ApiError:
        return ApiError("INVALID_VALUE", self._expression, SYNTAX)

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise self._error()
        self._at += 1
        return self._tokens[self._at - 1]

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def parse(self) -> Test:
        test = self._either()
        if self._peek() is not None:
            raise self._error()
        return test

    def _either(self) -> Test:
        left = self._both()
        while self._peek() == "or":
            self._next()
            left = _or(left, self._both())
        return left

    def _both(self) -> Test:
        left = self._unary()
        while self._peek() == "and":
            self._next()
            left = _and(left, self._unary())
        return left

    def _unary(self) -> Test:
        symbol = self._peek()
        if symbol == "not":
            self._next()
            inner = self._unary()
            return lambda ref, record: not inner(ref, record)
        if symbol == "(":
            self._next()
            test = self._either()
            if self._next() != ")":
                raise self._error()
            return test
        if symbol in ("true", "false"):
            self._next()
            return lambda ref, record: symbol == "true"
        return self._comparison()

    def _comparison(self) -> Test:
        left = self._operand()
        if self._next() != "=":
            raise self._error()
        right = self._operand()
        return lambda ref, record: left(record) == right(record)

    def _operand(self) -> Operand:
        symbol = self._next()
        if symbol.startswith('"'):
            literal = symbol[1:-1]
            return lambda record: literal
        if symbol != "field":
            raise self._error()
        name = self._next()
        if not name.startswith('"'):
            raise self._error()
        field = self._columns.get(name[1:-1])
        if field is None:
            raise ApiError("INTERNAL_ERROR", "missing field", name[1:-1], "")
        column = field.name
        return lambda record: database_text(record[column])


def _or(left: Test, right: Test) -> Test:
    return lambda ref, record: left(ref, record) or right(ref, record)


def _and(left: Test, right: Test) -> Test:
    return lambda ref, record: left(ref, record) and right(ref, record)
