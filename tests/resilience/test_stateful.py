"""Random requests to the real application, random faults, and what must hold all the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webob
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from oslo_config import cfg

from nova_aggregates import conf as options
from nova_aggregates.api import wsgi
from nova_aggregates.api.deployment import Deployment
from nova_aggregates.objects import OperationState
from tests.resilience.ledger import Ledger
from tests.resilience.processes import Launcher
from tests.resilience.stage import HOSTS, PROMISE, Stage
from tests.resilience.witness import WitnessedSite

NAMES = ("blue", "red")
FEWEST_SUCCEEDED = 10
METHODS = ("*", "Async.*", "session.login_with_password", "pool.get_all_records")
name = st.sampled_from(NAMES)
host = st.sampled_from(HOSTS)


class Site(RuleBasedStateMachine):
    """Two aggregates at most, so that the requests meet each other."""

    stage: Stage
    application: Any
    steps = 0
    ends: Counter[OperationState] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.stage.renew()
        self.manager = self.stage.start()

    def ask(self, method: str, path: str, body: Any = None) -> webob.Response:
        request = webob.Request.blank(
            f"/v1.1/demo/os-aggregates{path}", method=method, headers={"X-Auth-Token": "a:demo"}
        )
        if body is not None:
            request.json = body
            request.content_type = "application/json"
        answer = request.get_response(self.application)
        assert answer.status_code < 500, answer.text
        return answer

    def id_of(self, wanted: str) -> int | None:
        return next(
            (each.id for each in self.stage.aggregates.index() if each.name == wanted), None
        )

    def act(self, wanted: str, body: Any) -> None:
        aggregate = self.id_of(wanted)
        if aggregate is None:
            return
        known = self.stage.aggregates.show(aggregate).hosts
        answer = self.ask("POST", f"/{aggregate}/action", body)
        ((verb, argument),) = body.items()
        if answer.status_code < 300:
            told = answer.json["aggregate"]["hosts"]
            assert (argument["host"] in told) is (verb == "add_host")
        elif verb == "add_host":
            assert answer.status_code == 409, answer.text
        elif argument["host"] in known:
            # Only an operation that failed meanwhile can have changed that.
            assert answer.status_code == 404, answer.text

    @rule(wanted=name, host=host)
    def come_or_go(self, wanted: str, host: str) -> None:
        """What makes sense: a host that is somewhere leaves, another one comes."""
        for aggregate in self.stage.aggregates.index():
            if host in aggregate.hosts:
                self.act(aggregate.name, {"remove_host": {"host": host}})
                return
        if self.id_of(wanted) is None:
            self.create(wanted)
        self.act(wanted, {"add_host": {"host": host}})

    @rule(wanted=name, host=host, verb=st.sampled_from(("add_host", "remove_host")))
    def ask_blindly(self, wanted: str, host: str, verb: str) -> None:
        self.act(wanted, {verb: {"host": host}})

    def create(self, wanted: str) -> None:
        body = {"aggregate": {"name": wanted, "availability_zone": "east"}}
        assert self.ask("POST", "", body).status_code < 300
        assert self.ask("POST", "", body).status_code == 409

    @rule(wanted=name, new=name)
    def rename(self, wanted: str, new: str) -> None:
        aggregate = self.id_of(wanted)
        if aggregate is not None:
            taken = self.id_of(new)
            answer = self.ask("PUT", f"/{aggregate}", {"aggregate": {"name": new}})
            assert answer.status_code < 300 or taken is not None

    @rule(
        fault=st.sampled_from(("drop-before", "drop-after", "restart", "kill")),
        host=host,
        method=st.sampled_from(METHODS),
    )
    def go_wrong(self, fault: str, host: str, method: str) -> None:
        if fault == "restart":
            self.stage.site.fault("kill-toolstack", host)
        elif fault == "kill":
            self.manager.kill()
            self.manager = self.stage.start()
        else:
            self.stage.site.spoil(host, method, fault)

    @precondition(lambda self: self.unfinished())
    @rule()
    def wait(self) -> None:
        told = self.stage.operations
        self.stage.wait_for(
            lambda: not self.unfinished(),
            PROMISE * len(self.unfinished()),
            lambda: "\n".join(self.stage.told(told.show(uuid)) for uuid in self.unfinished()),
        )

    def unfinished(self) -> list[str]:
        every = self.stage.operations.index(limit=1000)
        return [each.uuid for each in every if not each.state.ended]

    @invariant()
    def nobody_lies(self) -> None:
        Site.steps += 1
        aggregates = self.stage.aggregates.index()
        names = [each.name for each in aggregates]
        assert len(names) == len(set(names))
        members = [host for each in aggregates for host in each.hosts]
        assert len(members) == len(set(members)), "a host in two aggregates"
        running = [
            each.aggregate_id
            for each in self.stage.operations.index(state=OperationState.RUNNING, limit=1000)
        ]
        assert len(running) == len(set(running)), "two operations of one aggregate at once"
        listed = self.ask("GET", "").json["aggregates"]
        assert {each["id"] for each in listed} >= {each.id for each in aggregates}

    def teardown(self) -> None:
        if self.unfinished():
            self.wait()
        self.stage.site.witness.wire.clear()
        every = self.stage.operations.index(limit=1000)
        Site.ends.update(each.state for each in every)
        stuck = [each for each in every if each.state is OperationState.ERROR]
        assert not stuck, self.stage.told(stuck[0])
        pools = {
            each.name: self.stage.master_first(each.hosts) for each in self.stage.aggregates.index()
        }
        log = self.stage.log.read_text(encoding="utf-8")
        self.stage.judge_pools(pools, log[-6000:])
        assert "defect" not in log, log


@pytest.fixture(scope="module")
def machine(
    site: WitnessedSite, launcher: Launcher, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[type[Site]]:
    directory: Path = tmp_path_factory.mktemp("stateful")
    stage = Stage(directory, site, launcher)
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([], project="nova-aggregates", default_config_files=[str(stage.config)])
    Site.stage = stage
    Site.application = wsgi.load(Deployment.from_conf(conf))
    yield Site
    stage.close()


@pytest.mark.timeout(14400)
def test_random_requests_and_faults(machine: type[Site], everything: bool, ledger: Ledger) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=200 if everything else 6,
            stateful_step_count=30,
            deadline=None,
            derandomize=not everything,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
    ledger.of("steps of random requests and faults").ended(0.0, times=machine.steps)
    # Most must have come to something, else nothing was tested.
    assert machine.ends[OperationState.SUCCEEDED] > FEWEST_SUCCEEDED
