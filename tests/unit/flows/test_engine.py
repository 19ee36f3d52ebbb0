from __future__ import annotations

import dataclasses
import random
import threading
from pathlib import Path

import pytest

from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import OperationLost
from nova_aggregates.flows.outcome import Interrupted
from nova_aggregates.manager import HostManager
from nova_aggregates.objects import AggregateState, Credentials, OperationState
from nova_aggregates.xenapi import errors
from tests.unit.flows.bench import FAST, SETTINGS, WHO, Bench, until
from tests.unit.flows.site import FakeSite

CHANGES = ("set_name", "join", "sync_database", "designate_new_master", "eject")


def walk(bench: Bench) -> list[str]:
    """Add three, remove the master, then a slave, then the last; the operations in order."""
    blue = bench.aggregate()
    uuids = [bench.add(blue, name) for name in ("h1", "h2", "h3")]
    bench.ended(*uuids)
    for name in ("h1", "h3", "h2"):
        uuids.append(bench.remove(blue, name))
        bench.ended(uuids[-1])
    return uuids


def counted(site: FakeSite, verb: str) -> int:
    return sum(call[0] == verb for call in site.calls)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_change_an_operation_is_finished(
    bench: Bench, site: FakeSite, when: str
) -> None:
    for verb in CHANGES:
        site.fail[verb] = [(when, Interrupted("killed"))]
    bench.start()
    bench.succeeded(*walk(bench))
    assert all(host.pool.hosts == [host] and not host.pool.name for host in site.hosts)
    if when == "after":
        # What is done is seen to be done: two joins, two ejects, one change of master.
        assert [counted(site, verb) for verb in ("join", "eject")] == [2, 2]
        assert counted(site, "designate_new_master") == 1
    assert all(len(site.fail[verb]) == 0 for verb in CHANGES)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_again_and_again_an_operation_is_finished(
    bench: Bench, site: FakeSite, seed: int
) -> None:
    site.kills = random.Random(seed)
    # Few looks a wait: each may be the last.
    bench.start(dataclasses.replace(FAST, poll=0.05))
    uuids = walk(bench)
    bench.succeeded(*uuids)
    assert all(host.pool.hosts == [host] and not host.pool.name for host in site.hosts)
    assert max(bench.operation(uuid).fence for uuid in uuids) > 1


def test_killed_while_undoing_the_cause_is_not_forgotten(bench: Bench, site: FakeSite) -> None:
    site["h1"].pool.name = "as it was"
    refused = errors.ApiFailure("RBAC_PERMISSION_DENIED", ("pool.set_name_label", "no"))
    site.fail["set_name"] = [("after", refused), ("before", Interrupted("killed"))]
    blue = bench.aggregate("blue")
    uuid = bench.add(blue, "h1")
    bench.start()
    (operation,) = bench.ended(uuid)
    assert [call[1] for call in site.calls] == ["blue", "as it was", "as it was"]
    assert operation.fence == 2
    assert operation.state is OperationState.FAILED
    assert operation.failure is not None
    assert operation.failure.code == "RBAC_PERMISSION_DENIED"
    assert site["h1"].pool.name == "as it was"
    assert bench.managers.pools.show(blue) is None


@pytest.mark.parametrize("well", [True, False])
def test_killed_right_before_the_end_nothing_is_done_anew(
    bench: Bench, site: FakeSite, well: bool
) -> None:
    if not well:
        refused = errors.ApiFailure("RBAC_PERMISSION_DENIED", ("pool.set_name_label", "no"))
        site.fail["set_name"] = [("before", refused)]
    uuid = bench.add(bench.aggregate("blue"), "h1")
    runner = bench.runner()
    end, ended = runner._executor._end, []

    def killed_once(*args):  # type: ignore[no-untyped-def]
        ended.append(args)
        if len(ended) == 1:
            raise Interrupted("killed")
        end(*args)

    runner._executor._end = killed_once  # type: ignore[method-assign]
    runner.start()
    (operation,) = bench.ended(uuid)
    assert len(ended) == 2
    assert operation.fence == 2
    assert operation.state is (OperationState.SUCCEEDED if well else OperationState.FAILED)
    assert well or (operation.failure and operation.failure.code == "RBAC_PERMISSION_DENIED")
    assert site.calls == [("set_name", "blue")]


def test_a_defect_ends_the_operation_and_not_the_manager(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    site.fail["set_name"] = [("before", ZeroDivisionError("secret-of-h1"))]
    (operation,) = bench.ended(bench.add(blue, "h1"))
    assert operation.state is OperationState.FAILED
    assert operation.failure is not None
    assert operation.failure.code == "INTERNAL_DEFECT"
    assert operation.uuid in operation.failure.cure
    assert "secret-of-h1" not in str(operation)
    assert bench.managers.pools.show(blue) is None
    bench.succeeded(bench.add(blue, "h1"))


def test_a_defect_after_the_join_needs_a_person(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site.fail["sync_database"] = [("before", ZeroDivisionError())]
    (operation,) = bench.ended(bench.add(blue, "h2"))
    assert operation.state is OperationState.ERROR
    assert bench.show(blue).state is AggregateState.ERROR
    assert bench.show(blue).hosts == ("h1", "h2")


def test_a_stuck_aggregate_holds_up_no_other(bench: Bench, site: FakeSite) -> None:
    free = threading.Event()
    site.gate = lambda verb, about: (
        None if about != "blue" else (None if free.wait(20) else pytest.fail("never freed"))
    )
    blue, red = bench.aggregate("blue"), bench.aggregate("red")
    stuck = bench.add(blue, "h1")
    bench.start()
    until(lambda: bench.operation(stuck).step == "name_pool")
    bench.succeeded(bench.add(red, "h2"), bench.add(red, "h3"))
    assert bench.operation(stuck).state is OperationState.RUNNING
    free.set()
    bench.succeeded(stuck)


def test_no_more_operations_at_a_time_than_allowed(bench: Bench, site: FakeSite) -> None:
    free = threading.Event()
    inside: set[str] = set()
    most: list[int] = []

    def gate(verb: str, about: str) -> None:
        inside.add(about)
        most.append(len(inside))
        free.wait(20)
        inside.discard(about)

    site.gate = gate
    uuids = [bench.add(bench.aggregate(f"a{n}"), f"h{n}") for n in (1, 2, 3, 4)]
    runner = bench.runner(settings=dataclasses.replace(SETTINGS, max_operations=2))
    runner.start()
    until(lambda: len(inside) == 2)
    until(lambda: len(runner.busy) == 2)
    free.set()
    bench.succeeded(*uuids)
    assert max(most) == 2


def test_a_stopped_runner_leaves_its_operation_to_the_next(bench: Bench, site: FakeSite) -> None:
    first = bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site["h2"].delay = 10**9
    uuid = bench.add(blue, "h2")
    until(lambda: bench.operation(uuid).step == "await_member")
    first.stop()
    assert first.wait(5)
    operation = bench.operation(uuid)
    assert operation.state is OperationState.RUNNING
    site["h2"].arrives_in = 1
    bench.start()
    (operation,) = bench.succeeded(uuid)
    assert operation.fence == 2
    # It went on where it was, from the logbook.
    assert bench.steps(uuid).count("join_pool") == 1
    assert counted(site, "join") == 1


def test_several_runners_share_the_work_and_never_an_aggregate(
    bench: Bench, site: FakeSite
) -> None:
    both = threading.Barrier(2)
    names = {"blue", "red"}

    def gate(verb: str, about: str) -> None:
        # Each of the two pools is named for the first time while the other one is.
        if verb == "set_name" and about in names:
            names.discard(about)
            both.wait(30)

    site.gate = gate
    for _ in range(3):
        bench.runner(settings=dataclasses.replace(SETTINGS, max_operations=1)).start()
    blue, red = bench.aggregate("blue"), bench.aggregate("red")
    uuids = []
    for _ in range(2):
        uuids += [bench.add(blue, "h1"), bench.add(blue, "h2")]
        uuids += [bench.add(red, "h3"), bench.add(red, "h4")]
        uuids += [bench.remove(blue, "h2"), bench.remove(blue, "h1")]
        uuids += [bench.remove(red, "h4"), bench.remove(red, "h3")]
    operations = bench.succeeded(*uuids, seconds=120)
    # Taken once, by one: a second owner would have raised the fence.
    assert [operation.fence for operation in operations] == [1] * len(uuids)
    assert len({operation.owner for operation in operations}) > 1


def test_an_owner_that_lost_the_operation_stops_before_its_next_step(
    bench: Bench, site: FakeSite
) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    taken = []

    def gate(verb: str, about: str) -> None:
        if verb == "join":
            taken.append(bench.managers.operations.take(uuid, "somebody else"))

    site.gate = gate
    uuid = bench.add(blue, "h2")
    until(lambda: bool(taken))
    until(lambda: not bench.runners[0].busy)
    assert bench.operation(uuid).owner == "somebody else"
    assert bench.operation(uuid).step == "join_pool"
    assert bench.managers.operations.succeed(taken[0]).state is OperationState.SUCCEEDED
    with pytest.raises(OperationLost):
        bench.managers.operations.step(dataclasses.replace(taken[0], fence=1), "late", 1)


def test_books_of_ended_operations_are_swept(bench: Bench) -> None:
    blue = bench.aggregate()
    uuid = bench.add(blue, "h1")
    operation = bench.managers.operations.take(uuid, "one that died")
    bench.managers.operations.succeed(operation)
    bench.logbooks.open(uuid, "add_host.first")
    waiting = bench.add(blue, "h2")
    bench.logbooks.open(waiting, "add_host.first")
    bench.runner()._sweep()
    assert list(bench.logbooks.left_open()) == [waiting]


def test_the_request_is_named_in_every_log_line_of_an_operation(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench.start()
    blue = bench.aggregate()
    uuid = bench.add(blue, "h1")
    bench.succeeded(uuid)
    until(lambda: "operation.succeeded" in caplog.text)
    about = [record.getMessage() for record in caplog.records if uuid in record.getMessage()]
    assert any(line.startswith("operation.taken") for line in about)
    assert all(WHO.request_id in line for line in about)
    assert "secret" not in caplog.text


def test_a_password_that_cannot_be_decrypted_is_no_defect(bench: Bench, tmp_path: Path) -> None:
    other = HostManager(bench.database, SecretBox.create(tmp_path / "other-key"))
    host = bench.managers.hosts.show("h1")
    other.set_credentials(host.id, Credentials("root", "x"))
    bench.start()
    (operation,) = bench.ended(bench.add(bench.aggregate(), "h1"))
    assert operation.state is OperationState.FAILED
    assert operation.failure is not None
    assert operation.failure.code == "CONFIGURATION_INVALID"
    assert "key" in operation.failure.message
