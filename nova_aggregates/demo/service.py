"""The service and the simulated hosts as processes of their own, with their state in one folder."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from nova_aggregates.demo.client import Client
from nova_aggregates.demo.errors import DemoError
from nova_aggregates.demo.processes import Family, run
from nova_aggregates.demo.truth import SimulatedHost, read_inventory

API_ADDRESS = "127.0.0.1"
PROJECT = "demo"
SIMULATOR_NETWORK = "127.77.0.1"
SIMULATOR_PORTS = range(18443, 18543)
START_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Settings:
    port: int
    hosts: int
    zones: tuple[str, ...]
    time_scale: float
    state_dir: Path | None
    keep: bool
    database: str | None
    workers: int


class StateDirectory:
    """Where everything of one start lives. A fresh one is removed at the end unless kept."""

    def __init__(self, wanted: Path | None, keep: bool) -> None:
        self.kept = keep or wanted is not None
        if wanted is None:
            self.path = Path(tempfile.mkdtemp(prefix="nova-aggregates-"))
        else:
            self.path = wanted.absolute()
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (self.path / "lock").open("a+", encoding="utf-8")
        self._take()

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            raise DemoError(
                f"The state directory {self.path} is in use by process {self._lock.read().strip()}."
                " Stop that one first, or give another --state-dir."
            ) from None
        if (self.path / "inventory.json").exists():
            raise DemoError(
                f"The state directory {self.path} holds the state of an earlier run, whose "
                "simulated hosts are gone. Give another --state-dir, or remove this one."
            )
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def close(self) -> None:
        self._lock.close()
        if not self.kept:
            shutil.rmtree(self.path, ignore_errors=True)


def script(name: str) -> str:
    """The console script that was installed beside this interpreter."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise DemoError(f"{path} is missing: install the project into this environment first.")
    return str(path)


def check_port(port: int) -> None:
    """:raises DemoError: something else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((API_ADDRESS, port))
        except OSError as error:
            raise DemoError(
                f"{API_ADDRESS}:{port} cannot be used ({error.strerror}). "
                "Stop what listens there, or give another --port."
            ) from None


def free_simulator_port() -> int:
    for port in SIMULATOR_PORTS:
        with socket.socket() as probe:
            try:
                probe.bind((SIMULATOR_NETWORK, port))
            except OSError:
                continue
            return port
    raise DemoError(f"No free port for the simulated hosts at {SIMULATOR_NETWORK}.")


class Service:
    """Simulator, database, API and manager; ``client`` talks to the API once started."""

    def __init__(self, settings: Settings, state: StateDirectory, family: Family) -> None:
        self.settings = settings
        self.state = state.path
        self.family = family
        self.hosts: list[SimulatedHost] = []
        self.client = Client(f"http://{API_ADDRESS}:{settings.port}", PROJECT)

    def start(self) -> None:
        """Bring everything up, register the hosts, and wait until every part answers.

        :raises DemoError: a part did not start; with what it said.
        """
        check_port(self.settings.port)
        (self.state / "log").mkdir(exist_ok=True)
        self._start_simulator()
        config = self._configure()
        manage = [script("nova-aggregates-manage"), "--config-file", str(config)]
        run([*manage, "credentials", "init"], "Making the key for the credentials")
        run([*manage, "db", "sync"], "Creating the database")
        self.family.start(
            "nova-aggregates-all",
            [script("nova-aggregates-all"), "--config-file", str(config)],
            self.state / "log" / "service.log",
        )
        self.family.wait_for("answer from the API", self.client.answers, START_SECONDS)
        self._register()
        self.family.wait_for("host seen by the manager", self._all_seen, START_SECONDS)

    def _start_simulator(self) -> None:
        inventory = self.state / "inventory.json"
        command = [
            script("nova-aggregates-simulator"),
            *("--hosts", str(self.settings.hosts)),
            *("--zones", ",".join(self.settings.zones)),
            *("--time-scale", str(self.settings.time_scale)),
            *("--base-address", SIMULATOR_NETWORK),
            *("--port", str(free_simulator_port())),
            *("--inventory", str(inventory)),
        ]
        self.family.start("nova-aggregates-simulator", command, self.state / "log/simulator.log")
        self.family.wait_for("inventory of simulated hosts", inventory.exists, START_SECONDS)
        self.hosts = read_inventory(json.loads(inventory.read_text(encoding="utf-8")))

    def _configure(self) -> Path:
        database = self.settings.database or f"sqlite:///{self.state / 'service.sqlite'}"
        # The simulated clock runs faster than ours, so waits are as much shorter.
        scale = self.settings.time_scale
        config = self.state / "nova-aggregates.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"""[api]
host = {API_ADDRESS}
port = {self.settings.port}
workers = {self.settings.workers}

[auth]
strategy = noauth

[database]
connection = {database.replace("$", "$$")}

[coordination]
backend_url = file://{self.state}/locks

[credentials]
key_file = {self.state}/credentials.key

[manager]
poll_interval = 0.1
retry_delay = {max(0.1, 5.0 / scale)}

[xenapi]
poll_interval = {max(0.05, 2.0 / scale)}
""",
            encoding="utf-8",
        )
        return config

    def _register(self) -> None:
        known = {host["host_name"] for host in self.client.get("/os-hosts")["hosts"]}
        if known:
            raise DemoError(
                "The database holds registered hosts already, and simulated ones begin anew at "
                "each start. Give an empty --database."
            )
        for host in self.hosts:
            body = {
                "name": host.name,
                "address": host.address,
                "port": host.port,
                "user": host.username,
                "password": host.password,
                "zone": host.zone,
                "fingerprint": host.fingerprint,
            }
            self.client.post("/os-hosts", {"host": body})

    def _all_seen(self) -> bool:
        return all(
            self.client.get(f"/os-hosts/{host.name}/registration")["registration"]["last_seen"]
            for host in self.hosts
        )
