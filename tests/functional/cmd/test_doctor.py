"""nova-aggregates-manage doctor, with hosts whose ailments are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nova_aggregates.cmd import manage
from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import HostManager
from nova_aggregates.objects import Credentials, HostRegistration, Requester, Trust
from nova_aggregates.simulator.testing import SimulatedSite
from nova_aggregates.xenapi import transport

SKEW = 3600.0


@pytest.fixture(scope="module")
def site() -> Iterator[SimulatedSite]:
    with SimulatedSite(hosts=3, time_scale=1) as site:
        yield site


@pytest.fixture
def config(tmp_path: Path) -> Path:
    migration.sync(f"sqlite:///{tmp_path}/service.sqlite")
    SecretBox.create(tmp_path / "key")
    (tmp_path / "locks").mkdir()
    path = tmp_path / "service.conf"
    path.write_text(
        f"[database]\nconnection = sqlite:///{tmp_path}/service.sqlite\n"
        f"[credentials]\nkey_file = {tmp_path}/key\n"
        f"[coordination]\nbackend_url = file://{tmp_path}/locks\n"
        "[xenapi]\nconnect_timeout = 5\n"
    )
    return path


@pytest.fixture
def register(site: SimulatedSite, config: Path) -> Callable[..., None]:
    def register(name: str, **wrong: object) -> None:
        found = site.host(name)
        database = Database(f"sqlite:///{config.parent}/service.sqlite")
        hosts = HostManager(database, SecretBox(config.parent / "key"))
        registration = HostRegistration(
            name=name,
            address=found.address,
            port=int(wrong.get("port", found.port)),
            credentials=Credentials(found.username, str(wrong.get("password", found.password))),
            trust=wrong.get("trust", Trust(fingerprint=found.fingerprint)),
            zone="z",
        )
        host = hosts.register(Requester("u", "p", "r"), registration)
        hosts.observed(
            host.id, xen_uuid=found.uuid, inventory=None, seen_at=host.created_at, holdings=None
        )
        database.dispose()

    return register


def doctor(config: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    capsys.readouterr()
    try:
        code = manage.main(["--config-file", str(config), "doctor"])
    except SystemExit as end:
        code = int(end.code or 0)
    captured = capsys.readouterr()
    return code, (captured.out + captured.err).splitlines()


def test_all_is_well(site, config: Path, register, capsys) -> None:
    register("host1")
    code, lines = doctor(config, capsys)
    assert code == 0, lines
    assert all(line.startswith("OK ") for line in lines), lines
    assert any("host host1: answers" in line for line in lines)
    assert site.host("host1").password not in "\n".join(lines)


def test_every_ailment_has_its_cure(site, config: Path, register, capsys) -> None:
    register("host1", password="wrong")
    register("host2", trust=Trust(insecure=True))
    site.change("set-hardware", "host2", clock_skew=SKEW)
    site.change("change-certificate", "host2", days=-1)
    register("host3", trust=Trust(fingerprint="ab" * 32))
    (config.parent / "key").chmod(0o600)
    config.chmod(0o666)
    try:
        code, lines = doctor(config, capsys)
    finally:
        site.reset()
    assert code == 2
    bad = [line for line in lines if line.startswith("BAD")]
    for words in (
        ("service.conf", "chmod 640"),
        ("host1", "->"),
        ("host2", "s ahead", "NTP"),
        ("host2", "certificate expired"),
        ("host3", "->"),
    ):
        assert any(all(word in line for word in words) for line in bad), (words, lines)
    (ahead,) = re.findall(r"clock is (\d+) s ahead", "\n".join(bad))
    assert abs(int(ahead) - SKEW) < 60  # the way there and back takes time
    assert any("host2: its certificate is not verified" in line for line in lines)


def test_nothing_works_yet(tmp_path: Path, capsys) -> None:
    config = tmp_path / "service.conf"
    config.write_text(
        f"[database]\nconnection = sqlite:///{tmp_path}/none.sqlite\n"
        f"[credentials]\nkey_file = {tmp_path}/none\n"
        "[coordination]\nbackend_url = file:///proc/nowhere\n"
        "[webhooks]\nurls = http://127.0.0.1/x\nsecret_file = /nonexistent\n"
    )
    code, lines = doctor(config, capsys)
    assert code == 2
    text = "\n".join(lines)
    for words in ("db sync", "credentials init", "BAD     locks", "secret_file"):
        assert words in text, text
    assert not (tmp_path / "none.sqlite").exists()


def test_a_host_outside_the_networks_is_not_talked_to(site, config: Path, register, capsys) -> None:
    register("host1")
    config.write_text(config.read_text() + "networks = 192.0.2.0/24\n")
    try:
        code, lines = doctor(config, capsys)
    finally:
        transport.permitted = lambda _address: True
    assert code == 2
    (line,) = [line for line in lines if "host1" in line]
    assert line.startswith("BAD")
    assert "not in the networks that are allowed" in line
