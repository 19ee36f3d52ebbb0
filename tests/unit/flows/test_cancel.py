"""Operations that somebody cancels while a manager works on them."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from nova_aggregates.exceptions import OperationCannotBeCancelled
from nova_aggregates.objects import AggregateState, OperationState
from tests.unit.flows.bench import FAST, WHO, Bench, until
from tests.unit.flows.site import FakeSite
from tests.unit.flows.test_remove_host import three

PATIENT = dataclasses.replace(FAST, handover=60.0, join=60.0, outage=60.0)


def cancel(bench: Bench, uuid: str) -> None:
    bench.managers.operations.cancel(WHO, uuid)
    (operation,) = bench.ended(uuid)
    assert operation.state is OperationState.CANCELLED
    assert operation.failure is None


def at(bench: Bench, uuid: str, step: str) -> None:
    until(lambda: step in bench.steps(uuid))


def test_an_add_is_cancelled_while_it_waits(bench: Bench, site: FakeSite) -> None:
    bench.start(PATIENT)
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h1"].live = False
    uuid = bench.add(blue, "h2")
    at(bench, uuid, "await_settled_pool")
    cancel(bench, uuid)
    assert bench.show(blue).hosts == ("h1",)
    assert bench.show(blue).state is AggregateState.ACTIVE
    assert ("join", "h2") not in site.calls
    site["h1"].live = True
    bench.succeeded(bench.add(blue, "h2"))


def test_what_was_done_for_a_first_host_is_undone(bench: Bench, site: FakeSite) -> None:
    bench.start(PATIENT)
    blue = bench.aggregate()
    site["h1"].pool.name = "blue"
    site["h1"].live = False
    uuid = bench.add(blue, "h1")
    at(bench, uuid, "bring_into_service")
    assert bench.managers.pools.show(blue) is not None
    cancel(bench, uuid)
    assert bench.managers.pools.show(blue) is None
    assert bench.show(blue).hosts == ()


def test_a_removal_is_cancelled_while_the_pool_is_away(bench: Bench, site: FakeSite) -> None:
    bench.start(PATIENT)
    blue = three(bench)
    site["h1"].dead = True
    uuid = bench.remove(blue, "h2")
    at(bench, uuid, "inspect_host")
    cancel(bench, uuid)
    assert sorted(bench.show(blue).hosts) == ["h1", "h2", "h3"]
    assert ("eject", "h2") not in site.calls


@pytest.mark.parametrize(
    ("verb", "host"), [("join", "h2"), ("set_name", "h1"), ("eject", "h2"), ("designate", "h1")]
)
def test_nothing_is_cancelled_from_the_point_of_no_return(
    bench: Bench, site: FakeSite, verb: str, host: str
) -> None:
    bench.start()
    if verb in ("eject", "designate"):
        blue = three(bench)
    else:
        blue = bench.aggregate()
        if verb == "join":
            bench.succeeded(bench.add(blue, "h1"))
    refused: list[str] = []
    go = threading.Event()

    def gate(called: str, _about: str) -> None:
        if called.startswith(verb):
            go.wait(10)
            with pytest.raises(OperationCannotBeCancelled) as caught:
                bench.managers.operations.cancel(WHO, uuids[0])
            refused.append(str(caught.value))

    uuids: list[str] = []
    site.gate = gate
    uuids.append((bench.add if verb in ("join", "set_name") else bench.remove)(blue, host))
    go.set()
    bench.succeeded(*uuids)
    assert refused


def test_a_cancel_that_comes_first_wins(bench: Bench, site: FakeSite) -> None:
    """Between the last look for a cancel and the call."""
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    uuid = ""

    def last_look() -> None:
        if uuid and "join_pool" in bench.steps(uuid):
            bench.managers.operations.cancel(WHO, uuid)

    site.looked = last_look
    uuid = bench.add(blue, "h2")
    (operation,) = bench.ended(uuid)
    assert operation.state is OperationState.CANCELLED
    assert ("join", "h2") not in site.calls


def test_what_an_earlier_attempt_did_cannot_be_cancelled(bench: Bench, site: FakeSite) -> None:
    runner = bench.start(dataclasses.replace(FAST, join=0.2))
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h2"].storage_missing = ("shared",)
    uuid = bench.add(blue, "h2")
    (operation,) = bench.ended(uuid)
    assert operation.state is OperationState.ERROR
    runner.stop()
    assert runner.wait(10)
    bench.managers.operations.retry(WHO, uuid)
    assert bench.managers.operations.cancel(WHO, uuid).cancel_requested
    bench.start()
    (operation,) = bench.ended(uuid)
    assert operation.state is OperationState.ERROR
    assert operation.failure is not None
    assert operation.failure.code == "CANCELLED_TOO_LATE"
    assert bench.show(blue).hosts == ("h1", "h2")
    site["h2"].storage_missing = ()
    bench.managers.operations.retry(WHO, uuid)
    bench.succeeded(uuid)
