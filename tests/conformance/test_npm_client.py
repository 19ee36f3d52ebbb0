"""An independent client agrees: the npm package xen-api, with which Xen Orchestra talks to hosts.

It speaks JSON-RPC, reads all records at first and then follows events; it goes by its own ideas
from one master to the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_aggregates.simulator.testing import SimulatedSite
from tests.conformance.client import BOGUS, Host, Site
from tests.conformance.conftest import host_of, usable

HERE = Path(__file__).parent / "xen_api"
PATIENCE = 120.0  # real seconds, on a busy machine
TIME_SCALE = 100.0
REQUIRED = os.environ.get("NOVA_AGGREGATES_REQUIRE_ALL") == "1"


@pytest.fixture(scope="module")
def installed(pytestconfig: pytest.Config) -> Path:
    """The client with its dependencies, kept between runs in pytest's cache."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        if REQUIRED:
            pytest.fail("node and npm are not here, and everything is required")
        pytest.skip("node and npm are not here")
    where = Path(pytestconfig.cache.mkdir("xen-api"))
    wanted = (HERE / "package.json").read_text()
    done = where / "installed.json"
    if not done.exists() or done.read_text() != wanted:
        (where / "package.json").write_text(wanted)
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        run = subprocess.run(
            [npm, "install", *options], cwd=where, capture_output=True, text=True, timeout=280
        )
        assert run.returncode == 0, run.stderr[-2000:]
        done.write_text(wanted)
    shutil.copy(HERE / "watch.mjs", where)
    return where


class Client:
    """The running client: what it sees, and what it answers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._number = 0
        self.state: dict[str, Any] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(json.loads(line))
        self._said.put(None)

    def _hear(self) -> dict[str, Any]:
        said = self._said.get(timeout=PATIENCE)
        if said is None:
            assert self._process.stderr is not None
            raise AssertionError(f"the client ended: {self._process.stderr.read()[-2000:]}")
        self.state = said.get("state", self.state)
        return said

    def sees(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        while not (self.state and condition(self.state)):
            self._hear()

    def ask(self, how: str, method: str, *params: Any) -> dict[str, Any]:
        self._number += 1
        line = json.dumps({"id": self._number, how: [method, *params]})
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        while True:
            said = self._hear()
            if said.get("id") == self._number:
                return said


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with SimulatedSite(hosts=2, time_scale=TIME_SCALE, password="conformance") as simulated:
        hosts = [Host(h.url, h.username, h.password) for h in simulated.hosts]
        yield Site(hosts, pause=0.02, patience=PATIENCE)


@pytest.fixture(scope="module")
def client(installed: Path, site: Site) -> Iterator[Client]:
    host = site.hosts[0]
    known = {"XAPI_URL": host.url, "XAPI_USER": host.user, "XAPI_PASSWORD": host.password}
    process = subprocess.Popen(
        ["node", "watch.mjs"],
        cwd=installed,
        env={**os.environ, **known},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Client(process)
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.communicate(timeout=30)


def test_it_logs_in_and_sees_the_pool(client: Client, site: Site) -> None:
    first = site.hosts[0]
    client.sees(lambda s: s["hosts"] == [[first.address, True, True]])
    ((uuid, _, master),) = client.state["pools"]
    session = first.log_in()
    assert uuid == session.call("pool.get_uuid", session.pool)
    assert master == first.address


def test_it_calls_methods_and_sees_what_they_change(client: Client, site: Site) -> None:
    pool = site.hosts[0].log_in().pool
    assert client.ask("call", "pool.set_name_label", pool, "by node")["result"] == ""
    client.sees(lambda s: s["pools"][0][1] == "by node")
    assert client.ask("call", "host.get_record", BOGUS)["error"] == [
        "HANDLE_INVALID",
        "host",
        BOGUS,
    ]


def test_it_runs_tasks_and_reads_their_results(client: Client, site: Site) -> None:
    master = site.hosts[0].log_in().master
    assert "error" not in client.ask("task", "host.disable", master)
    client.sees(lambda s: s["hosts"][0][1] is False)
    assert "error" not in client.ask("task", "host.enable", master)
    client.sees(lambda s: s["hosts"][0][1] is True)
    assert client.ask("task", "pool.eject", BOGUS)["error"] == ["HOST_OFFLINE", BOGUS]


def test_it_follows_a_join(client: Client, site: Site) -> None:
    first, second = site.hosts
    joined = second.log_in()
    joined.call("pool.join", first.address, first.user, first.password)
    client.sees(lambda s: [second.address, False, False] in s["hosts"])
    client.sees(lambda s: [second.address, True, True] in s["hosts"])
    session = first.log_in()
    site.wait("the storage is attached", lambda: usable(session, host_of(site, session, 1)))


def test_it_follows_the_role_to_another_master(client: Client, site: Site) -> None:
    first, second = site.hosts
    session = first.log_in()
    session.call("pool.designate_new_master", host_of(site, session, 1))
    client.sees(
        lambda s: (
            s["asked"] == second.address
            and s["pools"][0][2] == second.address
            and all(enabled and live for _, enabled, live in s["hosts"])
            and len(s["hosts"]) == 2
        )
    )
    pool = second.log_in().pool
    assert client.ask("call", "pool.set_name_label", pool, "at the new one")["result"] == ""
    client.sees(lambda s: s["pools"][0][1] == "at the new one")
