"""Migrations beside processes of the release before; the rules are in doc/source/databases.rst.

What a script really sends is looked at, on SQLite, where nothing is hidden in the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from nova_aggregates.db import migration

CONTRACT = re.compile(r"\d{3,}_contract_\w+\.py")
ADDS = re.compile(
    r"(CREATE TABLE|CREATE INDEX|INSERT INTO|UPDATE|SELECT|PRAGMA|BEGIN|COMMIT)\b", re.IGNORECASE
)
ADDS_COLUMN = re.compile(r"ALTER TABLE \w+ ADD (COLUMN )?(?P<column>.*)", re.IGNORECASE | re.DOTALL)


def breaks_the_release_before(statement: str) -> bool:
    """Whether a process that does not know of ``statement`` could fail after it."""
    text = " ".join(statement.split())
    added = ADDS_COLUMN.match(text)
    if added:
        column = added["column"].upper()
        return ("NOT NULL" in column and "DEFAULT" not in column) or " UNIQUE" in column
    return not ADDS.match(text)


def scripts() -> list[Path]:
    found = (migration.repository() / "versions").glob("[0-9]*.py")
    return sorted(found, key=lambda path: int(path.name.split("_")[0]))


@pytest.fixture
def sent() -> Iterator[list[str]]:
    """Everything that any engine sends."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(sa.engine.Engine, "before_cursor_execute", note)
    yield statements
    event.remove(sa.engine.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("script", scripts()[1:], ids=lambda path: path.name)
def test_a_migration_leaves_the_release_before_at_work(
    script: Path, sent: list[str], tmp_path: Path
) -> None:
    number = int(script.name.split("_")[0])
    url = f"sqlite:///{tmp_path / 'it.sqlite'}"
    migration.sync(url, number - 1)
    sent.clear()
    migration.sync(url, number)
    assert sent
    breaking = [statement for statement in sent if breaks_the_release_before(statement)]
    if CONTRACT.fullmatch(script.name):
        assert breaking, "a contraction removes something"
    else:
        assert breaking == []


@pytest.mark.parametrize(
    ("statement", "breaks"),
    [
        ("ALTER TABLE hosts ADD COLUMN note TEXT", False),
        ("ALTER TABLE hosts ADD note TEXT DEFAULT '' NOT NULL", False),
        ("ALTER TABLE hosts ADD COLUMN note TEXT NOT NULL", True),
        ("ALTER TABLE hosts ADD COLUMN note TEXT UNIQUE", True),
        ("ALTER TABLE hosts DROP COLUMN note", True),
        ("ALTER TABLE hosts RENAME TO machines", True),
        ("ALTER TABLE hosts RENAME COLUMN a TO b", True),
        ("DROP TABLE hosts", True),
        ("DROP INDEX ix", True),
        ("CREATE UNIQUE INDEX ix ON hosts (note)", True),
        ("CREATE INDEX ix ON hosts (note)", False),
        ("\nCREATE TABLE notes (id INTEGER)", False),
        ("DELETE FROM hosts", True),
        ("UPDATE hosts SET note = ''", False),
    ],
)
def test_what_breaks(statement: str, breaks: bool) -> None:
    assert breaks_the_release_before(statement) is breaks
