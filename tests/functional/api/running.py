"""The real application behind the real HTTP server, in a thread, on a database of its own."""

from __future__ import annotations

import contextlib
import datetime
import functools
import shutil
import sqlite3
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova_aggregates import conf as options
from nova_aggregates.api import wsgi
from nova_aggregates.api.deployment import Deployment
from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import HostManager, OperationManager
from nova_aggregates.objects import (
    Credentials,
    Guest,
    Host,
    HostRegistration,
    Inventory,
    Requester,
    Trust,
)
from tests.functional.api.checked import Checked

with warnings.catch_warnings():
    # It announces its retirement, at each import.
    warnings.simplefilter("ignore")
    import eventlet

    from nova_aggregates.api.server import ApiServer

PROJECT = "demo"
TOKEN = {"X-Auth-Token": f"admin:{PROJECT}"}
PASSWORD = "n0-b0dy-may-see-this"  # of every host, so that it can be looked for everywhere
START_SECONDS = 30
UP_SECONDS = 3 * 86400 + 4 * 3600 + 5 * 60 + 6  # of a host that was seen
GUESTS = (Guest("6f70656e-0000-4000-8000-000000000001", "web"),)


@functools.cache
def _template() -> Path:
    """An empty database and a key; making them takes longer than most tests."""
    folder = Path(tempfile.mkdtemp(prefix="nova-aggregates-api-tests-"))
    migration.sync(f"sqlite:///{folder / 'empty.sqlite'}")
    with contextlib.closing(sqlite3.connect(folder / "empty.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    SecretBox.create(folder / "key")
    return folder


def configuration(folder: Path, **sections: dict[str, Any]) -> Path:
    """A configuration file in ``folder`` with an empty database and a key beside it."""
    template = _template()
    shutil.copy(template / "empty.sqlite", folder / "test.sqlite")
    shutil.copy(template / "key", folder / "key")
    content: dict[str, dict[str, Any]] = {
        "api": {"host": "127.0.0.1", "port": 0},
        "auth": {"strategy": "noauth"},
        "database": {"connection": f"sqlite:///{folder / 'test.sqlite'}"},
        "credentials": {"key_file": folder / "key"},
        "coordination": {"backend_url": f"file://{folder / 'locks'}"},
    }
    for name, values in sections.items():
        content.setdefault(name, {}).update(values)
    path = folder / "nova-aggregates.conf"
    lines = []
    for name, values in content.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def load_options(path: Path) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([], project="nova-aggregates", default_config_files=[str(path)])
    return conf


class RunningApi:
    """``url`` is the root of the server, ``base`` the one of the project."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf
        database = Database.from_conf(conf)
        secrets = SecretBox(conf.credentials.key_file)
        self.hosts = HostManager(database, secrets)
        self.operations = OperationManager(database, secrets)
        self._started, self._stop = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._started.wait(START_SECONDS)
        if self._failure:
            raise self._failure

    def _serve(self) -> None:
        try:
            application = wsgi.load(Deployment.from_conf(self.conf))
            server = ApiServer(self.conf, Checked(application))
        except Exception as error:  # noqa: BLE001 - it belongs to the other thread
            self._failure = error
            self._started.set()
            return
        self.port = server.port
        self.url = f"http://127.0.0.1:{server.port}"
        self.base = f"{self.url}/v1.1/{PROJECT}"
        server.start()
        self._started.set()
        while not self._stop.is_set():
            eventlet.sleep(0.01)
        server.stop()
        server.wait()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(START_SECONDS)
        assert not self._thread.is_alive()

    def register(self, name: str, number: int, zone: str) -> Host:
        registration = HostRegistration(
            name=name,
            address=f"127.9.9.{number}",
            port=443,
            credentials=Credentials("root", PASSWORD),
            trust=Trust(insecure=True),
            zone=zone,
        )
        return self.hosts.register(Requester("admin", PROJECT, "req-1"), registration)

    def saw(self, name: str) -> None:
        """Note an inventory, as the manager does."""
        host = self.hosts.show(name)
        inventory = Inventory(
            vcpus=16,
            vcpus_used=4,
            memory_mb=65536,
            memory_mb_used=2048,
            disk_gb=500,
            disk_gb_used=50,
            running_vms=2,
            product="XCP-ng 8.3.0",
            version="8.3.0",
            cpu_vendor="GenuineIntel",
            cpu_model="Lab CPU",
            cpu_sockets=2,
            memory_mb_claimed=4096,
            disk_gb_claimed=150,
            workload=1,
            boot_time=host.created_at.replace(tzinfo=datetime.UTC).timestamp() - UP_SECONDS,
        )
        self.hosts.observed(
            host.id,
            xen_uuid=f"xen-{name}",
            inventory=inventory,
            seen_at=host.created_at,
            guests=GUESTS,
        )


@contextlib.contextmanager
def running(**sections: dict[str, Any]) -> Iterator[RunningApi]:
    with tempfile.TemporaryDirectory(prefix="nova-aggregates-api-") as folder:
        api = RunningApi(load_options(configuration(Path(folder), **sections)))
        try:
            yield api
        finally:
            api.stop()


def host_body(name: str, number: int, zone: str, /, **changes: Any) -> dict[str, Any]:
    """The body that registers a host; a change to None leaves the key out."""
    body = {
        "name": name,
        "address": f"127.9.9.{number}",
        "user": "root",
        "password": PASSWORD,
        "zone": zone,
        "fingerprint": "ab" * 32,
        **changes,
    }
    return {"host": {key: value for key, value in body.items() if value is not None}}
