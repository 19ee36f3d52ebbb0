"""What somebody changed at a pool behind our back is found, told, and gone when it is mended."""

from __future__ import annotations

import xmlrpc.client

import pytest
import sqlalchemy as sa
import XenAPI
from oslo_config import cfg

from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import ConfigurationInvalid
from nova_aggregates.flows.audit import Audit
from nova_aggregates.flows.driver import XenServer
from nova_aggregates.manager import DriftManager
from nova_aggregates.manager.drift_kinds import policies_of
from nova_aggregates.objects import Action, HostStatus, Operation, OperationState
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.flows.conftest import TIMING
from tests.functional.flows.truth import Truth
from tests.unit.flows.bench import WHO, Bench, until


class Auditor:
    def __init__(self, bench: Bench, conf: cfg.ConfigOpts) -> None:
        self.conf = conf
        self.bench = bench
        conf.set_override("interval", 0.2, group="audit")
        conf.set_override("concurrency", 2, group="audit")
        self.drift = DriftManager(bench.database, SecretBox(bench.key))
        self.audit = Audit.from_conf(conf, bench.managers, self.drift, XenServer(conf))
        self.pool = bench.aggregate("blue")
        self.runner = bench.start(TIMING)
        for name in ("host1", "host2"):
            bench.succeeded(bench.add(self.pool, name))

    def kinds(self) -> list[tuple[str, str | None]]:
        self.audit.compare(self.pool)
        return [(each.finding.kind, each.finding.host) for each in self.drift.index(self.pool)]

    def follow(self, **policies: str) -> None:
        """What is found from now on is handled by these policies."""
        self.conf.set_override("policies", policies, group="audit")
        self.audit = Audit.from_conf(
            self.conf, self.bench.managers, self.drift, XenServer(self.conf)
        )

    def operations(self) -> list[Operation]:
        """Those that the audit asked for, once they have ended."""
        found = self.bench.managers.operations.index(aggregate_id=self.pool)
        mine = [each.uuid for each in found if each.requester.user_id == "audit"]
        return self.bench.ended(*mine)


@pytest.fixture
def auditor(bench: Bench, conf: cfg.ConfigOpts) -> Auditor:
    return Auditor(bench, conf)


def test_a_name_that_was_changed_and_put_back(auditor: Auditor, truth: Truth) -> None:
    assert auditor.kinds() == []
    for name, expected in (("red", [("pool_name", None)]), ("blue", [])):
        rename(truth, name)
        assert auditor.kinds() == expected


def test_a_host_that_somebody_else_let_join(
    auditor: Auditor, site: SimulatedSite, truth: Truth
) -> None:
    first = site.host("host1")
    with truth.session("host3") as xenapi:
        xenapi.pool.join(first.address, first.username, first.password)
    until(lambda: "host3" in ready(truth, "host1"))
    assert auditor.kinds() == [("member_unknown", "host3")]


def eject(truth: Truth, name: str) -> None:
    """Behind our back."""
    with truth.session("host1") as xenapi:
        records = xenapi.host.get_all_records().items()
        (gone,) = (ref for ref, host in records if host["name_label"] == name)
        xenapi.pool.eject(gone)
    until(lambda: ready(truth, "host1") == {"host1"} and ready(truth, name) == {name})
    # Its administrator's part: the eject has turned that off.
    with truth.session(name) as xenapi:
        xenapi.pool.enable_tls_verification()


def ready(truth: Truth, master: str) -> frozenset[str]:
    """The members that are in service; none while its master is away or still a member."""
    try:
        return truth.pool(master).ready
    except (OSError, XenAPI.Failure, xmlrpc.client.Error):
        return frozenset()


def rename(truth: Truth, name: str) -> None:
    with truth.session("host1") as xenapi:
        xenapi.pool.set_name_label(xenapi.pool.get_all()[0], name)


def test_a_host_that_somebody_else_ejected(auditor: Auditor, truth: Truth) -> None:
    eject(truth, "host2")
    assert auditor.kinds() == [("member_missing", "host2")]


def test_the_pool_gets_its_name_and_its_master_back(
    auditor: Auditor, bench: Bench, truth: Truth
) -> None:
    auditor.follow(pool_name="enforce", master="enforce")
    rename(truth, "red")
    assert auditor.kinds() == [("pool_name", None)]
    assert auditor.operations() == [], "who renames it just now has time to finish"
    auditor.kinds()
    (renamed,) = auditor.operations()
    assert renamed.state is OperationState.SUCCEEDED
    assert truth.pool("host1").name == "blue"
    assert auditor.kinds() == []
    with truth.session("host1") as xenapi:
        records = xenapi.host.get_all_records().items()
        (new,) = (ref for ref, host in records if host["name_label"] == "host2")
        xenapi.pool.designate_new_master(new)
    until(lambda: ready(truth, "host2") == {"host1", "host2"})
    assert auditor.kinds() == [("master", None)]
    auditor.kinds()
    handed, _ = auditor.operations()
    assert (handed.action, handed.state) == (Action.CHANGE_MASTER, OperationState.SUCCEEDED)
    assert truth.pool("host1").master == "host1"
    assert auditor.kinds() == []


def test_the_record_follows_the_pool(
    auditor: Auditor, bench: Bench, site: SimulatedSite, truth: Truth
) -> None:
    auditor.follow(pool_name="adopt", member_unknown="adopt", member_missing="adopt")
    bench.aggregate("taken")
    rename(truth, "taken")
    for _ in range(3):
        assert auditor.kinds() == [("pool_name", None)]
    rename(truth, "red")
    assert auditor.kinds() == [("pool_name", None)]
    assert auditor.kinds() == []
    assert bench.show(auditor.pool).name == "red"

    eject(truth, "host2")
    assert auditor.kinds() == [("member_missing", "host2")]
    assert auditor.kinds() == []
    assert bench.show(auditor.pool).hosts == ("host1",)
    host2 = bench.managers.hosts.show("host2")
    assert host2.status is HostStatus.DISABLED

    first = site.host("host1")
    with truth.session("host3") as xenapi:
        xenapi.pool.join(first.address, first.username, first.password)
    until(lambda: "host3" in ready(truth, "host1"))
    assert auditor.kinds() == [("member_unknown", "host3")]
    auditor.kinds()
    assert auditor.kinds() == []
    assert bench.show(auditor.pool).hosts == ("host1", "host3")
    assert auditor.operations() == []
    # What was adopted can be worked with.
    bench.succeeded(bench.add(auditor.pool, "host2"), bench.remove(auditor.pool, "host3"))
    assert truth.pool("host1").ready == {"host1", "host2"}


def test_a_member_that_is_brought_back_and_one_that_cannot_be(
    auditor: Auditor, bench: Bench, site: SimulatedSite, truth: Truth
) -> None:
    auditor.follow(member_missing="enforce")
    eject(truth, "host2")
    auditor.kinds()
    auditor.kinds()
    (back,) = auditor.operations()
    assert (back.action, back.state) == (Action.ADD_HOST, OperationState.SUCCEEDED)
    assert truth.pool("host1").ready == {"host1", "host2"}
    assert auditor.kinds() == []

    eject(truth, "host2")
    site.change("add-guest", "host2", name="web1")
    for _ in range(4):
        assert auditor.kinds() == [("member_missing", "host2")]
        auditor.operations()
    refused, _ = auditor.operations()
    assert refused.state is OperationState.FAILED
    assert "web1" in str(refused.findings)
    assert bench.show(auditor.pool).hosts == ("host1", "host2"), "what is intended stays"
    again = bench.managers.operations.retry(WHO, refused.uuid)
    assert bench.ended(again.uuid)[0].state is OperationState.FAILED


def test_a_member_that_was_installed_anew(
    auditor: Auditor, bench: Bench, site: SimulatedSite, truth: Truth
) -> None:
    first = site.host("host1")
    eject(truth, "host2")
    with bench.database.transaction() as connection:
        connection.execute(sa.text("UPDATE hosts SET xen_uuid = 'f00d' WHERE name = 'host2'"))
    with truth.session("host2") as xenapi:
        xenapi.pool.join(first.address, first.username, first.password)
    until(lambda: "host2" in ready(truth, "host1"))
    assert auditor.kinds() == [("host_identity", "host2")]


@pytest.mark.parametrize(
    ("policies", "cure"),
    [
        ({"member_unknown": "enforce"}, "adopt or report"),
        ({"host_not_live": "adopt"}, "report"),
        ({"pool_nmae": "adopt"}, "pool_name"),
        ({"master": "mend"}, "adopt or enforce or report"),
    ],
)
def test_policies_that_are_none(policies: dict[str, str], cure: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=cure):
        policies_of(policies)


def test_a_dead_member_and_a_pool_that_nobody_reaches(
    auditor: Auditor, site: SimulatedSite
) -> None:
    site.fault("power-off", "host2")
    until(lambda: auditor.kinds() == [("host_not_live", "host2")])
    site.fault("power-off", "host1")
    assert auditor.kinds() == [("pool_unreachable", None)]
    site.fault("power-on", "host1")
    site.fault("power-on", "host2")
    until(lambda: auditor.kinds() == [])


def test_what_an_operation_works_on_is_left_alone(
    auditor: Auditor, bench: Bench, truth: Truth
) -> None:
    auditor.runner.stop()
    assert auditor.runner.wait(20)
    with truth.session("host1") as xenapi:
        xenapi.pool.set_name_label(xenapi.pool.get_all()[0], "red")
    bench.add(auditor.pool, "host3")
    assert auditor.kinds() == []


def test_it_looks_by_itself(auditor: Auditor, truth: Truth) -> None:
    with truth.session("host1") as xenapi:
        xenapi.pool.set_name_label(xenapi.pool.get_all()[0], "red")
    auditor.audit.start()
    try:
        until(lambda: [each.finding.found for each in auditor.drift.index()] == ["red"])
    finally:
        auditor.audit.stop()
