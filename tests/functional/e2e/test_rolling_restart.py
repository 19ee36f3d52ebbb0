"""Two API servers and two managers are restarted one after the other, under load."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.api.running import TOKEN, configuration

BIN = Path(sys.executable).parent
DEADLINE = 120.0
READERS = 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    def __init__(self, command: list[str], log: Path, port: int | None = None) -> None:
        self.command, self.log, self.port = command, log, port
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def ready(self) -> bool:
        if self.port is None:
            return self.log.read_text().count("manager.started") > self._starts
        with contextlib.suppress(requests.RequestException):
            url = f"http://127.0.0.1:{self.port}/healthcheck/ready"
            return requests.get(url, timeout=5).status_code == 200
        return False

    def wait(self) -> None:
        end = time.monotonic() + DEADLINE
        while not self.ready():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    _starts = 0

    def restart(self) -> None:
        self._starts = self.log.read_text().count("manager.started")
        self.stop()
        assert self._process.returncode == 0, self.log.read_text()
        self.start()
        self.wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(DEADLINE)


class Balancer:
    """As examples/haproxy.cfg: in turns, and to the other one when a connection fails. A change
    goes again with the same Idempotency-Key, as the client of ours sends it."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._turn = itertools.count()
        self._guard = threading.Lock()
        self.failed: list[str] = []
        self.answered = 0

    def send(self, method: str, path: str, body: Any = None) -> requests.Response:
        headers = {**TOKEN, "Idempotency-Key": uuid.uuid4().hex}
        told: list[str] = []
        turn = next(self._turn)
        for attempt in range(4):
            port = self._ports[(turn + attempt) % len(self._ports)]
            url = f"http://127.0.0.1:{port}/v1.1/demo{path}"
            try:
                answer = requests.request(method, url, json=body, headers=headers, timeout=60)
            except requests.ConnectionError as error:
                told.append(str(error))
                continue
            with self._guard:
                self.answered += 1
                if not answer.ok:
                    self.failed.append(f"{method} {path}: {answer.status_code} {answer.text}")
            return answer
        self.failed.append(f"{method} {path}: {told}")
        raise AssertionError(told)


@pytest.fixture
def site() -> Iterator[SimulatedSite]:
    with SimulatedSite(hosts=4, time_scale=200) as site:
        yield site


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[dict[str, Process]]:
    config = configuration(tmp_path, xenapi={"poll_interval": 0.05})
    found: dict[str, Process] = {}
    for number in (1, 2):
        port = free_port()
        own = tmp_path / f"api{number}.conf"
        own.write_text(f"[api]\nport = {port}\n")
        files = ["--config-file", str(config)]
        api = [str(BIN / "nova-aggregates-api"), *files, "--config-file", str(own)]
        found[f"api{number}"] = Process(api, tmp_path / f"api{number}.log", port)
        manager = [str(BIN / "nova-aggregates-manager"), *files]
        found[f"manager{number}"] = Process(manager, tmp_path / f"manager{number}.log")
    try:
        for process in found.values():
            process.wait()
        yield found
    finally:
        for process in found.values():
            process.stop()


def register(balancer: Balancer, site: SimulatedSite) -> None:
    for host in site.hosts:
        body = {
            "name": host.name,
            "address": host.address,
            "port": host.port,
            "user": host.username,
            "password": host.password,
            "zone": "z",
            "fingerprint": host.fingerprint,
        }
        balancer.send("POST", "/os-hosts", {"host": body})


class Load:
    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self.operations: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(READERS)]
        self._threads += [
            threading.Thread(target=self._change, args=hosts)
            for hosts in (("host1", "host2"), ("host3", "host4"))
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE)

    def _read(self) -> None:
        paths = itertools.cycle(["/os-aggregates", "/os-hosts", "/os-operations?limit=5"])
        while not self._stop.is_set():
            self.balancer.send("GET", next(paths))

    def _change(self, first: str, second: str) -> None:
        body = {"aggregate": {"name": first, "availability_zone": "z"}}
        made = self.balancer.send("POST", "/os-aggregates", body).json()["aggregate"]
        path = f"/os-aggregates/{made['id']}/action"
        self._act(path, "add_host", first)
        while not self._stop.is_set():
            self._act(path, "add_host", second)
            self._act(path, "remove_host", second)

    def _act(self, path: str, action: str, host: str) -> None:
        answer = self.balancer.send("POST", path, {action: {"host": host}})
        uuid_ = answer.headers["X-Operation-Id"]
        self.operations.append(uuid_)
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            found = self.balancer.send("GET", f"/os-operations/{uuid_}").json()["operation"]
            if found["state"] not in ("queued", "running"):
                return
            time.sleep(0.1)


def test_nothing_fails_and_nothing_is_lost(
    processes: dict[str, Process], site: SimulatedSite
) -> None:
    apis = [process.port for process in processes.values() if process.port]
    balancer = Balancer(apis)
    register(balancer, site)
    load = Load(balancer)
    try:
        while not load.operations:
            time.sleep(0.05)
        for name in ("api1", "manager1", "api2", "manager2"):
            done = len(load.operations)
            processes[name].restart()
            # Work goes on while it is away and afterwards.
            end = time.monotonic() + DEADLINE
            while len(load.operations) < done + 1:
                assert time.monotonic() < end, f"no operation since the restart of {name}"
                time.sleep(0.05)
    finally:
        load.stop()
    assert balancer.failed == []
    assert balancer.answered > 50
    answer = balancer.send("GET", "/os-operations?limit=1000")
    states = {each["uuid"]: each["state"] for each in answer.json()["operations"]}
    assert {uuid_: states.get(uuid_) for uuid_ in load.operations} == dict.fromkeys(
        load.operations, "succeeded"
    )
    assert set(states) == set(load.operations)
