"""A sixteenth of the fleet that one process has to carry, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import XenAPI
import yaml

from nova_aggregates.simulator.testing import free_place

SHARE = 16
HOSTS, GUESTS, POOL = 1024 // SHARE, 20_000 // SHARE, 32
MEMORY = 1_500_000 // SHARE  # kB, beside what an empty site takes
EMPTY = 60_000
ROUNDS = 100
SECONDS = 0.015  # of both processors, for three calls: a quiet machine needs a third


def fleet() -> dict[str, Any]:
    names = [f"host{n}" for n in range(HOSTS)]
    pools = [names[n : n + POOL] for n in range(0, HOSTS, POOL)]
    return {
        "hosts": [{"name": n} for n in names],
        "pools": [{"master": p[0], "hosts": p, "storage": [{"name": "NFS"}]} for p in pools],
        "guests": [
            {"name": f"guest{n}", "host": names[n % HOSTS], "memory": "1GiB", "disks": [disk]}
            for n, disk in ((n, {"storage": "NFS"}) for n in range(GUESTS))
        ],
    }


def resident(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def spent(process: subprocess.Popen[str]) -> float:
    """Processor seconds of the simulator and of this client, which no other load makes longer."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_share_of_the_largest_site(tmp_path: Path) -> None:
    site, inventory = tmp_path / "site.yaml", tmp_path / "inventory.json"
    site.write_text(yaml.safe_dump(fleet()))
    base, (port, _) = free_place()
    command = [sys.executable, "-m", "nova_aggregates.simulator", "--site", str(site)]
    command += ["--base-address", base, "--port", str(port), "--inventory", str(inventory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert resident(process) < EMPTY + MEMORY
        first = json.loads(inventory.read_text())["hosts"][0]
        session: Any = XenAPI.Session(f"https://{first['address']}:{port}", ignore_ssl=True)
        session.xenapi.login_with_password("root", first["password"], "2.0", "test")
        (pool,) = session.xenapi.pool.get_all_records().values()
        assert len(session.xenapi.host.get_all()) == POOL
        before = spent(process)
        for _ in range(ROUNDS):
            session.xenapi.login_with_password("root", first["password"], "2.0", "test")
            session.xenapi.host.get_record(pool["master"])
            session.xenapi.session.logout()
        assert (spent(process) - before) / ROUNDS < SECONDS
    finally:
        process.terminate()
        process.wait(60)
