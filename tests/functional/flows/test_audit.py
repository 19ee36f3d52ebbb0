"""What somebody changed at a pool behind our back is found, told, and gone when it is mended."""

from __future__ import annotations

import pytest

from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.flows.audit import Audit
from nova_aggregates.flows.driver import XenServer
from nova_aggregates.manager import DriftManager
from nova_aggregates.simulator.testing import SimulatedSite
from tests.functional.flows.conftest import TIMING
from tests.functional.flows.truth import Truth
from tests.unit.flows.bench import Bench, until


class Auditor:
    def __init__(self, bench: Bench, conf: object) -> None:
        self.drift = DriftManager(bench.database, SecretBox(bench.key))
        self.audit = Audit(bench.managers, self.drift, XenServer(conf), interval=0.2, concurrency=2)
        self.pool = bench.aggregate("blue")
        self.runner = bench.start(TIMING)
        for name in ("host1", "host2"):
            bench.succeeded(bench.add(self.pool, name))

    def kinds(self) -> list[tuple[str, str | None]]:
        self.audit.compare(self.pool)
        return [(each.finding.kind, each.finding.host) for each in self.drift.index(self.pool)]


@pytest.fixture
def auditor(bench: Bench, conf: object) -> Auditor:
    return Auditor(bench, conf)


def test_a_name_that_was_changed_and_put_back(auditor: Auditor, truth: Truth) -> None:
    assert auditor.kinds() == []
    for name, expected in (("red", [("pool_name", None)]), ("blue", [])):
        with truth.session("host1") as xenapi:
            xenapi.pool.set_name_label(xenapi.pool.get_all()[0], name)
        assert auditor.kinds() == expected


def test_a_host_that_somebody_else_let_join(
    auditor: Auditor, site: SimulatedSite, truth: Truth
) -> None:
    first = site.host("host1")
    with truth.session("host3") as xenapi:
        xenapi.pool.join(first.address, first.username, first.password)
    until(lambda: "host3" in truth.pool("host1").ready)
    assert auditor.kinds() == [("member_unknown", "host3")]


def test_a_host_that_somebody_else_ejected(auditor: Auditor, truth: Truth) -> None:
    with truth.session("host1") as xenapi:
        (gone,) = (
            ref
            for ref, host in xenapi.host.get_all_records().items()
            if host["name_label"] == "host2"
        )
        xenapi.pool.eject(gone)
    until(lambda: truth.pool("host1").hosts == {"host1"})
    assert auditor.kinds() == [("member_missing", "host2")]


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
