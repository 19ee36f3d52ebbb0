"""A pool of simulated hosts that the service did not build becomes an aggregate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_aggregates.cmd import manage
from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.manager import AggregateManager, HostManager, OperationManager, PoolManager
from nova_aggregates.objects import AggregateState, Credentials, HostStatus, Trust
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.flows.truth import Truth

NAME = "Größe & pool"


class Service:
    """A service that knows of no host, and its command line."""

    def __init__(self, directory: Path, site: SimulatedSite) -> None:
        url = f"sqlite:///{directory}/service.sqlite"
        migration.sync(url)
        box = SecretBox.create(directory / "key")
        (directory / "password").write_text(site.host("host1").password + "\n")
        (directory / "service.conf").write_text(
            f"[database]\nconnection = {url}\n[credentials]\nkey_file = {directory}/key\n"
            "[xenapi]\nconnect_timeout = 2\n"
        )
        self.database = Database(url)
        self.aggregates = AggregateManager(self.database, box)
        self.hosts = HostManager(self.database, box)
        self.operations = OperationManager(self.database, box)
        self.pools = PoolManager(self.database, box)
        self._config = ["--config-file", str(directory / "service.conf")]
        self._password = ["--password-file", str(directory / "password")]

    def take_in(self, site: SimulatedSite, host: str, *more: str, trust: str = "") -> int:
        found = site.host(host)
        pinned = [trust] if trust else ["--fingerprint", found.fingerprint]
        where = ["--address", found.address, "--port", str(found.port), "--user", "root"]
        verb = ["pool", "import", *where, *self._password, *pinned, *more]
        return manage.main([*self._config, *verb])


@pytest.fixture
def service(tmp_path: Path, site: SimulatedSite) -> Iterator[Service]:
    made = Service(tmp_path, site)
    yield made
    made.database.dispose()


@pytest.fixture
def pool(site: SimulatedSite, truth: Truth) -> dict[str, Any]:
    """host1 is the master of host2 and host3; how the pool looks."""
    first = site.host("host1")
    with truth.session("host1") as xenapi:
        xenapi.pool.set_name_label(xenapi.pool.get_all()[0], NAME)
    for name in ("host2", "host3"):
        with truth.session(name) as xenapi:
            xenapi.pool.join(first.address, first.username, first.password)
        deadline = time.monotonic() + 30
        while name not in truth.pool("host1").ready:
            assert time.monotonic() < deadline, f"{name} did not join"
            time.sleep(0.05)
    return look(truth)


def look(truth: Truth) -> dict[str, Any]:
    """Everything that an import might have changed."""
    with truth.session("host1") as xenapi:
        wanted = ("name_label", "other_config", "tags", "enabled", "address")
        hosts = {
            record["uuid"]: {key: record[key] for key in wanted}
            for record in xenapi.host.get_all_records().values()
        }
        (found,) = xenapi.pool.get_all_records().values()
    kept = ("uuid", "name_label", "name_description", "other_config", "tags", "master")
    return {"hosts": hosts, **{key: found[key] for key in kept}}


def test_the_pool_is_recorded_as_it_is_and_left_alone(
    service: Service,
    site: SimulatedSite,
    truth: Truth,
    pool: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert service.take_in(site, "host1", "--zone", "east") == 0
    out = capsys.readouterr().out
    assert pool["uuid"] in out
    assert site.host("host1").password not in out
    assert look(truth) == pool
    (aggregate,) = service.aggregates.index()
    assert (aggregate.name, aggregate.availability_zone) == (NAME, "east")
    assert aggregate.state is AggregateState.ACTIVE
    assert aggregate.hosts == ("host1", "host2", "host3")
    recorded = service.pools.show(aggregate.id)
    assert recorded is not None
    assert recorded.xen_uuid == pool["uuid"]
    assert recorded.master_host_id == service.hosts.show("host1").id
    credentials = Credentials("root", site.host("host1").password)
    for host in service.hosts.index():
        simulated = site.host(host.name)
        assert (host.address, host.port) == (simulated.address, simulated.port)
        assert host.trust == Trust(fingerprint=simulated.fingerprint)
        assert (host.xen_uuid, host.status) == (simulated.uuid, HostStatus.ENABLED)
        assert host.inventory is not None
        assert service.hosts.credentials(host.id) == credentials
    assert service.operations.index() == []


def test_again(
    service: Service, site: SimulatedSite, pool: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert service.take_in(site, "host1", "--name", "blue", trust="--insecure") == 0
    assert "was already aggregate" in capsys.readouterr().out
    (aggregate,) = service.aggregates.index()
    assert aggregate.name == "blue"
    assert len(service.hosts.index()) == 3
    assert all(host.trust.insecure for host in service.hosts.index())


@pytest.mark.parametrize(
    ("host", "more", "message"),
    [
        ("host2", [], "the address of the master: 127."),
        ("host4", [], "cannot be read"),  # another password
        ("host1", ["--address", "127.0.0.1:443"], "neither an IP address nor a host name"),
        ("host1", ["--address", "127.255.0.9"], "cannot be read"),
        ("host1", ["--password-file", "/nonexistent"], "/nonexistent cannot be read"),
        ("host1", ["--fingerprint", "ab" * 32], "cannot be read"),
        ("host1", ["--fingerprint", "xy"], "64 hex digits"),
    ],
)
def test_one_line_and_nothing_recorded(
    service: Service,
    site: SimulatedSite,
    pool: dict[str, Any],
    host: str,
    more: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert service.take_in(site, host, *more) == 1
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert not any(each.password in err for each in site.hosts)
    assert service.aggregates.index() == []
    assert service.hosts.index() == []


def test_a_host_alone(service: Service, site: SimulatedSite) -> None:
    """A pool of one has no name of its own."""
    assert service.take_in(site, "host1") == 0
    assert [(a.name, a.hosts) for a in service.aggregates.index()] == [("host1", ("host1",))]


@pytest.mark.parametrize(
    "more",
    [
        ["--port", "0"],
        ["--port", "65536"],
        ["--port", "x"],
        ["--name", ""],
        ["--name", " a"],
        ["--zone", "z" * 256],
        ["--zone", "a\nb"],
        ["--insecure"],
    ],
)
def test_arguments_that_cannot_be(
    service: Service, site: SimulatedSite, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        service.take_in(site, "host1", *more)
    assert ended.value.code == 2
    assert more[0] in capsys.readouterr().err
    assert service.aggregates.index() == []
