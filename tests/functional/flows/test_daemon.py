"""The manager as the process that it is: eventlet, signals, several at once, sudden death."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nova_aggregates.objects import OperationState
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.flows.conftest import TIME_SCALE, TIMING
from tests.functional.flows.truth import Truth
from tests.unit.flows.bench import Bench, until

START_SECONDS = 60
Start = Callable[..., subprocess.Popen[bytes]]


def script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def session_of(pid: int) -> list[int]:
    """The processes that were started by ``pid``, itself included, and still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, session = fields[0], int(fields[3])
        if session == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture
def config(tmp_path: Path, bench: Bench) -> Path:
    path = tmp_path / "nova-aggregates.conf"
    path.write_text(
        f"""
[api]
port = {free_port()}
workers = 2
[auth]
strategy = noauth
[database]
connection = sqlite:///{bench.path}
[coordination]
backend_url = {bench.locks_url}
[credentials]
key_file = {bench.key}
[manager]
poll_interval = 0.05
max_operations = 1
observe_interval = 0.5
[xenapi]
poll_interval = {TIMING.poll}
role_change_window = {TIMING.fuse}
call_timeout = 20
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def start(tmp_path: Path, config: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[bytes]] = []

    def begin(name: str = "nova-aggregates-manager") -> subprocess.Popen[bytes]:
        with (tmp_path / f"log-{len(processes)}").open("wb") as log:
            process = subprocess.Popen(
                [script(name), "--config-file", str(config)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        processes.append(process)
        log_path = tmp_path / f"log-{len(processes) - 1}"

        def started() -> bool:
            text = log_path.read_text(encoding="utf-8")
            assert process.poll() is None, text
            return "manager.started" in text

        until(started, START_SECONDS)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.terminate()
        process.wait(20)
    for log in sorted(tmp_path.glob("log-*")):
        text = log.read_text(encoding="utf-8")
        assert "Traceback" not in text, text
        assert "arning: " not in text, text


def kill_at(process: subprocess.Popen[bytes], bench: Bench, uuid: str, step: str) -> None:
    until(lambda: step in bench.steps(uuid), START_SECONDS)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def slowly(site: SimulatedSite) -> Iterator[None]:
    """So that whoever shall die in the middle of something does."""
    assert site.simulation is not None
    site.simulation.clock.set_scale(60)
    yield
    site.simulation.clock.set_scale(TIME_SCALE)


@pytest.mark.usefixtures("slowly")
def test_killed_in_the_middle_the_next_one_finishes(
    bench: Bench, site: SimulatedSite, truth: Truth, start: Start
) -> None:
    blue = bench.aggregate("blue")
    bench.add(blue, "host1")
    added = bench.add(blue, "host2")
    kill_at(start(), bench, added, "join_pool")
    kill_at(start(), bench, added, "await_member")
    process = start()
    (operation,) = bench.succeeded(added, seconds=START_SECONDS)
    assert operation.fence > 1
    assert truth.pool("host1").ready == {"host1", "host2"}
    removed = bench.remove(blue, "host1")
    kill_at(process, bench, removed, "hand_over_master")
    kill_at(start(), bench, removed, "eject_host")
    start()
    bench.succeeded(removed, seconds=START_SECONDS)
    assert truth.pool("host2").ready == {"host2"}
    assert truth.pool("host1").hosts == {"host1"}
    assert bench.show(blue).hosts == ("host2",)


def test_two_managers_share_the_work(
    bench: Bench, site: SimulatedSite, truth: Truth, start: Start, tmp_path: Path
) -> None:
    start()
    start()
    blue, red = bench.aggregate("blue"), bench.aggregate("red")
    uuids = []
    for _ in range(3):
        uuids += [bench.add(blue, "host1"), bench.add(red, "host2")]
        uuids += [bench.add(blue, "host3"), bench.remove(blue, "host3")]
        uuids += [bench.remove(blue, "host1"), bench.remove(red, "host2")]
    operations = bench.succeeded(*uuids, seconds=120)
    assert all(operation.fence == 1 for operation in operations)
    assert len({operation.owner for operation in operations}) == 2
    assert all(truth.pool(host.name).hosts == {host.name} for host in site.hosts)
    for log in tmp_path.glob("log-*"):
        assert not any(host.password in log.read_text() for host in site.hosts)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_between_two_looks(
    bench: Bench, site: SimulatedSite, start: Start, how: signal.Signals
) -> None:
    blue = bench.aggregate()
    added = bench.add(blue, "host1")
    process = start()
    bench.succeeded(added, seconds=START_SECONDS)
    site.change("flag", "host2", flag="disabled")
    waiting = bench.add(blue, "host2")
    until(lambda: bench.operation(waiting).step == "await_member", START_SECONDS)
    process.send_signal(how)
    assert process.wait(10) == 0
    assert bench.operation(waiting).state is OperationState.RUNNING


def test_the_hosts_are_seen(bench: Bench, site: SimulatedSite, start: Start) -> None:
    site.fault("power-off", "host4")
    start()
    others = ("host1", "host2", "host3")
    until(lambda: all(bench.managers.hosts.show(name).last_seen for name in others), START_SECONDS)
    host = bench.managers.hosts.show("host1")
    assert host.xen_uuid == site.host("host1").uuid
    assert host.inventory is not None
    assert host.inventory.vcpus > 0
    assert host.inventory.memory_mb > 0
    assert bench.managers.hosts.show("host4").last_seen is None


def test_a_schema_that_is_missing_is_told_in_one_line(tmp_path: Path, config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("service.sqlite", "other.sqlite"), encoding="utf-8")
    done = subprocess.run(
        [script("nova-aggregates-manager"), "--config-file", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nova-aggregates-manage db sync" in done.stderr


def test_a_lock_directory_that_cannot_be_made_is_told_in_one_line(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("/locks", "/service.sqlite/locks"), encoding="utf-8")
    done = subprocess.run(
        [script("nova-aggregates-manager"), "--config-file", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "[coordination] backend_url" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_everything_in_one_command_leaves_no_process_behind(
    bench: Bench, site: SimulatedSite, start: Start, how: signal.Signals
) -> None:
    added = bench.add(bench.aggregate(), "host1")
    process = start("nova-aggregates-all")
    bench.succeeded(added, seconds=START_SECONDS)
    until(lambda: len(session_of(process.pid)) == 4)  # the parent, two workers, the manager
    process.send_signal(how)
    code = process.wait(10)
    assert code == (-signal.SIGKILL if how is signal.SIGKILL else 0)
    until(lambda: session_of(process.pid) == [])
