"""Schema versions, by the sqlalchemy-migrate repository ``migrate_repo``.

sqlalchemy-migrate speaks SQLAlchemy 1.3's dialect and imports pkg_resources, both of which warn;
it is loaded and silenced in here only.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from nova_aggregates.db.engine import make_engine
from nova_aggregates.db.trouble import as_fact
from nova_aggregates.db.url import parse_url
from nova_aggregates.exceptions import (
    ConfigurationInvalid,
    DatabaseUnavailable,
    SchemaMismatch,
)

SYNC_COMMAND = "nova-aggregates-manage db sync"
DOWNGRADE_COMMAND = "nova-aggregates-manage db downgrade"
LOCK_KEY = 0x6E6F7661  # of our own choice; PostgreSQL names locks by number
LOCK_WAIT = 60  # seconds

_SCRIPT = re.compile(r"^(\d{3,})_\w+\.py$")
_versions = sa.table("migrate_version", sa.column("repository_id"), sa.column("version"))


def repository() -> Path:
    """Where ``migrate_repo`` is: inside an installed package, beside it in a source tree."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "migrate_repo", package.parent / "migrate_repo"):
        if (candidate / "migrate.cfg").is_file():
            return candidate
    raise ConfigurationInvalid(
        what=f"The directory migrate_repo is missing from {package}",
        cure="install the package again: pip install --force-reinstall nova-aggregates",
    )


def needed() -> int:
    """The schema version that this release works with."""
    names = (path.name for path in (repository() / "versions").iterdir())
    return max(int(match[1]) for match in map(_SCRIPT.match, names) if match)


def version(url: str) -> int:
    """The version of the schema in the database; 0 when there is none.

    :raises DatabaseUnavailable: the database cannot be reached.
    """
    if _is_missing_file(url):
        return 0
    with _engine(url) as engine, engine.connect() as connection:
        return _version(connection)


def check(url: str) -> None:
    """Do nothing when the schema is the one that this release needs.

    :raises SchemaMismatch: it is older or newer; the message has the command that mends it.
    :raises DatabaseUnavailable: the database cannot be reached.
    """
    actual, wanted = version(url), needed()
    if actual == wanted:
        with _engine(url) as engine:
            if not sa.inspect(engine).has_table("logbooks"):
                raise SchemaMismatch(
                    actual=f"{actual} without the tables of TaskFlow",
                    needed=wanted,
                    command=SYNC_COMMAND,
                )
    if actual < wanted:
        raise SchemaMismatch(actual=actual, needed=wanted, command=SYNC_COMMAND)
    if actual > wanted:
        raise SchemaMismatch(
            actual=actual,
            needed=wanted,
            command=f"{DOWNGRADE_COMMAND} {wanted} (with the newer release, which knows how)",
        )


def sync(url: str, version: int | None = None) -> int:
    """Bring the schema up to ``version`` (the newest when None), and TaskFlow's tables with it.

    :returns: the version that the schema now has.
    :raises SchemaMismatch: the schema is newer than this release.
    :raises ConfigurationInvalid: there is no such version, or it would be a step back.
    """
    newest = needed()
    target = newest if version is None else version
    _require_known(target, newest)
    with _engine(url) as engine, alone(engine):
        actual = _current(engine)
        if actual > newest:
            raise SchemaMismatch(
                actual=actual,
                needed=newest,
                command=f"{DOWNGRADE_COMMAND} {newest} (with the newer release, which knows how)",
            )
        if target < actual:
            raise ConfigurationInvalid(
                what=f"The schema is at version {actual} already",
                cure=f"to go back run: {DOWNGRADE_COMMAND} {target}",
            )
        _move(engine, actual, target)
        if target:
            _sync_taskflow(engine)
    return target


def downgrade(url: str, version: int) -> int:
    """Bring the schema back to ``version``; 0 removes every table, TaskFlow's included.

    :returns: the version that the schema now has.
    :raises SchemaMismatch: the schema is newer than this release.
    :raises ConfigurationInvalid: there is no such version, or it would be a step forward.
    """
    newest = needed()
    _require_known(version, newest)
    if _is_missing_file(url):
        return 0
    with _engine(url) as engine, alone(engine):
        actual = _current(engine)
        if actual > newest:
            raise SchemaMismatch(
                actual=actual, needed=newest, command="the downgrade with the newer release"
            )
        if version > actual:
            raise ConfigurationInvalid(
                what=f"The schema is at version {actual} only",
                cure=f"to go forward run: {SYNC_COMMAND}",
            )
        _move(engine, actual, version)
        if not version:
            _drop_taskflow(engine)
    return version


def _require_known(wanted: int, newest: int) -> None:
    if not 0 <= wanted <= newest:
        raise ConfigurationInvalid(
            what=f"There is no schema version {wanted}", cure=f"use one from 0 to {newest}"
        )


def _is_missing_file(url: str) -> bool:
    """Opening a missing SQLite file would make it."""
    parsed = parse_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()


@contextlib.contextmanager
def _engine(url: str) -> Iterator[Engine]:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        directory = Path(parsed.database or "").absolute().parent
        if not directory.is_dir():
            raise ConfigurationInvalid(
                what=f"The directory {directory} of the database does not exist",
                cure=f"run: mkdir -p {directory}",
            )
    engine = make_engine(url, future=False, poolclass=sa.pool.NullPool)
    try:
        yield engine
    except SQLAlchemyError as error:
        raise as_fact(error) from error
    finally:
        engine.dispose()


def _current(engine: Engine) -> int:
    with engine.connect() as connection:
        return _version(connection)


def _version(connection: Connection) -> int:
    if not sa.inspect(connection).has_table(_versions.name):
        return 0
    statement = sa.select(_versions.c.version).where(_versions.c.repository_id == "nova_aggregates")
    return int(connection.execute(statement).scalar() or 0)


@contextlib.contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Keep every other migration of this database waiting: two runs at the same time would both
    create the same tables.

    :raises DatabaseUnavailable: another one did not end within ``LOCK_WAIT`` seconds.
    """
    if engine.dialect.name == "sqlite":
        with _directory_lock(Path(engine.url.database or "").absolute().parent):
            yield
        return
    take, give = {
        "postgresql": ("SELECT pg_try_advisory_lock(:it)", "SELECT pg_advisory_unlock(:it)"),
        "mysql": ("SELECT GET_LOCK(:it, 0)", "SELECT RELEASE_LOCK(:it)"),
    }[engine.dialect.name]
    # PostgreSQL's lock is one of the database, MySQL's one of the whole server.
    name = hashlib.sha256(f"nova-aggregates {engine.url.database}".encode()).hexdigest()[:40]
    it = {"it": LOCK_KEY if engine.dialect.name == "postgresql" else name}
    with engine.connect() as connection:
        deadline = time.monotonic() + LOCK_WAIT
        while not connection.execute(sa.text(take), it).scalar():
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    reason="another migration is still running", retry_after=LOCK_WAIT
                )
            time.sleep(0.2)
        try:
            yield
        finally:
            connection.execute(sa.text(give), it)


@contextlib.contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    # The directory, because a lock file could never be removed without a race.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _move(engine: Engine, actual: int, target: int) -> None:
    with _silence():
        from migrate.versioning.schema import ControlledSchema

        if not actual and not _is_controlled(engine):
            ControlledSchema.create(engine, str(repository()), 0)
        ControlledSchema(engine, str(repository())).upgrade(target)


def _is_controlled(engine: Engine) -> bool:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(_versions.name):
            return False
        return connection.execute(sa.select(_versions.c.version)).first() is not None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _sync_taskflow(engine: Engine) -> None:
    with _silence():
        from taskflow.persistence.backends.impl_sqlalchemy import SQLAlchemyBackend

        backend = SQLAlchemyBackend({}, engine=engine)
        with contextlib.closing(backend.get_connection()) as connection:
            connection.upgrade()


def _drop_taskflow(engine: Engine) -> None:
    metadata = sa.MetaData()
    with _silence():
        from taskflow.persistence.backends.sqlalchemy import tables

        tables.fetch(metadata)
    sa.Table("alembic_version", metadata)
    with engine.begin() as connection:
        metadata.drop_all(connection)
