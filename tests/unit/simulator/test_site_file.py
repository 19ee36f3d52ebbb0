"""Site files: what they may say, what is wrong with them, what becomes of them, and exports."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from nova_aggregates.simulator import builder, changes, exporter, main, site_file
from nova_aggregates.simulator.control import Control
from nova_aggregates.simulator.exporter import CannotExport
from nova_aggregates.simulator.site_file import BadSite
from nova_aggregates.simulator.testing import SimulatedSite
from tests.unit.simulator.world import World, run

GIB = 1 << 30
FLEET = """
version: 1
hosts:
- {name: a, zone: az1, cpus: 16, memory: 128GiB, tags: [fast], other_config: {rack: r1}}
- {name: b, zone: az1, cpus: 16, memory: 128GiB, enabled: false, description: spare}
- name: c
  zone: az2
  xapi: '8.2'
  updater: true
  power_on_mode: wake-on-lan
  clock_skew: 5.0
  plugins: {xenhost: {host_data: '{}'}}
- name: d
  storage: [{name: Fast, type: lvm, size: 1TiB}, {name: Slow, type: ext, size: 4TiB, used: 1TiB}]
  software: {product_brand: XenServer, product_version: 8.4.0}
pools:
- master: a
  hosts: [a, b]
  name: prod
  ha: true
  ha_failures: 1
  networks: [{name: mgmt, management: true}, {name: vlan 7, device: eth1, vlan: 7, hosts: [b]}]
  storage:
  - name: NFS
    size: 3TiB
    device_config: {server: 10.0.0.1, serverpath: /x, cifspassword: topsecret}
  - {name: Half, type: lvmoiscsi, unplugged: [b]}
  other_config: {owner: ops, xo-token: topsecret}
guests:
- {name: web, host: a, disks: [{storage: NFS, size: 20GiB}, {}], networks: [mgmt], ha: restart}
- name: db
  host: b
  memory: 8GiB
  memory_min: 4GiB
  blockers: [pci, no-tools, nomigrate]
  networks: [vlan 7, mgmt]
  blocked: {hard_shutdown: precious}
  other_config: {password: topsecret, backup: daily}
- {name: idle, host: c, state: Halted, vcpus: 4}
- {name: nap, host: c, state: Suspended}
- {name: still, host: d, state: Paused, disks: [{storage: Fast}]}
updates: [{name: kernel, mandatory: [reboot_host], fails_on: [c]}]
schedule: [{fault: power-off, host: c, at: 9000}]
"""


def without_addresses(text: str) -> str:
    return re.sub(r"\n  address: .*", "", text)


def test_export_load_export_is_stable() -> None:
    with SimulatedSite(site=FLEET, time_scale=200) as site:
        one = site.export()
    assert "topsecret" not in one
    with SimulatedSite(site=one, time_scale=200) as site:
        assert without_addresses(site.export()) == without_addresses(one)
    spec = site_file.loads(one)
    assert {h.name: h.zone for h in spec.hosts} == {"a": "az1", "b": "az1", "c": "az2", "d": "nova"}
    assert [p.name for p in spec.pools] == ["prod", "", ""]
    assert {g.name: g.state for g in spec.guests} == {
        "web": "Running", "db": "Running", "idle": "Halted", "nap": "Suspended", "still": "Paused",
    }  # fmt: skip


def test_the_site_is_as_its_file_says() -> None:
    spec = site_file.loads(FLEET)

    async def scenario(world: World) -> None:
        db = world.db(0)
        pool = db.pool_record
        assert (pool["name_label"], pool["ha_enabled"]) == ("prod", True)
        assert int(pool["ha_host_failures_to_tolerate"]) == 1
        a, b = (db.get("host", world.host(n)) for n in (0, 1))
        assert (a["enabled"], b["enabled"]) == (True, False)
        assert a["cpu_info"]["cpu_count"] == "16"
        assert (a["tags"], b["name_description"]) == (["fast"], "spare")
        assert db.get("host_metrics", b["metrics"])["memory_total"] == 128 * GIB
        vm = next(v for _, v in db.find("VM", name_label="db"))
        assert vm["resident_on"] == world.host(1)
        assert (vm["memory_static_max"], vm["memory_dynamic_min"]) == (8 * GIB, 4 * GIB)
        half = next(r for r, _ in db.find("SR", name_label="Half"))
        plugged = {p["host"]: p["currently_attached"] for _, p in db.find("PBD", SR=half)}
        assert plugged == {world.host(0): True, world.host(1): False}
        other = world.db(2)
        assert other.get("host", other.master)["software_version"]["product_version"] == "8.2.1"
        assert other.get("host", other.master)["power_on_mode"] == "wake-on-lan"
        plugin = ("host.call_plugin", other.master, "xenhost", "host_data", {})
        assert await world.call(2, *plugin) == "{}"
        names = {sr["name_label"] for _, sr in world.db(3).find("SR", content_type="user")}
        assert names == {"Fast", "Slow"}
        assert [u.name for u in world.site.updates] == ["kernel"]
        member = world[1].process
        assert member is not None
        assert not member.is_master
        assert await world.failure(0, "host.evacuate", world.host(1)) != []
        await world.sleep(9001)
        assert world[2].power.value == "off"

    run(scenario, hosts=4, spec=spec, schedule=builder.plan_of_spec(spec).schedule)


def test_a_member_becomes_master_of_the_copy_it_has() -> None:
    text = "hosts: [{name: a}, {name: b}]\npools: [{master: a, hosts: [a, b], name: both}]"

    async def scenario(world: World) -> None:
        uuid = world.db(0).pool_record["uuid"]
        await changes.fault(world.site, "power-off", "a")
        await world.local(1, "pool.emergency_transition_to_master")
        await world.sleep(60)
        assert world.db(1).pool_record["uuid"] == uuid
        assert world.db(1).master == world.db(1).by_uuid("host", world[1].disk.uuid)

    run(scenario, hosts=2, spec=site_file.loads(text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file: nothing, where a mapping is wanted"),
        ("hosts: [", "no YAML: "),
        ("hosts: []", "hosts: a site needs at least one"),
        ("pools: []", "the file: hosts missing"),
        ("hosts: 3", "hosts: 3, where a list is wanted"),
        ("hosts: [{}]", "hosts[0]: name missing"),
        ("hosts: [a]", "hosts[0]: text, where a mapping is wanted"),
        ("hosts: [{name: a, memroy: 1}]", "hosts[0].memroy: unknown; did you mean memory"),
        ("hosts: [{name: a, memory: much}]", "hosts[0].memory: much is no size"),
        ("hosts: [{name: a, memory: true}]", "hosts[0].memory: True is no size"),
        ("hosts: [{name: a, memory: 1GiB}]", "hosts[0].memory: not more than what is reserved"),
        ("hosts: [{name: a, cpus: 0}]", "hosts[0].cpus: at least 1"),
        ("hosts: [{name: a, cpus: many}]", "hosts[0].cpus: text, where a whole number is wanted"),
        ("hosts: [{name: off}]", "hosts[0].name: False, where text is wanted; put it in quotes"),
        ("hosts: [{name: a, xapi: 7}]", "hosts[0].xapi: 7 is none of 8.0, 8.2, 8.4, 26"),
        ("hosts: [{name: a, tags: x}]", "hosts[0].tags: text, where a list is wanted"),
        ("hosts: [{name: a}, {name: a}]", "hosts: a more than once"),
        ("version: 2\nhosts: [{name: a}]", "version: this simulator reads version 1, not 2"),
        ("hosts: [{name: a}]\npools: [{master: b}]", "pools[0].hosts: no host b"),
        (
            "hosts: [{name: a}, {name: b}]\npools: [{master: a, hosts: [b]}]",
            "pool a: its master is none of its hosts",
        ),
        (
            "hosts: [{name: a}]\npools: [{master: a}, {master: a}]",
            "pools: a more than once",
        ),
        ("hosts: [{name: a}]\nguests: [{name: g, host: b}]", "guests[0].host: no host b"),
        (
            "hosts: [{name: a}]\nguests: [{name: g, host: a, state: Up}]",
            "guest g: state Up is none of Running, Halted, Suspended, Paused",
        ),
        (
            "hosts: [{name: a}]\nguests: [{name: g, host: a, blockers: [glue]}]",
            "guest g: unknown blockers glue",
        ),
        (
            "hosts: [{name: a}]\npools: [{master: a, storage: [{name: local}]}]",
            "storage local: a name with a meaning of its own",
        ),
        ("hosts: [{name: a}]\nschedule: [{fault: fly, host: a}]", "schedule[0]: unknown fault fly"),
        ("hosts: [{name: a}]\nschedule: [{at: 3}]", "schedule[0]: an event has one of fault, wire"),
    ],
)
def test_bad_files_say_what_is_wrong_and_where(text: str, complaint: str) -> None:
    with pytest.raises(BadSite) as found:
        site_file.loads(text)
    assert str(found.value).startswith(complaint)


def test_sizes() -> None:
    assert site_file.size_text(3 << 40) == "3TiB"
    assert site_file.size_text(1536 << 20) == "1536MiB"
    assert site_file.size_text(1000) == 1000
    assert site_file.size_text(0) == 0
    spec = site_file.loads("hosts: [{name: a, memory: 8589934592}]")
    assert spec.hosts[0].memory == 8 * GIB


def test_guests_that_name_what_is_not_there() -> None:
    guest = "guests: [{name: g, host: a, %s}]"
    for more, text in (
        ("disks: [{storage: NFS}]", "a has no storage NFS"),
        ("networks: [dmz]", "no network dmz"),
    ):
        spec = site_file.loads("hosts: [{name: a}]\n" + guest % more)
        with pytest.raises(LookupError, match=text):
            run(None, hosts=1, spec=spec)


def test_addresses_are_loopback_ones() -> None:
    text = "hosts: [{name: a, address: 127.0.99.9}, {name: b}]"

    async def scenario(world: World) -> None:
        assert [m.address for m in world.site.machines] == ["127.0.99.9", "127.0.70.1"]

    run(scenario, hosts=2, spec=site_file.loads(text))
    with pytest.raises(builder.BadAddress, match=r"10\.0\.0\.1 is no loopback address"):
        run(scenario, spec=site_file.loads("hosts: [{name: a, address: 10.0.0.1}]"), hosts=1)


def test_pools_read_over_xenapi(tmp_path: Path) -> None:
    """As from real hosts: only what their records say, without addresses and zones."""
    with SimulatedSite(site=FLEET, time_scale=200) as site:
        host = site.host("a")
        source = exporter.of_pool(host.url, "root", host.password, trust=None, zone="dc1")
        spec = exporter.combine([source])
        text = site_file.dumps(spec)
        assert "topsecret" not in text
        assert host.password not in text
        assert [(h.name, h.zone, h.address) for h in spec.hosts] == [
            ("a", "dc1", ""),
            ("b", "dc1", ""),
        ]
        assert spec.pools[0].ha_failures == 1
        with pytest.raises(CannotExport, match="wrong user or password"):
            exporter.of_pool(host.url, "root", "wrong", trust=None, zone="dc1")
        member = site.host("b")
        with pytest.raises(CannotExport, match=f"give the address of its master, {host.address}"):
            exporter.of_pool(member.url, "root", host.password, trust=None, zone="dc1")
        secret = tmp_path / "password"
        secret.write_text(f"{host.password}\n")
        target = tmp_path / "fleet.yaml"
        arguments = ["--export", str(target), "--from", host.url, "--password-file", str(secret)]
        assert main.main([*arguments, "--zone", "dc1"]) == 0
        assert target.read_text() == text
    with SimulatedSite(site=target, time_scale=200) as copy:
        again = site_file.loads(copy.export())
        assert [h.name for h in again.hosts] == ["a", "b"]
        memory = {h.name: h.memory_reserved for h in again.hosts}
        assert memory == {"a": 6 * GIB, "b": 6 * GIB}  # the control domain's two are in it
        assert {g.name: g.disks for g in again.guests} == {g.name: g.disks for g in spec.guests}


def test_simulations_exported_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with SimulatedSite(site=FLEET, time_scale=200) as site:
        control = Control(site._running)

        async def start() -> str:
            await control.start(0)
            return f"http://127.0.0.1:{control.port}"

        url = site.run(start())
        assert main.main(["--export", "-", "--from", url]) == 0
        assert capsys.readouterr().out == site.export()
        site.run(control.stop())
        assert main.main(["--export", "-", "--from", f"{url}/x"]) == main.EXIT_EXPORT
        assert "no simulation's control API answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--export", "-"], "--export needs --from"),
        (["--export", "-", "--from", "ftp://x"], "--from wants one http://"),
        (
            ["--export", "-", "--from", "http://x", "--from", "https://y"],
            "--from wants one http://",
        ),
    ],
)
def test_exports_that_make_no_sense(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(arguments) == main.EXIT_EXPORT
    assert complaint in capsys.readouterr().err


def test_hosts_of_two_pools_with_one_name() -> None:
    with SimulatedSite(hosts=1, time_scale=200, shared_storage=False) as site:
        host = site.host("host1")
        source = exporter.of_pool(host.url, "root", host.password, trust=None, zone="z")
        with pytest.raises(CannotExport, match="hosts share a name: host1"):
            exporter.combine([source, source])


def test_the_command_reads_site_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("hosts: [{name: a, cpu: 3}]")
    assert main.main(["--site", str(bad)]) == main.EXIT_USAGE
    assert f"{bad}: hosts[0].cpu: unknown; did you mean cpus" in capsys.readouterr().err
    assert main.main(["--site", str(tmp_path / "none.yaml")]) == main.EXIT_USAGE
    assert "No such file" in capsys.readouterr().err
    assert main.main(["--fault", "fault: fly, host: host1"]) == main.EXIT_USAGE
    assert "unknown fault fly" in capsys.readouterr().err
    good = tmp_path / "good.yaml"
    good.write_text("hosts: [{name: a}]\ntime_scale: 7")
    options = main.parser().parse_args(["--site", str(good), "--fault", "fault: freeze, host: a"])
    plan = main.plan_of(options)
    assert main.scale_of(plan, options) == 7
    assert [e.what for e in plan.schedule] == ["freeze"]


def test_mappings_round_trip_through_json() -> None:
    spec = site_file.loads(FLEET)
    given: dict[str, Any] = json.loads(json.dumps(site_file.to_mapping(spec)))
    assert site_file.from_mapping(given) == spec
    assert dataclasses.is_dataclass(spec)
