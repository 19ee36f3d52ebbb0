from __future__ import annotations

from nova_aggregates.objects import OperationEvent
from nova_aggregates.xenapi import errors
from tests.unit.flows.bench import Bench
from tests.unit.flows.site import FakeSite
from tests.unit.flows.test_add_host import fails
from tests.unit.flows.test_remove_host import three


def calls(bench: Bench, uuid: str) -> list[OperationEvent]:
    events = bench.managers.operations.events(uuid)
    return [event for event in events if event.kind == "xenapi"]


def test_every_changing_call_is_on_record(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = three(bench)
    uuid = bench.remove(blue, "h1")
    before = len(site.calls)
    bench.succeeded(uuid)
    found = calls(bench, uuid)
    assert len(found) == len(site.calls) - before
    assert [(event.data["method"], event.data["host"]) for event in found] == [
        ("pool.designate_new_master", "127.0.9.1:443"),
        ("pool.eject", "127.0.9.2:443"),
    ]
    for event in found:
        assert event.data["outcome"] == "SUCCESS"
        assert 0 <= event.data["seconds"] < 10


def test_refusals_are_on_record_and_secrets_are_not(bench: Bench, site: FakeSite) -> None:
    bench.start()
    blue = bench.aggregate()
    bench.succeeded(bench.add(blue, "h1"))
    site.fail["join"] = [("before", errors.ApiFailure("HA_IS_ENABLED", ()))]
    uuid = bench.add(blue, "h2")
    fails(bench, uuid, "HA_IS_ENABLED")
    (event,) = calls(bench, uuid)
    assert event.data["method"] == "pool.join"
    assert event.data["host"] == "127.0.9.2:443"
    assert event.data["outcome"] == "HA_IS_ENABLED"
    assert "secret-of" not in str(bench.managers.operations.events(uuid))


def test_nothing_is_sent_for_an_operation_that_another_manager_took(
    bench: Bench, site: FakeSite
) -> None:
    bench.start()
    site["h1"].enabled = False
    taken: list[str] = []
    owners: list[str | None] = []
    uuid = ""

    def looked() -> None:
        if uuid and not taken and "bring_into_service" in bench.steps(uuid):
            taken.append(uuid)
            bench.managers.operations.take(uuid, "another")

    def gate(verb: str, _about: str) -> None:
        if verb == "enable":
            owners.append(bench.operation(uuid).owner)

    site.looked = looked
    site.gate = gate
    uuid = bench.add(bench.aggregate(), "h1")
    bench.succeeded(uuid)
    assert taken
    assert len(owners) == 1
    assert "another" not in owners
