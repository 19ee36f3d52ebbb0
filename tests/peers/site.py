"""The other side of the service: a real Keystone, and the clients that people have.

They live in an environment of their own, ``.venv-peers``, which ``.ci/peers`` makes; without it the
tests are skipped, or fail when ``NOVA_AGGREGATES_REQUIRE_ALL=1``.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.peers.keystone_site import HOST, PASSWORD, READY

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
START_SECONDS = 180
TIMEOUT = 60


def require() -> None:
    if not PYTHON.exists():
        reason = f"no environment with Keystone and the clients; {ROOT / '.ci/peers'} makes it"
        if os.environ.get("NOVA_AGGREGATES_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def run(script: str, *arguments: str, stdin: str = "", **environment: str) -> str:
    """What a script of this folder printed."""
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", str(FOLDER / script), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        env={"PATH": os.environ["PATH"], "HOME": str(ROOT), **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Keystone:
    """A Keystone that serves, with the administrator that bootstrap makes."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self._session = session
        self._session.headers["X-Auth-Token"] = self.token("admin", PASSWORD, "admin")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, self.url + path, json=body, timeout=TIMEOUT)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def token(self, user: str, password: str, project: str | None) -> str:
        """A token for the project, or (None) for the whole system."""
        domain = {"id": "default"}
        scope: dict[str, Any] = {"system": {"all": True}}
        if project is not None:
            scope = {"project": {"name": project, "domain": domain}}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": password}},
        }
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = requests.post(f"{self.url}/auth/tokens", json=body, timeout=TIMEOUT)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def project(self, name: str) -> str:
        made = self.ask("POST", "/projects", {"project": {"name": name, "domain_id": "default"}})
        return made["project"]["id"]

    def role(self, name: str) -> str:
        found = self.ask("GET", f"/roles?name={name}")["roles"]
        if not found:
            found = [self.ask("POST", "/roles", {"role": {"name": name}})["role"]]
        return found[0]["id"]

    def user(self, name: str, role: str, project: str | None) -> None:
        """A user whose password is his name, with a role in a project, or in the whole system."""
        body = {"user": {"name": name, "password": name, "domain_id": "default"}}
        number = self.ask("POST", "/users", body)["user"]["id"]
        place = "/system" if project is None else f"/projects/{project}"
        self.ask("PUT", f"{place}/users/{number}/roles/{self.role(role)}")

    def compute_at(self, url: str) -> None:
        """Enter the service into the catalogue."""
        service = {"service": {"type": "compute", "name": "nova-aggregates"}}
        number = self.ask("POST", "/services", service)["service"]["id"]
        endpoint = {
            "service_id": number,
            "interface": "public",
            "region": "RegionOne",
            "url": url,
        }
        self.ask("POST", "/endpoints", {"endpoint": endpoint})

    def clock(self, ahead: int) -> None:
        root = self.url.removesuffix("/v3")
        requests.post(f"{root}/clock?ahead={ahead}", timeout=TIMEOUT).raise_for_status()


@contextlib.contextmanager
def keystone() -> Iterator[Keystone]:
    """A Keystone of one's own, ended with the block."""
    require()
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="nova-aggregates-keystone-") as folder:
        command = [str(PYTHON), "-W", "ignore", str(FOLDER / "keystone_site.py"), folder, str(port)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            _await(process, Path(folder))
            session = requests.Session()
            session.trust_env = False
            yield Keystone(f"http://{HOST}:{port}/v3", session)
        finally:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[str], folder: Path) -> None:
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.strip())
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    said = []
    while (line := lines.get(timeout=START_SECONDS)) != READY:
        said.append(line)
        if process.poll() is not None and lines.empty():
            log = folder / "keystone.log"
            pytest.fail("\n".join(said) + (log.read_text()[-2000:] if log.exists() else ""))
