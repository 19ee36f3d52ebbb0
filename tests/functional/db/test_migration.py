"""The migration scripts, on every database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from nova_aggregates.cmd import manage
from nova_aggregates.db import clock, migration, tables
from nova_aggregates.db.engine import Database, make_engine
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import ConfigurationInvalid, SchemaMismatch
from nova_aggregates.manager import UpkeepManager
from nova_aggregates.objects import Guest, HeadroomFigure, Once, Placement, PlacementState
from tests.databases import temporary_database
from tests.functional.db.conftest import DRIFT, WHO, Site

OURS = set(tables.metadata.tables)
TASKFLOW = {"logbooks", "flowdetails", "atomdetails"}


def table_names(url: str) -> set[str]:
    return set(sa.inspect(make_engine(url)).get_table_names())


def described(engine: Engine) -> dict[str, Any]:
    """Every table, as exactly as the server itself can tell."""
    inspector = sa.inspect(engine)
    found: dict[str, Any] = {}
    with engine.connect() as connection:
        for name in sorted(OURS):
            if engine.dialect.name == "mysql":
                created = connection.execute(sa.text(f"SHOW CREATE TABLE `{name}`")).one()[1]
                lines = re.sub(r" AUTO_INCREMENT=\d+", "", created).splitlines()
                columns = [line for line in lines if line.startswith("  `")]
                # The order in which indexes were added says nothing.
                rest = sorted(line.rstrip(",") for line in lines if line not in columns)
                found[name] = (columns, rest)
            elif engine.dialect.name == "sqlite":
                rows = connection.execute(
                    sa.text("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = :name"),
                    {"name": name},
                ).all()
                # A column that was added stands on the line of the one before it.
                found[name] = sorted(
                    (kind, own, re.sub(r"\s+", " ", sql or "").replace(" ,", ","))
                    for kind, own, sql in rows
                )
            else:
                found[name] = {
                    "columns": [
                        {**c, "type": repr(c["type"])} for c in inspector.get_columns(name)
                    ],
                    "collations": connection.execute(
                        sa.text(
                            "SELECT column_name, collation_name FROM information_schema.columns "
                            "WHERE table_name = :name ORDER BY 1"
                        ),
                        {"name": name},
                    ).all(),
                    "primary": inspector.get_pk_constraint(name),
                    "foreign": sorted(map(repr, inspector.get_foreign_keys(name))),
                    "unique": sorted(map(repr, inspector.get_unique_constraints(name))),
                    "indexes": sorted(map(repr, inspector.get_indexes(name))),
                }
    return found


def test_the_migrated_schema_is_that_of_the_tables(
    backend: str, migrated_url: str, empty_url: str
) -> None:
    direct = make_engine(empty_url)
    tables.metadata.create_all(direct)
    migrated = make_engine(migrated_url)
    try:
        assert described(migrated) == described(direct)
    finally:
        direct.dispose()
        migrated.dispose()


def test_up_down_and_up_with_data(empty_url: str, box: SecretBox) -> None:
    assert migration.version(empty_url) == 0
    for _round in range(2):
        assert migration.sync(empty_url) == migration.needed()
        assert migration.version(empty_url) == migration.needed()
        migration.check(empty_url)
        assert table_names(empty_url) >= OURS | TASKFLOW
        database = Database(empty_url)
        site = Site.over(database, box)
        assert site.aggregates.index() == []
        host = site.host("host1")
        aggregate = site.aggregate("a", "host1")
        once = Once("key", "scope", "digest")
        site.aggregates.set_metadata(WHO, aggregate.id, {"k": "v"}, once=once)
        site.drift.record(aggregate.id, [DRIFT])
        site.webhooks.position("http://127.0.0.1/hook")
        site.hosts.observed(
            host.id, xen_uuid="x", inventory=None, seen_at=host.created_at, guests=[Guest("u", "g")]
        )
        site.aggregates.update(WHO, aggregate.id, name="b")
        operation = site.take_next(aggregate.id)
        site.pools.establish(
            operation,
            aggregate_id=aggregate.id,
            xen_uuid="u",
            master_host_id=host.id,
            credentials=site.hosts.credentials(host.id),
        )
        upkeep = UpkeepManager(database, box)
        state = PlacementState.AWAY
        upkeep.place(operation, [Placement(host.id, "g", "guest", 2**40, state, "u", 1)])
        upkeep.begin_runs(operation, ["host1"])
        figure = HeadroomFigure(1, "guest", "full", ("host1",), clock.utcnow())
        upkeep.set_headroom(aggregate.id, figure)
        with database.read() as connection:
            for table in tables.metadata.sorted_tables:
                assert connection.execute(sa.select(table)).first(), f"{table} has no data"
        database.dispose()
        migration.sync(empty_url)
        assert Site.over(Database(empty_url), box).aggregates.index()[0].name == "b"
        assert migration.downgrade(empty_url, 0) == 0
        assert migration.version(empty_url) == 0
        left = table_names(empty_url) - {"migrate_version", "sqlite_sequence"}
        assert left == set()


def test_an_interrupted_sync_is_finished_by_the_next(empty_url: str) -> None:
    engine = make_engine(empty_url)
    tables.hosts.create(engine)
    engine.dispose()
    migration.sync(empty_url)
    assert table_names(empty_url) >= OURS


def test_too_old(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"version 0.*nova-aggregates-manage db sync"):
        migration.check(empty_url)


def test_a_sync_that_ended_before_the_tables_of_taskflow(empty_url: str) -> None:
    migration.sync(empty_url)
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        for table in ("atomdetails", "flowdetails", "logbooks", "alembic_version"):
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
    with pytest.raises(SchemaMismatch, match=r"without.*db sync"):
        migration.check(empty_url)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TYPE IF EXISTS atom_types, intentions"))
    engine.dispose()
    migration.sync(empty_url)
    migration.check(empty_url)


def test_too_new(empty_url: str) -> None:
    migration.sync(empty_url)
    needed = migration.needed()
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE migrate_version SET version = 99"))
    engine.dispose()
    with pytest.raises(SchemaMismatch, match=f"99.*needs {needed}.*db downgrade {needed}"):
        migration.check(empty_url)
    for move in (migration.sync, lambda url: migration.downgrade(url, 0)):
        with pytest.raises(SchemaMismatch):
            move(empty_url)
    assert table_names(empty_url) >= OURS


def test_versions_that_are_not_there(empty_url: str) -> None:
    for version in (-1, migration.needed() + 1):
        with pytest.raises(ConfigurationInvalid, match="no schema version"):
            migration.sync(empty_url, version)
    migration.sync(empty_url)
    with pytest.raises(ConfigurationInvalid, match="db downgrade 0"):
        migration.sync(empty_url, 0)


def test_a_check_leaves_no_file_behind(sqlite_path: Path) -> None:
    with pytest.raises(SchemaMismatch):
        migration.check(f"sqlite:///{sqlite_path}")
    assert migration.downgrade(f"sqlite:///{sqlite_path}", 0) == 0
    assert not sqlite_path.exists()


def test_one_migration_at_a_time(empty_url: str, backend: str, tmp_path: Path) -> None:
    engine = make_engine(empty_url, future=False)
    (tmp_path / "other").mkdir()
    with (
        temporary_database(backend, tmp_path / "other") as other_url,
        ThreadPoolExecutor(1) as pool,
    ):
        with migration.alone(engine):
            migration.sync(other_url)
            second = pool.submit(migration.sync, empty_url)
            with pytest.raises(TimeoutError):
                second.result(timeout=1)
            assert not table_names(empty_url) & OURS
        assert second.result(timeout=60) == migration.needed()
    engine.dispose()


def test_nothing_is_printed(empty_url: str) -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-W",
            "default",
            "-c",
            "import sys; from nova_aggregates.db import migration; migration.sync(sys.argv[1])",
            empty_url,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "SQLALCHEMY_WARN_20": "1"},
    )
    assert (run.returncode, run.stdout) == (0, "")
    migration.check(empty_url)


class TestCommand:
    @pytest.fixture
    def config(self, tmp_path: Path) -> list[str]:
        with temporary_database("sqlite", tmp_path) as url:
            file = tmp_path / "service.conf"
            file.write_text(
                f"[database]\nconnection = {url}\n"
                f"[credentials]\nkey_file = {tmp_path}/credentials.key\n"
            )
        return ["--config-file", str(file)]

    def test_db(self, config: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        needed = migration.needed()
        assert manage.main([*config, "db", "version"]) == 0
        assert capsys.readouterr().out == f"actual 0\nneeded {needed}\n"
        assert manage.main([*config, "db", "sync"]) == 0
        assert manage.main([*config, "db", "version"]) == 0
        assert f"actual {needed}\nneeded {needed}" in capsys.readouterr().out
        assert manage.main([*config, "db", "downgrade", "0"]) == 0
        assert "version 0" in capsys.readouterr().out

    def test_credentials(
        self, config: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        key = tmp_path / "credentials.key"
        assert manage.main([*config, "credentials", "init"]) == 0
        assert key.stat().st_mode & 0o777 == 0o600
        content = key.read_bytes()
        assert content.decode().strip() not in capsys.readouterr().out
        assert manage.main([*config, "credentials", "init"]) == 1
        assert key.read_bytes() == content
        assert "exists already" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("connection", "message"),
        [
            ("sqlite:////nonexistent-directory/x.sqlite", "mkdir -p /nonexistent-directory"),
            ("sqlite://", "names no file"),
            ("oracle://u:geheim@h/x", "no URL of a supported database"),
            ("nonsense", "no URL of a supported database"),
            ("postgresql://u:geheim@127.0.0.1:1/x", "does not answer"),
            ("mysql://u:geheim@127.0.0.1:1/x", "does not answer"),
        ],
    )
    def test_one_line_and_no_secret(
        self,
        tmp_path: Path,
        connection: str,
        message: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file = tmp_path / "service.conf"
        file.write_text(f"[database]\nconnection = {connection}\n")
        assert manage.main(["--config-file", str(file), "db", "sync"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
        assert err.count("\n") == 1
        assert "geheim" not in err

    def test_a_missing_configuration_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert manage.main(["--config-file", "/nonexistent.conf", "db", "version"]) == 1
        err = capsys.readouterr().err
        assert "/nonexistent.conf" in err
        assert err.count("\n") == 1
