"""What machines that watch the service are told: health, metrics, the log."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.functional.api.running import TOKEN, configuration, running
from tests.functional.api.test_process import DEADLINE, Daemon, free_port, status_of, until


def get(url: str, **arguments: Any) -> requests.Response:
    return requests.get(url, timeout=30, **arguments)


def test_a_healthy_service_says_so_without_a_log_in() -> None:
    with running(auth={"strategy": "noauth"}) as api:
        for path in ("", "/", "/live", "/ready"):
            answer = get(f"{api.url}/healthcheck{path}")
            assert (answer.status_code, answer.json()) == (200, {"healthy": True, "reasons": []})
            head = requests.head(f"{api.url}/healthcheck{path}", timeout=30)
            assert (head.status_code, head.content) == (200, b"")
        assert get(f"{api.url}/healthcheck/other").status_code == 404
        wrong = requests.post(f"{api.url}/healthcheck", timeout=30)
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD")


def test_a_service_that_cannot_serve_lives_and_gives_its_reasons() -> None:
    with running() as api:
        Path(api.conf.credentials.key_file).chmod(0o644)
        database = Path(api.conf.database.connection.removeprefix("sqlite:///"))
        database.rename(database.with_suffix(".away"))
        answer = get(f"{api.url}/healthcheck")
        assert answer.status_code == 503
        reasons = {each["check"]: each["reason"] for each in answer.json()["reasons"]}
        assert reasons.keys() == {"database", "credentials"}
        assert "chmod 600" in reasons["credentials"]
        assert get(f"{api.url}/healthcheck/live").status_code == 200
        database.with_suffix(".away").rename(database)
        Path(api.conf.credentials.key_file).chmod(0o600)
        assert get(f"{api.url}/healthcheck").status_code == 200


def samples(url: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = get(f"{url}/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def sample(url: str, name: str, **labels: str) -> float:
    return samples(url).get((f"nova_aggregates_{name}", frozenset(labels.items())), 0.0)


def test_metrics_count_requests_and_what_the_database_has() -> None:
    with running() as api:
        index = {"method": "GET", "resource": "os-aggregates", "status": "200"}
        before = sample(api.url, "request_seconds_count", **index)
        for _ in range(3):
            assert get(f"{api.base}/os-aggregates", headers=TOKEN).status_code == 200
        get(f"{api.url}/v1.1/demo/{'x' * 100}", headers=TOKEN)
        assert sample(api.url, "request_seconds_count", **index) == before + 3
        assert sample(api.url, "database_up") == 1
        host = {
            "name": "h1",
            "address": "127.9.9.9",
            "user": "root",
            "password": "x",
            "zone": "z",
            "insecure": True,
        }
        url = f"{api.base}/os-hosts"
        assert requests.post(url, json={"host": host}, headers=TOKEN, timeout=30).ok
        assert sample(api.url, "hosts", status="disabled", maintenance="off_maintenance") == 1
        assert "xxxx" not in get(f"{api.url}/metrics").text


def test_metrics_are_for_the_networks_that_may_read_them() -> None:
    with running(metrics={"networks": "192.0.2.0/24,2001:db8::/32"}) as api:
        assert get(f"{api.url}/metrics").status_code == 403
        forwarded = {"X-Forwarded-For": "192.0.2.7"}
        assert get(f"{api.url}/metrics", headers=forwarded).status_code == 403


def test_metrics_without_a_database() -> None:
    with running() as api:
        database = Path(api.conf.database.connection.removeprefix("sqlite:///"))
        database.unlink()
        database.mkdir()
        assert sample(api.url, "database_up") == 0


def test_a_user_who_asks_too_often_waits() -> None:
    limits = {"requests_per_second": "0.01", "burst": "2", "loopback": "true"}
    with running(rate_limit=limits) as api:
        url = f"{api.base}/os-aggregates"
        assert [get(url, headers=TOKEN).status_code for _ in range(3)] == [200, 200, 413]
        answer = get(url, headers=TOKEN)
        assert 0 < int(answer.headers["Retry-After"]) <= 100
        assert answer.json()["overLimit"]["retryAfter"] == int(answer.headers["Retry-After"])
        other = {"X-Auth-Token": "somebody:demo"}
        assert get(url, headers=other).status_code == 200
        assert get(f"{api.url}/healthcheck").status_code == 200


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    daemons: list[Daemon] = []

    def start(**sections: Any) -> Daemon:
        port = free_port()
        api = {"port": port, **sections.pop("api", {})}
        daemons.append(Daemon(configuration(tmp_path, api=api, **sections), port))
        until(lambda: status_of(port) == 200 or daemons[-1].process.poll() is not None)
        return daemons[-1]

    yield start
    for daemon in daemons:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon.process.pid, signal.SIGKILL)
        daemon.process.communicate()


def test_any_worker_answers_for_all_and_nothing_is_left(start, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    daemon = start(api={"workers": 2})
    url = f"http://127.0.0.1:{daemon.port}"
    index = {"method": "GET", "resource": "os-aggregates", "status": "200"}
    before = sample(url, "request_seconds_count", **index)
    for _ in range(40):  # each on a connection of its own, which any worker may take
        assert status_of(daemon.port) == 200
    for _ in range(5):
        assert sample(url, "request_seconds_count", **index) == before + 40
    assert list(tmp_path.glob("nova-aggregates-metrics-*"))
    daemon.stop()
    assert not list(tmp_path.glob("nova-aggregates-metrics-*"))


def test_the_log_in_json_names_the_request(start: Callable[..., Daemon]) -> None:
    daemon = start(DEFAULT={"use_json": "true"})
    url = f"http://127.0.0.1:{daemon.port}/v1.1/demo/os-aggregates"
    request_id = get(url, headers=TOKEN).headers["X-OpenStack-Request-Id"]
    lines = [json.loads(line) for line in daemon.stop().splitlines()]
    found = [line for line in lines if line["context"].get("request_id") == request_id]
    assert any("GET /v1.1/demo/os-aggregates" in line["message"] for line in found)


def test_hangup_rereads_the_level_of_the_log(start: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = start()
    config = tmp_path / "nova-aggregates.conf"
    config.write_text(f"[DEFAULT]\ndebug = true\n{config.read_text()}")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: status_of(daemon.port) == 200)
    output = daemon.stop()
    assert daemon.process.returncode == 0
    assert re.search(r"\bDEBUG\b", output), output


def test_the_manager_serves_metrics_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    config = configuration(tmp_path, metrics={"manager_port": port})
    script = Path(os.sys.executable).parent / "nova-aggregates-manager"
    manager = subprocess.Popen(
        [script, "--config-file", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:

        def asked() -> bool:
            with contextlib.suppress(requests.ConnectionError):
                labels = {"outcome": "taken"}
                sample(f"http://127.0.0.1:{port}", "lock_seconds_count", **labels)
                return True
            return manager.poll() is not None

        until(asked)
        assert manager.poll() is None
    finally:
        manager.terminate()
        manager.communicate(timeout=DEADLINE)
    assert manager.returncode == 0
