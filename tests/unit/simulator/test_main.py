"""The program: what it prints, writes and returns."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import XenAPI

from nova_aggregates.simulator.testing import SimulatedSite, free_place

COMMAND = [sys.executable, "-m", "nova_aggregates.simulator"]


@pytest.fixture
def place() -> list[str]:
    base, (port, _) = free_place()
    return ["--base-address", base, "--port", str(port)]


def test_ready_inventory_and_a_clean_end(place: list[str], tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.json"
    command = [*COMMAND, *place, "--hosts", "3", "--zones", "a,b", "--inventory", str(inventory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        hosts = json.loads(inventory.read_text())["hosts"]
        assert [h["name"] for h in hosts] == ["host1", "host2", "host3"]
        assert [h["zone"] for h in hosts] == ["a", "a", "b"]
        assert len({h["password"] for h in hosts}) == 3
        assert stat.S_IMODE(inventory.stat().st_mode) == 0o600
        first = hosts[0]
        session = XenAPI.Session(f"https://{first['address']}:{first['port']}", ignore_ssl=True)
        session.login_with_password(first["username"], first["password"], "1.0", "test")
        assert session.xenapi.host.get_by_uuid(first["uuid"])
        second = subprocess.run(
            [*COMMAND, *place, "--hosts", "1"], capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 3
        assert "give another --port" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == ""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--hosts", "0"], "--hosts must be at least 1"),
        (["--time-scale", "0"], "--time-scale must be greater than zero"),
        (["--zones", ","], "--zones needs at least one zone"),
        (["--base-address", "10.0.0.1"], "no loopback address"),
        (["--base-address", "here"], "no IPv4 address"),
        (["--other-vendor", "x"], "--other-vendor wants host numbers"),
        (["--inventory", "/nonexistent/inventory.json"], "No such file or directory"),
    ],
)
def test_mistakes_are_said_in_a_sentence(place: list[str], wrong: list[str], said: str) -> None:
    found = subprocess.run(
        [*COMMAND, *place, "--hosts", "1", *wrong], capture_output=True, text=True, timeout=30
    )
    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_a_site_inside_a_test() -> None:
    with SimulatedSite(hosts=2, time_scale=200) as site:
        first, second = site.hosts
        session = XenAPI.Session(second.url, ignore_ssl=True)
        session.login_with_password(second.username, second.password, "1.0", "test")
        # The standard library sends once more, so two have to be lost.
        site.spoil("host2", "pool.join", "drop-before", times=2)
        with pytest.raises(OSError, match=r".") as lost:
            session.xenapi.pool.join(first.address, first.username, first.password)
        assert isinstance(lost.value, ConnectionError)
        master = XenAPI.Session(first.url, ignore_ssl=True)
        master.login_with_password(first.username, first.password, "1.0", "test")
        assert len(master.xenapi.host.get_all()) == 1
        site.spoil("host2", "pool.join", "error", error=["HOST_STILL_BOOTING"])
        with pytest.raises(XenAPI.Failure) as refused:
            session.xenapi.pool.join(first.address, first.username, first.password)
        assert refused.value.details == ["HOST_STILL_BOOTING"]
        before = site.host("host1").fingerprint
        assert site.change("change-certificate", "host1") != before
        assert site.host("host1").fingerprint != before
        site.reset()
