"""Any order of requests and outcomes: when the queues are empty, the database tells the truth.

The model knows in which pool each host really is. An operation succeeds or fails by chance, but
never succeeds where a real pool would refuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nova_aggregates.db import migration
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import NovaAggregatesError
from nova_aggregates.objects import Action, AggregateState, OperationState
from tests.databases import empty_tables
from tests.functional.db.conftest import FAILURE, WHO, Site

HOSTS = ("host1", "host2")
NAMES = ("a", "b", "c")
hosts = st.sampled_from(HOSTS)
places = st.integers(0, 2)


class Requests(RuleBasedStateMachine):
    database: Database
    box: SecretBox

    @initialize()
    def begin(self) -> None:
        empty_tables(self.database)
        self.site = Site.over(self.database, self.box)
        for host in HOSTS:
            self.site.host(host)
        self.ids = [self.site.aggregate(name).id for name in NAMES]
        self.live = set(self.ids)
        self.real: dict[str, int | None] = dict.fromkeys(HOSTS)

    def ask(self, method: Any, *arguments: Any, **named: Any) -> None:
        try:
            method(WHO, *arguments, **named)
        except NovaAggregatesError:
            return  # refused: that must have changed nothing, which the invariants show

    @rule(place=places, host=hosts)
    def add(self, place: int, host: str) -> None:
        self.ask(self.site.aggregates.add_host, self.ids[place], host)

    @rule(place=places, host=hosts)
    def remove(self, place: int, host: str) -> None:
        self.ask(self.site.aggregates.remove_host, self.ids[place], host)

    @rule(place=places, name=st.sampled_from(["a", "b", "x"]))
    def rename(self, place: int, name: str) -> None:
        self.ask(self.site.aggregates.update, self.ids[place], name=name)

    @rule(place=places, wanted=st.lists(hosts), choice=st.integers(0, 2))
    def set_hosts(self, place: int, wanted: list[str], choice: int) -> None:
        master = [*wanted, None][min(choice, len(wanted))]
        self.ask(self.site.aggregates.set_hosts, self.ids[place], wanted, master=master)

    @rule(choice=st.integers(0, 5))
    def cancel(self, choice: int) -> None:
        self.ask_of(self.site.operations.cancel, choice)

    @rule(choice=st.integers(0, 5))
    def retry(self, choice: int) -> None:
        self.ask_of(self.site.operations.retry, choice)

    def ask_of(self, method: Any, choice: int) -> None:
        known = self.site.operations.index(limit=6)
        if known:
            self.ask(method, known[choice % len(known)].uuid)

    @rule(place=places)
    def delete_and_create(self, place: int) -> None:
        try:
            self.site.aggregates.delete(WHO, self.ids[place])
        except NovaAggregatesError:
            return
        self.live.remove(self.ids[place])
        try:
            made = self.site.aggregates.create(WHO, name=NAMES[place], availability_zone=None)
        except NovaAggregatesError:
            return
        self.ids[place] = made.id
        self.live.add(made.id)

    @precondition(lambda self: self.site.operations.runnable(1))
    @rule(choice=st.integers(0, 9))
    def put_off(self, choice: int) -> None:
        turns = self.site.operations.runnable(10)
        operation = self.site.operations.take(turns[choice % len(turns)].uuid, "manager-1")
        self.site.operations.postpone(operation, utcnow(), FAILURE)

    @precondition(lambda self: self.site.operations.runnable(1))
    @rule(choice=st.integers(0, 9), lucky=st.booleans())
    def work(self, choice: int, lucky: bool) -> None:
        turns = self.site.operations.runnable(10)
        operation = self.site.operations.take(turns[choice % len(turns)].uuid, "manager-1")
        place, host = operation.aggregate_id, operation.host
        possible = True
        if self.site.operations.cancel_wanted(operation):
            self.site.operations.cancelled(operation)
            return
        if operation.action is Action.ADD_HOST:
            possible = self.real[host or ""] in (None, place)
        if not (lucky and possible):
            self.site.operations.fail(operation, FAILURE)
            return
        self.site.operations.succeed(operation)
        if operation.action is Action.ADD_HOST:
            self.real[host or ""] = place
        elif operation.action is Action.REMOVE_HOST and self.real[host or ""] == place:
            self.real[host or ""] = None

    @invariant()
    def a_host_is_in_one_pool(self) -> None:
        members = [name for a in self.site.aggregates.index() for name in a.hosts]
        assert len(members) == len(set(members))

    @invariant()
    def states_are_those_of_the_facts(self) -> None:
        busy = {
            o.aggregate_id
            for state in (OperationState.QUEUED, OperationState.RUNNING)
            for o in self.site.operations.index(state=state)
        }
        for aggregate in self.site.aggregates.index():
            settled = AggregateState.ACTIVE if aggregate.hosts else AggregateState.CREATED
            expected = AggregateState.CHANGING if aggregate.id in busy else settled
            assert aggregate.state is expected

    @invariant()
    def quiet_means_true(self) -> None:
        if self.site.operations.runnable(1):
            return
        assert not self.site.operations.index(state=OperationState.QUEUED), "all of it was run"
        intended = {name: a.id for a in self.site.aggregates.index() for name in a.hosts}
        real = {name: place for name, place in self.real.items() if place in self.live}
        assert intended == real


def test_any_order_of_requests(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/stateful.sqlite"
    migration.sync(url)
    Requests.database = Database(url)
    Requests.box = SecretBox.create(tmp_path / "key")
    machine = Requests.TestCase
    machine.settings = settings(
        max_examples=40,
        stateful_step_count=25,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    machine("runTest").runTest()
    Requests.database.dispose()
