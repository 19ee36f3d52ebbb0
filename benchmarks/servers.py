"""The servers under test, as processes, and the databases below them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from benchmarks.requests import Target
from nova_aggregates.db import migration
from nova_aggregates.db.secrets import SecretBox

START_SECONDS = 120
BIN = Path(sys.executable).parent
# Servers that allow to create databases, named as the tests name them.
ADMINISTRATION = {
    "postgresql": os.environ.get(
        "NOVA_AGGREGATES_TEST_POSTGRESQL",
        "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres",
    ),
    "mysql": os.environ.get(
        "NOVA_AGGREGATES_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/mysql"
    ),
}


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new database with the newest schema; it is dropped afterwards.

    :param kind: ``sqlite``, ``postgresql`` or ``mysql``.
    """
    name = f"nova_aggregates_bench_{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        url = f"sqlite:///{folder / name}.sqlite"
        migration.sync(url)
        yield url
        return
    engine = sa.create_engine(
        ADMINISTRATION[kind], isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        url = make_url(ADMINISTRATION[kind]).set(database=name)
        text = url.render_as_string(hide_password=False)
        migration.sync(text)
        yield text
    finally:
        with engine.connect() as connection:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


@contextlib.contextmanager
def service(url: str, folder: Path) -> Iterator[Target]:
    """The API with one worker and without authentication."""
    port = _free_port()
    key = folder / f"{port}.key"
    SecretBox.create(key)
    config = folder / f"{port}.conf"
    config.write_text(
        f"[DEFAULT]\nlog_file = {folder / f'{port}.log'}\n"
        f"[api]\nhost = 127.0.0.1\nport = {port}\n[auth]\nstrategy = noauth\n"
        f"[database]\nconnection = {url}\n[credentials]\nkey_file = {key}\n"
        f"[coordination]\nbackend_url = file://{folder / 'locks'}\n"
    )
    command = [str(BIN / "nova-aggregates-api"), "--config-file", str(config)]
    with _running(command, port) as pid:
        yield Target("service", port, pid)


@contextlib.contextmanager
def floor(url: str) -> Iterator[Target]:
    port = _free_port()
    with _running([sys.executable, "-m", "benchmarks.floor", str(port), url], port) as pid:
        yield Target("floor", port, pid)


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{command[0]} did not start; its messages are above.")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
