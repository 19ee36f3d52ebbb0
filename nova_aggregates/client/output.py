"""How commands show what they found, in every format that cliff has."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import stevedore
from cliff.columns import FormattableColumn
from cliff.command import Command
from cliff.formatters import base, commaseparated, json_format, table, value, yaml_format
from cliff.lister import Lister
from cliff.show import ShowOne
from stevedore.extension import Extension

from nova_aggregates.client.api import Api
from nova_aggregates.client.errors import ClientError, from_library
from nova_aggregates.client.exits import Exit


class CsvFormatter(commaseparated.CSVLister, base.SingleFormatter):
    """One object is a table with one row."""

    def emit_list(
        self,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
        stdout: TextIO,
        parsed_args: argparse.Namespace,
    ) -> None:
        super().emit_list(column_names, map(_texts, data), stdout, parsed_args)

    def emit_one(
        self,
        column_names: Sequence[str],
        data: Sequence[Any],
        stdout: TextIO,
        parsed_args: argparse.Namespace,
    ) -> None:
        self.emit_list(column_names, [data], stdout, parsed_args)


class ValueFormatter(value.ValueFormatter):
    def emit_list(
        self,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
        stdout: TextIO,
        parsed_args: argparse.Namespace,
    ) -> None:
        super().emit_list(column_names, map(_texts, data), stdout, parsed_args)

    def emit_one(
        self,
        column_names: Sequence[str],
        data: Sequence[Any],
        stdout: TextIO,
        parsed_args: argparse.Namespace,
    ) -> None:
        super().emit_one(column_names, _texts(data), stdout, parsed_args)


def _texts(row: Iterable[Any]) -> list[Any]:
    """cliff would write Python's own notation for lists and maps, which no other tool reads."""
    return [_text(item) for item in row]


def _text(item: Any) -> Any:
    if isinstance(item, Words):
        return item.human_readable()
    return json.dumps(item.machine_readable()) if isinstance(item, FormattableColumn) else item


FORMATTERS: Mapping[str, Any] = {
    "csv": CsvFormatter,
    "json": json_format.JSONFormatter,
    "table": table.TableFormatter,
    "value": ValueFormatter,
    "yaml": yaml_format.YAMLFormatter,
}


@functools.cache
def formatters() -> Any:
    """The same five for lists and for single objects, without a search through everything that is
    installed, which takes longer than most commands."""
    nowhere: Any = None
    found = [Extension(name, nowhere, kind, kind()) for name, kind in FORMATTERS.items()]
    return stevedore.ExtensionManager.make_test_instance(found)


class ApiCommand(Command):
    """What all commands have: the service, reached when it is first needed; an exit code; and one
    line for an error."""

    app: Any
    outcome = Exit.OK

    def run(self, parsed_args: argparse.Namespace) -> int:
        try:
            return super().run(parsed_args) or self.outcome
        except BrokenPipeError:
            raise
        except Exception as error:
            if self.app.options.debug:
                raise
            told = error if isinstance(error, ClientError) else from_library(error)
            if told is None:
                raise
            print(f"{self.app.NAME}: {told}", file=sys.stderr)
            return told.code

    @property
    def api(self) -> Api:
        return self.app.api()


class ListCommand(ApiCommand, Lister):
    def _load_formatter_plugins(self) -> Any:
        return formatters()


class ShowCommand(ApiCommand, ShowOne):
    def _load_formatter_plugins(self) -> Any:
        return formatters()

    def show(self, document: Mapping[str, Any]) -> tuple[Sequence[str], Iterable[Any]]:
        return tuple(document), tuple(cell(document[key]) for key in document)


class Words(FormattableColumn[Any]):
    """A list of plain values."""

    def human_readable(self) -> str:
        return ", ".join(map(str, self._value))


class Pairs(FormattableColumn[Any]):
    """A map; one pair a line."""

    def human_readable(self) -> str:
        return "\n".join(f"{key}={_plain(value)}" for key, value in self._value.items())


class Records(FormattableColumn[Any]):
    """A list of maps; for people, what each says and its cure."""

    def human_readable(self) -> str:
        return "\n".join(map(_sentence, self._value))


def _plain(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key}={_plain(value)}" for key, value in item.items())
    if isinstance(item, list):
        return ", ".join(map(_plain, item))
    return "" if item is None else str(item)


def _sentence(record: Any) -> str:
    if not isinstance(record, dict) or "message" not in record:
        return _plain(record)
    severity = f"{record['severity']}: " if record.get("severity") else ""
    cure = f" {record['cure']}" if record.get("cure") else ""
    return f"{severity}{record['message'].rstrip('.')}.{cure}"


def cell(item: Any) -> Any:
    """A value of a document as a column: plain, or with two ways to be shown."""
    if isinstance(item, dict):
        return Pairs(item)
    if isinstance(item, list):
        return Records(item) if any(isinstance(each, dict) for each in item) else Words(item)
    return item


def rows(
    columns: Mapping[str, str], documents: Iterable[Mapping[str, Any]]
) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    """What a lister wants.

    :param columns: the keys of the documents, with the titles of their columns.
    """
    keys = list(columns)
    listed = [[cell(document.get(key)) for key in keys] for document in documents]
    return list(columns.values()), listed
