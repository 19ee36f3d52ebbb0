from __future__ import annotations

import dataclasses

from taskflow import states

from nova_aggregates.flows.backoff import Backoff
from nova_aggregates.objects import OperationState
from nova_aggregates.xenapi import errors
from tests.unit.flows.bench import FAST, SETTINGS, WHO, Bench, until
from tests.unit.flows.site import FakeSite
from tests.unit.flows.test_add_host import HA, fails

QUICK = Backoff(attempts=2, delay=0.05, longest=0.08)
SLOW = Backoff(attempts=2, delay=3600, longest=7200)


def start(bench: Bench, backoff: Backoff) -> None:
    timing = dataclasses.replace(FAST, outage=0.02)
    bench.runner(timing, dataclasses.replace(SETTINGS, backoff=backoff)).start()


def postponed(bench: Bench, uuid: str) -> int:
    return [event.kind for event in bench.managers.operations.events(uuid)].count("postponed")


def test_it_is_tried_again_until_the_host_is_there(bench: Bench, site: FakeSite) -> None:
    start(bench, dataclasses.replace(QUICK, attempts=1000))
    site["h1"].dead = True
    blue = bench.aggregate()
    uuid = bench.add(blue, "h1")
    until(lambda: postponed(bench, uuid) > 1)
    assert bench.show(blue).hosts == ("h1",)
    site["h1"].dead = False
    (operation,) = bench.succeeded(uuid)
    assert operation.failure is None
    assert operation.attempts > 2


def test_it_fails_after_the_last_attempt_and_a_retry_counts_anew(
    bench: Bench, site: FakeSite
) -> None:
    start(bench, QUICK)
    site["h1"].dead = True
    blue = bench.aggregate()
    uuid = bench.add(blue, "h1")
    fails(bench, uuid, "UNREACHABLE")
    assert postponed(bench, uuid) == 2
    assert bench.show(blue).hosts == ()
    bench.managers.operations.retry(WHO, uuid)
    fails(bench, uuid, "UNREACHABLE")
    assert postponed(bench, uuid) == 4


def test_what_does_not_pass_by_itself_fails_at_once(bench: Bench, site: FakeSite) -> None:
    start(bench, QUICK)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site.join_problems["h2"] = (HA,)
    uuid = bench.add(blue, "h2")
    fails(bench, uuid, HA.code)
    assert postponed(bench, uuid) == 0


def test_nothing_is_sent_twice_by_itself(bench: Bench, site: FakeSite) -> None:
    start(bench, QUICK)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    busy = errors.ApiFailure("OTHER_OPERATION_IN_PROGRESS", ("pool", "join"))
    assert busy.retry_helps
    site.fail["join"] = [("before", busy)]
    uuid = bench.add(blue, "h2")
    fails(bench, uuid, busy.code)
    assert postponed(bench, uuid) == 0


def test_one_that_waits_can_be_cancelled(bench: Bench, site: FakeSite) -> None:
    start(bench, SLOW)
    site["h1"].dead = True
    blue = bench.aggregate()
    uuid = bench.add(blue, "h1")
    until(lambda: postponed(bench, uuid) == 1)
    bench.managers.operations.cancel(WHO, uuid)
    (operation,) = bench.ended(uuid)
    assert operation.state is OperationState.CANCELLED
    assert bench.show(blue).hosts == ()


def test_the_delay_doubles_up_to_the_longest(bench: Bench, site: FakeSite) -> None:
    start(bench, QUICK)
    site["h1"].dead = True
    uuid = bench.add(bench.aggregate(), "h1")
    bench.ended(uuid)
    waits = []
    for event in bench.managers.operations.events(uuid):
        if event.kind == "postponed":
            moment = type(event.at).fromisoformat(event.data["not_before"])
            waits.append((moment - event.at).total_seconds())
    assert waits[0] <= 0.05
    assert 0.05 < waits[1] <= 0.08


def test_a_page_of_the_last_round_does_not_end_this_one(bench: Bench, site: FakeSite) -> None:
    """Its manager died between the end of the operation and the closing of its book."""
    start(bench, QUICK)
    site["h1"].dead = True
    blue = bench.aggregate()
    uuid = bench.add(blue, "h1")
    fails(bench, uuid, "UNREACHABLE")
    until(lambda: list(bench.logbooks.left_open()) == [])
    page = bench.logbooks.open(uuid, "add_host.first.2")
    page.state = states.REVERTED
    bench.logbooks.backend.get_connection().update_flow_details(page)
    site["h1"].dead = False
    bench.managers.operations.retry(WHO, uuid)
    bench.succeeded(uuid)
