"""Real databases for tests: SQLite, and PostgreSQL and MariaDB or MySQL where a server answers.

A test module (or conftest) imports the fixtures that it needs; whatever depends on ``backend`` runs
once a backend. The servers are those of ``NOVA_AGGREGATES_TEST_POSTGRESQL`` and
``NOVA_AGGREGATES_TEST_MYSQL`` (URLs with the right to create databases). One that does not answer
is skipped with the reason, or fails when ``NOVA_AGGREGATES_REQUIRE_ALL=1``.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from nova_aggregates.db import migration, tables
from nova_aggregates.db.engine import Database

BACKENDS = ("sqlite", "postgresql", "mysql")
SERVERS = {
    "postgresql": os.environ.get(
        "NOVA_AGGREGATES_TEST_POSTGRESQL",
        "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres",
    ),
    "mysql": os.environ.get(
        "NOVA_AGGREGATES_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/mysql"
    ),
}
REQUIRE_ALL = os.environ.get("NOVA_AGGREGATES_REQUIRE_ALL") == "1"


@contextlib.contextmanager
def temporary_database(backend: str, directory: Path) -> Iterator[str]:
    """The URL of a new, empty database that is dropped afterwards."""
    name = f"nova_aggregates_test_{uuid.uuid4().hex[:16]}"
    if backend == "sqlite":
        yield f"sqlite:///{directory / name}.sqlite"
        return
    _require(backend)
    _administer(backend, f"CREATE DATABASE {name}")
    try:
        yield make_url(SERVERS[backend]).set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if backend == "postgresql" else ""
        _administer(backend, f"DROP DATABASE {name}{force}")


def _require(backend: str) -> None:
    try:
        _administer(backend, "SELECT 1")
    except (OperationalError, ImportError) as error:
        reason = f"no {backend} server for tests: {str(error).splitlines()[0]}"
        if REQUIRE_ALL:
            pytest.fail(reason)
        pytest.skip(reason)


def _administer(backend: str, statement: str) -> None:
    engine = sa.create_engine(
        SERVERS[backend],
        poolclass=sa.pool.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5},
        future=True,
    )
    with engine.connect() as connection:
        connection.execute(sa.text(statement))


def empty_tables(database: Database) -> None:
    """Remove every row, and leave what a fresh migration leaves."""
    with database.transaction() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(sa.delete(table))
        connection.execute(sa.insert(tables.generation).values(id=tables.GENERATION_ID, value=1))


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of the backend; one after the other."""
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, tmp_path: Path) -> Iterator[str]:
    """An empty database of the test's own."""
    with temporary_database(backend, tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_url(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the newest schema, shared by the tests of the session."""
    with temporary_database(backend, tmp_path_factory.mktemp("database")) as url:
        migration.sync(url)
        yield url


@pytest.fixture(scope="session")
def shared_database(migrated_url: str) -> Iterator[Database]:
    """One engine for the session: each new one compiles every statement again."""
    database = Database(migrated_url)
    yield database
    database.dispose()


@pytest.fixture
def database(shared_database: Database) -> Database:
    """A database with the newest schema and no rows."""
    empty_tables(shared_database)
    return shared_database
