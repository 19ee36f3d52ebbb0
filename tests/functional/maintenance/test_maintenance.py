"""A host goes into maintenance and comes back; nobody is stopped."""

from __future__ import annotations

import pytest

from nova_aggregates.exceptions import HostNotInMaintenance
from nova_aggregates.flows import xencenter
from nova_aggregates.manager import ServiceManager
from nova_aggregates.manager.services import ServiceChange
from nova_aggregates.objects import Action, HostStatus, MaintenanceMode, OperationState, ZoneRule
from tests.functional.maintenance.fleet import Fleet
from tests.unit.flows.bench import WHO


def test_into_maintenance_and_back(fleet: Fleet) -> None:
    guests = {f"web{n}": "host2" for n in range(5)} | {"db1": "host3"}
    uuids = {name: fleet.guest(name, host) for name, host in guests.items()}
    on = fleet.into("host2", concurrency=2)

    found = fleet.where()
    assert found.keys() == guests.keys()
    assert found["db1"] == "host3"
    assert "host2" not in found.values()
    record = fleet.host("host2")
    assert not record["enabled"]
    assert xencenter.is_on(record["other_config"])
    listed = set(xencenter.guests(record["other_config"], xencenter.MIGRATED))
    assert listed == {uuids[name] for name in guests if name != "db1"}
    kept = fleet.bench.managers.hosts.show("host2")
    assert (kept.maintenance_mode, kept.status) == (MaintenanceMode.ON, HostStatus.DISABLED)
    assert on.details is not None
    assert on.details["hosts"]["host2"]["guests"]["moved"] == 5
    assert on.details["hosts"]["host2"]["guests"]["left"] == 0
    assert {each["name"] for each in on.details["plan"]["guests"]} == guests.keys() - {"db1"}

    fleet.back("host2")
    assert fleet.where() == guests
    record = fleet.host("host2")
    assert record["enabled"]
    assert not any(key.startswith("MAINTENANCE_MODE") for key in record["other_config"])
    kept = fleet.bench.managers.hosts.show("host2")
    assert (kept.maintenance_mode, kept.status) == (MaintenanceMode.OFF, HostStatus.ENABLED)
    assert fleet.bench.managers.upkeep.placements(kept.id) == []


def test_a_service_is_disabled_where_it_counts(fleet: Fleet) -> None:
    services = ServiceManager(fleet.bench.database, down_time=60, default_zone="nova")
    number = fleet.bench.managers.hosts.show("host2").id

    def change(status: HostStatus, reason: str | None = None) -> None:
        wish = ServiceChange(status, reason)
        goal = services.change(WHO, ZoneRule.AGGREGATES, number, wish)
        fleet.bench.succeeded(fleet._queued(goal.operation), seconds=60)

    for reason in ("broken fan", None):
        change(HostStatus.DISABLED, reason)
        assert not fleet.host("host2")["enabled"]
        kept = fleet.bench.managers.hosts.show("host2")
        assert (kept.status, kept.status_reason) == (HostStatus.DISABLED, reason)
    change(HostStatus.ENABLED)
    assert fleet.host("host2")["enabled"]
    kept = fleet.bench.managers.hosts.show("host2")
    assert (kept.status, kept.status_reason) == (HostStatus.ENABLED, None)


def test_the_master_hands_its_role_over_first(fleet: Fleet) -> None:
    fleet.guest("web1", "host1")
    fleet.into("host1")
    assert fleet.master() != "host1"
    assert not fleet.host("host1")["enabled"]
    assert fleet.where()["web1"] != "host1"
    fleet.back("host1")
    assert fleet.where() == {"web1": "host1"}


def test_power_only_in_maintenance(fleet: Fleet) -> None:
    with pytest.raises(HostNotInMaintenance, match="maintenance_mode enable"):
        fleet.power("host2", Action.REBOOT_HOST)
    fleet.into("host2")
    before = fleet.host("host2")["other_config"]["boot_time"]
    fleet.bench.succeeded(fleet.power("host2", Action.REBOOT_HOST), seconds=60)
    record = fleet.host("host2")
    assert record["other_config"]["boot_time"] != before
    assert not record["enabled"], "it stays in maintenance"

    fleet.bench.succeeded(fleet.power("host2", Action.SHUTDOWN_HOST), seconds=60)
    (refused,) = fleet.bench.ended(fleet.power("host2", Action.STARTUP_HOST), seconds=60)
    assert refused.failure is not None
    assert refused.state is OperationState.FAILED
    assert refused.failure.code == "HOST_POWER_ON_MODE_DISABLED"
    with fleet.session() as xenapi:
        xenapi.host.set_power_on_mode(fleet.host_ref(xenapi, "host2"), "wake-on-lan", {})
    fleet.bench.succeeded(fleet.power("host2", Action.STARTUP_HOST), seconds=60)
    fleet.back("host2")
