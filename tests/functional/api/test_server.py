"""The server beside slow, greedy and many clients, and the application in servers of others."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.api.running import configuration, load_options, running
from tests.functional.api.test_process import DEADLINE, free_port, status_of, until

with warnings.catch_warnings():
    # It announces its retirement, at each import.
    warnings.simplefilter("ignore")
    import eventlet

    from nova_aggregates.api.server import ApiServer

REQUEST = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class Recorder:
    """An application that notes the order of its requests; the first one waits for a signal."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.go = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.paths.append(environ["PATH_INFO"])
        while not self.go.is_set():
            eventlet.sleep(0.01)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]


@contextlib.contextmanager
def serving(application: Any) -> Iterator[int]:
    ready, stop = threading.Event(), threading.Event()
    ports: list[int] = []

    def serve(folder: str) -> None:
        server = ApiServer(load_options(configuration(Path(folder))), application)
        ports.append(server.port)
        server.start()
        ready.set()
        while not stop.is_set():
            eventlet.sleep(0.01)
        server.stop()
        server.wait()

    with tempfile.TemporaryDirectory() as folder:
        thread = threading.Thread(target=serve, args=(folder,), daemon=True)
        thread.start()
        assert ready.wait(DEADLINE)
        yield ports[0]
        stop.set()
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_a_client_that_never_pauses_does_not_starve_the_others() -> None:
    recorder = Recorder()
    with serving(recorder) as port:
        address = ("127.0.0.1", port)
        with (
            socket.create_connection(address, timeout=DEADLINE) as greedy,
            socket.create_connection(address, timeout=DEADLINE) as modest,
        ):
            greedy.sendall(REQUEST % b"/greedy" * 200)
            until(lambda: recorder.paths)
            modest.sendall(REQUEST % b"/modest")
            recorder.go.set()
            assert modest.recv(4096).startswith(b"HTTP/1.1 200")
            until(lambda: len(recorder.paths) == 201)
    assert recorder.paths.index("/modest") < 50


@pytest.mark.parametrize("sent", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: "])
def test_headers_that_trickle_in_are_not_waited_for(sent: bytes) -> None:
    with (
        running(api={"header_timeout": 1}) as api,
        socket.create_connection(("127.0.0.1", api.port), timeout=DEADLINE) as slow,
    ):
        slow.sendall(sent)
        stop = threading.Event()

        def trickle() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    slow.sendall(b"x")

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        try:
            assert slow.recv(4096).startswith(b"HTTP/1.")
            assert status_of(api.port) == 200
        finally:
            stop.set()
            thread.join(DEADLINE)


def test_what_is_idle_is_not_slow() -> None:
    with (
        running(api={"header_timeout": 0.1}) as api,
        socket.create_connection(("127.0.0.1", api.port), timeout=DEADLINE) as connection,
    ):
        for _ in range(2):
            connection.sendall(REQUEST % b"/")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            eventlet.sleep(0.3)


SERVERS = {
    "gunicorn": ["gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "{app}"],
    "gunicorn threads": [
        "gunicorn",
        "--threads",
        "4",
        "--bind",
        "127.0.0.1:{port}",
        "{app}",
    ],
    "uwsgi": [
        "uwsgi",
        "--http-socket",
        "127.0.0.1:{port}",
        "--master",
        "--die-on-term",
        "--processes",
        "2",
        "--enable-threads",
        "--module",
        "{app}",
    ],
}


@pytest.mark.parametrize("server", SERVERS)
def test_the_application_in_servers_of_others(server: str, tmp_path: Path) -> None:
    port = free_port()
    name, *arguments = (
        part.format(port=port, app="nova_aggregates.api.wsgi:application")
        for part in SERVERS[server]
    )
    log = (tmp_path / "log").open("w+", encoding="utf-8")
    with log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / name, *arguments],
            env={**os.environ, "NOVA_AGGREGATES_CONFIG": str(configuration(tmp_path))},
            stdout=log,
            stderr=log,
        )
        try:
            until(lambda: _answers(port) or process.poll() is not None)
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert [status_of(port) for _ in range(8)] == [200] * 8
        finally:
            process.terminate()
            process.wait(DEADLINE)
    assert "Traceback" not in (tmp_path / "log").read_text()


def _answers(port: int) -> bool:
    try:
        return status_of(port) == 200
    except OSError:
        return False
