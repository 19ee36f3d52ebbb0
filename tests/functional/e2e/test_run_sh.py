"""./run.sh as a newcomer meets it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests


def test_walk_once(run_sh, port, tmp_path):
    run = run_sh("--once", "--port", str(port), "--time-scale", "50")
    assert run.wait() == 0, run.out + run.err
    assert "Everything as promised" in run.out
    assert run.out.count("hosts say:") >= 8
    assert "Traceback" not in run.out + run.err
    assert not run.left_behind()
    assert not list(tmp_path.glob("nova-aggregates-*/")), "the fresh state directory must go"


def test_serve_prints_one_line_and_serves(run_sh, port, tmp_path):
    state = tmp_path / "state"
    run = run_sh(
        *("--serve", "--port", str(port), "--hosts", "4", "--zones", "a,b"),
        *("--workers", "2", "--state-dir", str(state), "--time-scale", "50"),
    )
    run.wait_until(lambda: "ready" in run.out)
    assert run.out == f"ready http://127.0.0.1:{port}\n"
    headers = {"X-Auth-Token": "admin:demo"}
    answer = requests.get(
        f"http://127.0.0.1:{port}/v1.1/demo/os-hosts", headers=headers, timeout=10
    )
    zones = sorted((host["host_name"], host["zone"]) for host in answer.json()["hosts"])
    assert zones == [("host1", "a"), ("host2", "a"), ("host3", "b"), ("host4", "b")]
    run.process.send_signal(signal.SIGTERM)
    assert run.wait(30) == 0, run.err
    assert not run.left_behind()
    assert (state / "service.sqlite").exists(), "an explicit state directory is kept"


def test_second_start_says_what_is_in_the_way(run_sh, port, tmp_path):
    state = tmp_path / "state"
    first = run_sh("--serve", "--port", str(port), "--hosts", "3", "--state-dir", str(state))
    first.wait_until(lambda: "ready" in first.out)

    same_port = run_sh("--once", "--port", str(port))
    assert same_port.wait(30) == 1
    assert f"127.0.0.1:{port} cannot be used" in same_port.err
    assert "--port" in same_port.err

    same_state = run_sh("--once", "--state-dir", str(state))
    assert same_state.wait(30) == 1
    assert f"in use by process {first.process.pid}" in same_state.err
    assert "Traceback" not in same_port.err + same_state.err
    assert first.process.poll() is None
    assert not same_port.left_behind()
    assert not same_state.left_behind()


@pytest.mark.parametrize(
    "moment", ["Starting", "Create an aggregate", ".. add_host", ".. remove_host"]
)
def test_stopped_at_any_moment_leaves_nothing(run_sh, port, tmp_path, moment):
    run = run_sh("--once", "--port", str(port), "--time-scale", "20")
    run.wait_until(lambda: moment in run.out)
    run.process.send_signal(signal.SIGINT)
    assert run.wait(60) == 130, run.err
    assert "Traceback" not in run.err
    assert not run.left_behind()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_killed_parent_takes_its_children_along(run_sh, port):
    run = run_sh("--serve", "--port", str(port), "--hosts", "1")
    run.wait_until(lambda: "ready" in run.out)
    os.kill(run.process.pid, signal.SIGKILL)
    run.wait(10)
    end = time.monotonic() + 30
    while run.left_behind() and time.monotonic() < end:
        time.sleep(0.1)
    assert not run.left_behind()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--hosts", "0"], "--hosts"),
        (["--hosts", "2"], "three hosts"),
        (["--zones", "a,a", "--serve"], "zone names"),
        (["--zones", "a:b", "--serve"], "colons"),
        (["--port", "65536"], "--port"),
        (["--time-scale", "nan"], "--time-scale"),
        (["--once", "--serve"], "not allowed with"),
    ],
)
def test_bad_options_are_refused_in_words(run_sh, arguments, word):
    run = run_sh(*arguments)
    assert run.wait(30) == 2
    assert word in run.err
    assert "Traceback" not in run.err


def test_unsupported_python_is_refused_in_words(tmp_path):
    script = Path(__file__).parents[3] / "run.sh"
    done = subprocess.run(
        [str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": "/bin/false"},
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "3.11, 3.12 or 3.13" in done.stderr
