"""nova-aggregates-api as an operator runs it."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.api.running import TOKEN, configuration, running

SCRIPT = Path(sys.executable).parent / "nova-aggregates-api"
DEADLINE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {DEADLINE} s")


def status_of(port: int, method: str = "GET", path: str = "/v1.1/demo/os-aggregates") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=TOKEN)
        return connection.getresponse().status
    except (ConnectionError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Daemon:
    def __init__(self, config: Path, port: int) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [SCRIPT, "--config-file", config],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def stop(self, number: int = signal.SIGTERM) -> str:
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=DEADLINE)
        return output


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    daemons: list[Daemon] = []

    def start(**api: Any) -> Daemon:
        port = free_port()
        daemon = Daemon(configuration(tmp_path, api={"port": port, **api}), port)
        daemons.append(daemon)
        until(lambda: status_of(port) == 200 or daemon.process.poll() is not None)
        return daemon

    yield start
    for daemon in daemons:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon.process.pid, signal.SIGKILL)
        daemon.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_worker_serves_and_stops(start: Callable[..., Daemon], number: int) -> None:
    daemon = start()
    assert status_of(daemon.port) == 200
    assert daemon.children() == []
    output = daemon.stop(number)
    assert daemon.process.returncode == 0
    assert "Traceback" not in output
    assert not re.search("deprecat|warning", output, re.IGNORECASE), output
    assert '"GET /v1.1/demo/os-aggregates HTTP/1.1" status: 200' in output


def test_workers_share_the_port_and_leave_with_their_parent(start: Callable[..., Daemon]) -> None:
    daemon = start(workers=2)
    workers = until(lambda: len(daemon.children()) == 2 and daemon.children())
    output = daemon.stop()
    assert daemon.process.returncode == 0
    assert "Traceback" not in output
    assert not re.search("deprecat|warning", output, re.IGNORECASE), output
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_workers_that_are_killed_are_replaced(start: Callable[..., Daemon]) -> None:
    daemon = start(workers=2)
    former = set(until(lambda: len(daemon.children()) == 2 and daemon.children()))
    assert status_of(daemon.port) == 200
    for worker in former:
        os.kill(worker, signal.SIGKILL)
    until(lambda: len(daemon.children()) == 2 and not former & set(daemon.children()))
    assert until(lambda: status_of(daemon.port)) == 200
    daemon.stop()
    assert daemon.process.returncode == 0


def test_each_worker_has_log_locks_of_its_own() -> None:
    """A worker that is killed while it writes a line must not keep the lock of the others."""
    handler = logging.NullHandler()
    handler.createLock = lambda: setattr(handler, "lock", object())
    handler.createLock()
    shared = handler.lock
    logging.getLogger().addHandler(handler)
    try:
        with running():
            assert handler.lock is not shared
    finally:
        logging.getLogger().removeHandler(handler)


def test_a_request_under_way_is_answered_before_the_end(start: Callable[..., Daemon]) -> None:
    daemon = start()
    body = b'{"aggregate": {"name": "a", "availability_zone": "b"}}'
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=DEADLINE) as connection:
        head = (
            "POST /v1.1/demo/os-aggregates HTTP/1.1\r\nHost: x\r\nX-Auth-Token: a:demo\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Expect: 100-continue\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 100")
        daemon.process.send_signal(signal.SIGTERM)
        until(lambda: status_of(daemon.port) == 0)
        connection.sendall(body)
        assert b"HTTP/1.1 409" in connection.recv(4096)
    daemon.process.communicate(timeout=DEADLINE)
    assert daemon.process.returncode == 0


def test_hangup_reloads_without_losing_the_port(start: Callable[..., Daemon]) -> None:
    daemon = start()
    daemon.process.send_signal(signal.SIGHUP)
    for _ in range(5):
        until(lambda: status_of(daemon.port) == 200)
    assert daemon.process.poll() is None


def complaint(config: Path, *arguments: str) -> str:
    """The only line of a daemon that does not start."""
    done = subprocess.run(
        [SCRIPT, "--config-file", config, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("nova-aggregates-api: ")
    return lines[0]


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = complaint(configuration(tmp_path, api={"port": port}))
    assert f"127.0.0.1:{port}" in line
    assert "Address already in use" in line


def test_database_without_a_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    line = complaint(configuration(tmp_path, database={"connection": url}))
    assert "nova-aggregates-manage db sync" in line


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"api": {"host": "0.0.0.0"}}, "noauth"),
        ({"api": {"host": "192.0.2.1"}, "auth": {"strategy": "keystone"}}, "keystone_authtoken"),
        ({"auth": {"strategy": "magic"}}, "magic"),
        ({"api": {"paste_config": "nowhere.ini"}}, "nowhere.ini"),
    ],
    ids=str,
)
def test_bad_configuration(tmp_path: Path, sections: dict[str, Any], words: str) -> None:
    assert words in complaint(configuration(tmp_path, **sections))


def test_missing_configuration_file(tmp_path: Path) -> None:
    assert "nowhere.conf" in complaint(tmp_path / "nowhere.conf")


def test_broken_paste_file(tmp_path: Path) -> None:
    paste = tmp_path / "paste.ini"
    paste.write_text("[composite:main]\nuse = egg:no-such-thing\n", encoding="utf-8")
    assert str(paste) in complaint(configuration(tmp_path, api={"paste_config": paste}))


def test_connections_beyond_the_limit_wait() -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with running(api={"max_connections": 1}) as api:
        address = ("127.0.0.1", api.port)
        with socket.create_connection(address, timeout=DEADLINE) as first:
            first.sendall(request)
            assert first.recv(4096).startswith(b"HTTP/1.1 200")
            second = socket.create_connection(address, timeout=DEADLINE)
            second.sendall(request)
            assert select.select([second], [], [], 0.2)[0] == []
        with second:
            assert second.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_silent_connection_is_closed() -> None:
    with (
        running(api={"socket_timeout": 1}) as api,
        socket.create_connection(("127.0.0.1", api.port), timeout=DEADLINE) as connection,
    ):
        connection.sendall(b"GET / HT")
        assert b" 408 " in connection.recv(4096)
        assert connection.recv(4096) == b""


WSGI_SERVER = """
import sys
from nova_aggregates.api.wsgi import application
assert "eventlet" not in sys.modules
import webob
for _ in range(2):
    request = webob.Request.blank("/v1.1/demo/os-aggregates", headers={"X-Auth-Token": "a:demo"})
    print(request.get_response(application).json)
import socket
assert socket.socket.__module__ == "socket"
"""


def test_application_for_other_wsgi_servers(tmp_path: Path) -> None:
    environment = {**os.environ, "NOVA_AGGREGATES_CONFIG": str(configuration(tmp_path))}
    done = subprocess.run(
        [sys.executable, "-c", WSGI_SERVER],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.stdout == "{'aggregates': []}\n" * 2, done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_open_event_streams_do_not_hold_up_the_stop(
    start: Callable[..., Daemon], workers: int
) -> None:
    daemon = start(workers=workers)
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.request("GET", "/v1.1/demo/os-operations/events", headers=TOKEN)
        answer = connection.getresponse()
        assert answer.readline().startswith(b"retry: ")
        # Others are served by the same worker while the stream is open.
        assert [status_of(daemon.port) for _ in range(4)] == [200] * 4
        began = time.monotonic()
        output = daemon.stop()
        assert time.monotonic() - began < 10
        # A stream that is cut has no last chunk, at which read() would raise.
        assert answer.read().startswith(b"id: ")
    assert daemon.process.returncode == 0
    assert "Traceback" not in output
