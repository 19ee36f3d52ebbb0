"""What the audit found, how far each webhook is, and the events in an order that holds, on every
database."""

from __future__ import annotations

import dataclasses
import datetime
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from nova_aggregates.db import events, tables
from nova_aggregates.db.clock import utcnow
from nova_aggregates.exceptions import AggregateNotFound
from nova_aggregates.objects import DriftPolicy
from tests.functional.db.conftest import DRIFT, WHO, Site
from tests.functional.db.test_operations import add
from tests.functional.db.test_races import errors, together

OF_THE_POOL = dataclasses.replace(
    DRIFT, host=None, kind="pool_name", expected="a", found="«b»" * 100, policy=DriftPolicy.ENFORCE
)


class TestDrift:
    def test_the_set_is_replaced_and_what_stays_keeps_its_time(self, site: Site) -> None:
        number = site.aggregate("a").id
        site.drift.record(number, [DRIFT])
        first = site.drift.index(number)[0]
        assert (first.finding, first.aggregate_id) == (DRIFT, number)
        assert first.first_seen == first.last_seen
        reworded = dataclasses.replace(DRIFT, message="In other words.")
        site.drift.record(number, [OF_THE_POOL, reworded])
        second, new = site.drift.index(number)
        assert (second.id, second.first_seen) == (first.id, first.first_seen)
        assert second.last_seen > first.last_seen
        assert second.finding == reworded
        assert new.finding == OF_THE_POOL
        site.drift.record(number, [OF_THE_POOL])
        assert [each.finding for each in site.drift.index(number)] == [OF_THE_POOL]
        site.drift.record(number, [])
        assert site.drift.index(number) == []

    def test_another_value_is_another_difference(self, site: Site) -> None:
        number = site.aggregate("a").id
        site.drift.record(number, [DRIFT])
        former = site.drift.index(number)[0]
        site.drift.record(number, [dataclasses.replace(DRIFT, found="disabled")])
        assert site.drift.index(number)[0].id != former.id

    def test_twice_the_same_finding_is_one(self, site: Site) -> None:
        number = site.aggregate("a").id
        site.drift.record(number, [DRIFT, DRIFT])
        assert len(site.drift.index(number)) == 1

    def test_all_and_each(self, site: Site) -> None:
        numbers = [site.aggregate(name).id for name in "ab"]
        for number in numbers:
            site.drift.record(number, [DRIFT])
        assert [each.aggregate_id for each in site.drift.index()] == numbers
        site.drift.record(numbers[0], [])
        assert [each.aggregate_id for each in site.drift.index()] == numbers[1:]

    def test_a_deleted_aggregate_and_one_that_never_was(self, site: Site) -> None:
        number = site.aggregate("a").id
        site.aggregates.delete(WHO, number)
        assert site.drift.index(number) == []
        site.drift.record(number, [DRIFT])
        assert len(site.drift.index(number)) == 1
        for unknown in (0, number + 1, 2**31, 2**63):
            with pytest.raises(AggregateNotFound):
                site.drift.index(unknown)
            with pytest.raises(AggregateNotFound):
                site.drift.record(unknown, [DRIFT])

    def test_it_is_told_once(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        number = site.aggregate("a").id
        with caplog.at_level(logging.WARNING, "nova_aggregates.manager.drift"):
            for findings in ([DRIFT], [DRIFT], [], []):
                site.drift.record(number, findings)
        told = [record.getMessage().split()[0] for record in caplog.records]
        assert told == ["drift.found", "drift.gone"]

    def test_two_auditors_at_once(self, site: Site) -> None:
        number = site.aggregate("a").id
        answers = together([lambda: site.drift.record(number, [DRIFT]) for _ in range(8)])
        assert errors(answers) == []
        assert len(site.drift.index(number)) == 1


class TestWebhooks:
    def test_a_new_one_begins_now_and_goes_forward_only(self, site: Site) -> None:
        site.host("host1")
        site.aggregate("a", "host1")
        newest = site.operations.last_event()
        assert newest > 0
        assert site.webhooks.position("http://127.0.0.1/a?token=geheim") == newest
        site.webhooks.advance("http://127.0.0.1/a?token=geheim", newest + 5)
        site.webhooks.advance("http://127.0.0.1/a?token=geheim", newest + 3)
        assert site.webhooks.position("http://127.0.0.1/a?token=geheim") == newest + 5
        assert site.webhooks.position("http://127.0.0.1/b") == newest
        with site.database.read() as connection:
            stored = connection.execute(sa.select(tables.webhook_cursors)).all()
        assert "geheim" not in str(stored)

    def test_long_urls_and_many_at_once(self, site: Site) -> None:
        url = "http://127.0.0.1/" + "x" * 5000
        answers = together([lambda: site.webhooks.position(url) for _ in range(8)])
        assert answers == [0] * 8


class TestEventsAfter:
    def test_all_from_behind_a_number_on(self, site: Site) -> None:
        for name in ("host1", "host2"):
            site.host(name)
        first, second = site.aggregate("a", "host1"), site.aggregate("b", "host2")
        every = site.operations.events_after(0, 100)
        assert [event.kind for event in every] == ["queued", "taken", "succeeded"] * 2
        assert [event.aggregate_id for event in every] == [first.id] * 3 + [second.id] * 3
        assert site.operations.last_event() == every[-1].id
        assert site.operations.events_after(every[1].id, 2) == every[2:4]
        assert site.operations.events_after(every[-1].id, 10) == []
        mine = every[3].operation
        assert site.operations.events_after(0, 10, operation=mine) == every[3:]
        assert site.operations.events_after(every[4].id, 10, operation=mine) == every[5:]
        assert site.operations.events(mine) == every[3:]

    def test_a_late_commit_is_not_passed_over(self, site: Site, backend: str) -> None:
        """The numbers are given at the insert; the reader may not go past one that is still to
        come, or whoever resumes from there would never see it."""
        for name in ("host1", "host2"):
            site.host(name)
        first, second = site.aggregate("a"), site.aggregate("b")
        slow, quick = add(site, first.id, "host1"), add(site, second.id, "host2")
        seen = site.operations.last_event()
        with site.database.read() as connection:
            ids = sa.select(tables.operations.c.id).where(tables.operations.c.uuid == slow.uuid)
            number = connection.execute(ids).scalar_one()
        with ThreadPoolExecutor(1) as pool:
            with site.database.transaction() as connection:
                events.add(connection, number, 0, "slow", {})
                if backend == "sqlite":
                    taken = None  # nobody else can write meanwhile
                else:
                    taken = pool.submit(site.operations.take, quick.uuid, "manager-1")
                    taken.result(timeout=20)
                assert site.operations.events_after(seen, 10) == []
        if taken is None:
            site.operations.take(quick.uuid, "manager-1")
        found = site.operations.events_after(seen, 10)
        assert [event.kind for event in found] == ["slow", "taken"]

    def test_what_was_rolled_back_holds_nobody_up_for_long(self, site: Site) -> None:
        site.host("host1")
        operation = add(site, site.aggregate("a").id, "host1")
        seen = site.operations.last_event()
        with site.database.transaction() as connection:
            row = {"operation_id": 0, "fence": 0, "kind": "late", "data": {}}
            ids = sa.select(tables.operations.c.id).where(
                tables.operations.c.uuid == operation.uuid
            )
            row["operation_id"] = connection.execute(ids).scalar_one()
            old = utcnow() - events.GAP_CLOSES_AFTER - datetime.timedelta(seconds=1)
            for number, at in ((seen + 2, old), (seen + 3, utcnow()), (seen + 5, utcnow())):
                connection.execute(
                    sa.insert(tables.operation_events).values(id=number, at=at, **row)
                )
        found = site.operations.events_after(seen, 10)
        assert [event.id for event in found] == [seen + 2, seen + 3]
