"""A request with a key takes effect once, on every database, also when many arrive at once."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from nova_aggregates.db import tables
from nova_aggregates.db.clock import utcnow
from nova_aggregates.exceptions import (
    AggregateNameTaken,
    HostInThisAggregate,
    HostNotFound,
    IdempotencyKeyReused,
    NovaAggregatesError,
)
from nova_aggregates.manager.idempotency import freeze, thaw
from nova_aggregates.objects import (
    Accepted,
    Action,
    AggregateKind,
    Finding,
    Once,
    OperationFailure,
    Severity,
)
from tests.functional.db.conftest import FAILURE, WHO, Site
from tests.functional.db.test_import import pool_with
from tests.functional.db.test_races import errors, together

THREADS = 20


def once(key: str = "key", *, scope: str = "demo POST /x", digest: str = "body") -> Once:
    return Once(key, scope, digest)


@pytest.fixture
def number(site: Site) -> int:
    for name in ("host1", "host2", "host3"):
        site.host(name)
    return site.aggregate("a", "host1").id


def test_every_change_is_made_once(site: Site, number: int) -> None:
    ended = site.aggregates.remove_host(WHO, number, "host1").operation
    assert ended is not None
    site.operations.error(site.take_next(number), FAILURE)
    calls: list[Callable[[Once], Any]] = [
        lambda o: site.aggregates.create(WHO, name="b", availability_zone="east", once=o),
        lambda o: site.aggregates.update(WHO, number, name="c", once=o),
        lambda o: site.aggregates.set_metadata(WHO, number, {"k": "v", "#": "1"}, once=o),
        lambda o: site.aggregates.add_host(WHO, number, "host2", once=o),
        lambda o: site.aggregates.remove_host(WHO, number, "host2", once=o),
        lambda o: site.aggregates.set_hosts(WHO, number, ["host1", "host3"], once=o),
        lambda o: site.aggregates.preflight(WHO, number, Action.ADD_HOST, "host2", once=o),
        lambda o: site.operations.retry(WHO, ended.uuid, once=o),
        lambda o: site.operations.cancel(WHO, ended.uuid, once=o),
        lambda o: site.aggregates.import_pool(WHO, pool_with("host7"), once=o),
    ]
    for index, call in enumerate(calls):
        first = call(once(f"key{index}"))
        events = site.operations.last_event()
        with site.database.read() as connection:
            before = connection.execute(sa.select(tables.generation.c.value)).scalar()
        assert call(once(f"key{index}")) == first
        assert site.operations.last_event() == events
        with site.database.read() as connection:
            assert connection.execute(sa.select(tables.generation.c.value)).scalar() == before


def test_nothing_is_an_answer_too(site: Site) -> None:
    number = site.aggregate("a").id
    for _ in range(2):
        site.aggregates.delete(WHO, number, once=once())


def test_the_answer_stays_as_it_was(site: Site, number: int) -> None:
    first = site.aggregates.add_host(WHO, number, "host2", once=once())
    site.operations.succeed(site.take_next(number))
    site.aggregates.remove_host(WHO, number, "host2")
    again = site.aggregates.add_host(WHO, number, "host2", once=once())
    assert again == first
    assert isinstance(again, Accepted)
    assert site.members(number) == ["host1"]


def test_a_refusal_is_an_answer_too(site: Site, number: int) -> None:
    def ask() -> None:
        site.aggregates.add_host(WHO, number, "host9", once=once())

    with pytest.raises(HostNotFound) as first:
        ask()
    site.host("host9")
    with pytest.raises(HostNotFound) as again:
        ask()
    assert str(again.value) == str(first.value)
    assert again.value.values == {"host": "host9"}


def test_a_refusal_leaves_nothing_behind(site: Site, number: int) -> None:
    """The first of the two is added before the second is looked at."""
    site.host("west", zone="west")
    site.aggregates.update(WHO, number, availability_zone="east")
    before = site.operations.last_event()
    with pytest.raises(NovaAggregatesError):
        site.aggregates.set_hosts(WHO, number, ["host2", "west"], once=once())
    assert site.members(number) == ["host1"]
    assert site.operations.last_event() == before


def test_another_body(site: Site, number: int) -> None:
    site.aggregates.add_host(WHO, number, "host2", once=once())
    with pytest.raises(IdempotencyKeyReused, match="key"):
        site.aggregates.add_host(WHO, number, "host3", once=once(digest="other"))
    assert site.members(number) == ["host1", "host2"]


def test_another_scope_is_another_request(site: Site, number: int) -> None:
    site.aggregates.add_host(WHO, number, "host2", once=once())
    with pytest.raises(HostInThisAggregate):
        site.aggregates.add_host(WHO, number, "host2", once=once(scope="other POST /x"))


@pytest.mark.parametrize("key", ["", "x" * 10000, "nul\0", "\ud800", "Größe \N{GRINNING FACE}"])
def test_odd_keys(site: Site, key: str) -> None:
    made = site.aggregates.create(WHO, name="a", availability_zone=None, once=once(key))
    assert site.aggregates.create(WHO, name="a", availability_zone=None, once=once(key)) == made
    with pytest.raises(AggregateNameTaken):
        site.aggregates.create(WHO, name="a", availability_zone=None, once=once(key + "."))


def age(site: Site, days: float) -> None:
    with site.database.transaction() as connection:
        connection.execute(
            sa.update(tables.idempotency_keys).values(
                created_at=utcnow() - datetime.timedelta(days=days)
            )
        )


def test_keys_are_kept_for_seven_days(site: Site) -> None:
    made = site.aggregates.create(WHO, name="a", availability_zone=None, once=once())
    age(site, 6.9)
    assert site.operations.purge() == 0
    assert site.aggregates.create(WHO, name="a", availability_zone=None, once=once()) == made
    age(site, 7.1)
    with pytest.raises(AggregateNameTaken):
        site.aggregates.create(WHO, name="a", availability_zone=None, once=once(digest="new"))
    age(site, 7.1)
    assert site.operations.purge() == 1
    assert site.operations.purge() == 0


def test_twenty_with_the_same_key_make_one_operation(site: Site, number: int) -> None:
    answers = together(
        [
            lambda: site.aggregates.add_host(WHO, number, "host2", once=once())
            for _ in range(THREADS)
        ]
    )
    assert errors(answers) == []
    assert all(answer == answers[0] for answer in answers)
    assert len(site.operations.index(host="host2")) == 1
    assert site.members(number) == ["host1", "host2"]


def test_twenty_refusals_with_the_same_key_are_one(site: Site, number: int) -> None:
    answers = together(
        [
            lambda: site.aggregates.add_host(WHO, number, "host1", once=once())
            for _ in range(THREADS)
        ]
    )
    assert errors(answers) == [HostInThisAggregate] * THREADS
    assert len({str(answer) for answer in answers}) == 1


def test_twenty_with_different_keys(site: Site, number: int) -> None:
    answers = together(
        [
            lambda n=n: site.aggregates.add_host(WHO, number, "host2", once=once(f"key{n}"))
            for n in range(THREADS)
        ]
    )
    assert errors(answers) == [HostInThisAggregate] * (THREADS - 1)
    assert len(site.operations.index(host="host2")) == 1


def test_two_bodies_with_the_same_key(site: Site) -> None:
    answers = together(
        [
            lambda n=n: site.aggregates.create(
                WHO, name=f"a{n}", availability_zone=None, once=once(digest=str(n))
            )
            for n in range(8)
        ]
    )
    assert errors(answers) == [IdempotencyKeyReused] * 7
    assert len(site.aggregates.index()) == 1


def test_answers_come_back_as_they_were() -> None:
    finding = Finding("c", "C", Severity.INFO, "m", "u")
    moment = utcnow().replace(microsecond=678901)
    for value in (
        None,
        finding,
        (finding, (), [1, "x", None], {"#": {"#": "tuple", "value": 1}}),
        {"when": moment, "kind": AggregateKind.LABEL},
    ):
        stored = json.loads(json.dumps(freeze(value)))
        assert thaw(stored) == value
    stored = freeze(FAILURE)
    stored["value"]["of a later release"] = 1
    assert thaw(stored) == OperationFailure(**dataclasses.asdict(FAILURE))
