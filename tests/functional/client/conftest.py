"""The service and simulated hosts as processes of their own, once for all tests of the client."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from nova_aggregates.client import main
from nova_aggregates.demo.processes import Family
from nova_aggregates.demo.service import PROJECT, Service, Settings, StateDirectory

SCRIPT = Path(sys.executable).parent / "nova-aggregates"


@dataclasses.dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


class Terminal:
    """``nova-aggregates`` with the variables that lead to the service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.endpoint = service.client.base
        self.environment = {
            "OS_ENDPOINT": self.endpoint,
            "OS_PROJECT_NAME": PROJECT,
            "no_proxy": "*",
        }

    def process(
        self, *arguments: str, environment: Mapping[str, str] | None = None, stdin: str = ""
    ) -> Result:
        """In a process of its own, without a terminal."""
        variables = self.environment if environment is None else environment
        clean = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        done = subprocess.run(
            [SCRIPT, *arguments],
            env={**clean, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state = StateDirectory(tmp_path_factory.mktemp("client"), keep=True)
    family = Family()
    settings = Settings(
        port=port,
        hosts=6,
        zones=("nova",),
        time_scale=50.0,
        state_dir=None,
        keep=True,
        database=None,
        workers=1,
    )
    service = Service(settings, state, family)
    try:
        service.start()
        yield Terminal(service)
    finally:
        family.stop()
        state.close()


@pytest.fixture
def run(terminal: Terminal, capsys, monkeypatch: pytest.MonkeyPatch):
    """The client in this process, which starts it faster."""
    for name in list(os.environ):
        if name.startswith("OS_"):
            monkeypatch.delenv(name)
    for name, value in terminal.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        try:
            code = main.main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run
