"""Services and hypervisors: what is known of hosts, and how fresh it is, on every database."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from nova_aggregates.db import hosts
from nova_aggregates.db.clock import utcnow
from nova_aggregates.exceptions import (
    HostGoalContradictory,
    HostInUse,
    HypervisorNoMatch,
    HypervisorNotFound,
    MarkerNotFound,
    ServiceNotFound,
)
from nova_aggregates.manager import HypervisorManager, ServiceManager
from nova_aggregates.manager.services import ServiceChange
from nova_aggregates.objects import (
    Action,
    AggregateState,
    Guest,
    HostStatus,
    Inventory,
    MaintenanceMode,
    Once,
    ZoneRule,
)
from tests.functional.db.conftest import WHO, Site

RULE = ZoneRule.AGGREGATES
INVENTORY = Inventory(8, 2, 65536, 1024, 500, 20, 3, "XCP-ng 8.3", version="8.3.0")
GUESTS = (Guest("u1", "web"), Guest("u2", "\N{SNOWMAN}"))
BROKEN = ServiceChange(HostStatus.DISABLED, "broken fan")
UNKNOWN = (999, 2**40, 0, "00000000-0000-0000-0000-000000000000", "x\0y")


@pytest.fixture
def services(site: Site) -> ServiceManager:
    return ServiceManager(site.database, down_time=60, default_zone="nova")


@pytest.fixture
def hypervisors(site: Site, services: ServiceManager) -> HypervisorManager:
    return HypervisorManager(site.database, services)


def see(site: Site, name: str, ago: float = 0) -> datetime.datetime:
    seen_at = utcnow() - datetime.timedelta(seconds=ago)
    site.hosts.observed(
        site.hosts.show(name).id,
        xen_uuid=f"xen-{name}",
        inventory=INVENTORY,
        seen_at=seen_at,
        guests=GUESTS,
    )
    return seen_at


class TestState:
    def test_up_means_seen_lately(self, site: Site, services: ServiceManager) -> None:
        host = site.host("h1")
        assert not services.show(RULE, host.id).up
        see(site, "h1")
        assert services.show(RULE, host.uuid).up
        see(site, "h1", ago=61)
        assert not services.show(RULE, host.uuid).up

    def test_one_failed_reading_is_enough_for_down(
        self, site: Site, services: ServiceManager
    ) -> None:
        host = site.host("h1")
        see(site, "h1", ago=1)
        first = utcnow()
        site.hosts.not_seen(host.id, first, "UNREACHABLE: no route")
        later = first + datetime.timedelta(seconds=1)
        site.hosts.not_seen(host.id, later, "UNREACHABLE: refused")
        service = services.show(RULE, host.id)
        assert not service.up
        assert service.host.contact_lost_at == first
        assert service.host.contact_lost_reason == "UNREACHABLE: refused"
        assert service.host.inventory == INVENTORY
        see(site, "h1")
        service = services.show(RULE, host.id)
        assert service.up
        assert service.host.contact_lost_at is None

    def test_a_reading_that_began_before_a_better_one_says_nothing(
        self, site: Site, services: ServiceManager
    ) -> None:
        host = site.host("h1")
        seen_at = see(site, "h1")
        site.hosts.not_seen(host.id, seen_at - datetime.timedelta(seconds=1), "UNREACHABLE")
        assert services.show(RULE, host.id).up

    def test_forced_down_wins(self, site: Site, services: ServiceManager) -> None:
        host = site.host("h1")
        see(site, "h1")
        change = ServiceChange(forced_down=True)
        assert not services.change(WHO, RULE, host.uuid, change).service.up
        see(site, "h1")
        assert not services.show(RULE, host.id).up
        assert services.change(WHO, RULE, host.uuid, ServiceChange(forced_down=False)).service.up


class TestChange:
    def test_status_with_and_without_reason(self, site: Site, services: ServiceManager) -> None:
        host = site.host("h1")
        goal = services.change(WHO, RULE, host.id, ServiceChange(HostStatus.ENABLED))
        enabled = goal.service.host
        assert goal.operation is None
        assert (enabled.status, enabled.status_reason) == (HostStatus.ENABLED, None)
        disabled = services.change(WHO, RULE, host.id, BROKEN).service.host
        assert disabled.status_reason == "broken fan"
        assert not disabled.forced_down
        assert site.hosts.show("h1") == disabled

    def test_the_status_of_a_member_is_for_an_operation_to_set(
        self, site: Site, services: ServiceManager
    ) -> None:
        host = site.host("h1")
        pool = site.aggregate("pool", "h1")
        both = dataclasses.replace(BROKEN, forced_down=True)
        goal = services.change(WHO, RULE, host.id, both)
        told = goal.service.host
        assert (told.status, told.status_reason) == (HostStatus.DISABLED, "broken fan")
        kept = site.hosts.show("h1")
        assert (kept.status_reason, kept.forced_down) == (None, True)
        assert goal.operation is not None
        assert site.aggregates.show(pool.id).state is AggregateState.CHANGING
        taken = site.take_next(pool.id)
        assert (taken.uuid, taken.action) == (goal.operation.uuid, Action.SET_STATUS)
        assert taken.parameters == {"enabled": False, "reason": "broken fan"}
        goal = services.change(WHO, RULE, host.id, ServiceChange(HostStatus.DISABLED))
        assert goal.operation is not None
        assert goal.operation.parameters == {"enabled": False, "reason": None}

    def test_a_member_is_forced_down_at_once(self, site: Site, services: ServiceManager) -> None:
        host = site.host("h1")
        pool = site.aggregate("pool", "h1")
        goal = services.change(WHO, RULE, host.id, ServiceChange(forced_down=True))
        assert goal.operation is None
        assert site.hosts.show("h1").forced_down
        assert site.aggregates.show(pool.id).state is AggregateState.ACTIVE

    def test_the_status_of_a_host_in_a_label_is_a_record(
        self, site: Site, services: ServiceManager
    ) -> None:
        host = site.host("h1")
        label = {"hypervisor_pool": "false"}
        made = site.aggregates.create(WHO, name="l", availability_zone=None, metadata=label)
        site.aggregates.add_host(WHO, made.id, "h1")
        assert services.change(WHO, RULE, host.id, BROKEN).operation is None
        assert site.hosts.show("h1").status_reason == "broken fan"

    def test_nobody_is_enabled_in_maintenance(self, site: Site, services: ServiceManager) -> None:
        host = site.host("h1")
        pool = site.aggregate("pool", "h1")
        mode = MaintenanceMode.ON
        site.database.run(lambda c: hosts.change(c, host.id, maintenance_mode=mode))
        change = ServiceChange(HostStatus.ENABLED, forced_down=True)
        with pytest.raises(HostGoalContradictory, match="it is in maintenance"):
            services.change(WHO, RULE, host.id, change)
        assert not site.hosts.show("h1").forced_down, "all of it or nothing"
        assert site.aggregates.show(pool.id).state is AggregateState.ACTIVE
        services.change(WHO, RULE, host.id, ServiceChange(forced_down=True))
        assert services.change(WHO, RULE, host.id, BROKEN).operation is not None

    def test_the_same_request_twice_is_one_operation(
        self, site: Site, services: ServiceManager
    ) -> None:
        host = site.host("h1")
        site.aggregate("pool", "h1")
        once = Once(key="k", scope="s", digest="d")
        first, second = (
            services.change(WHO, RULE, host.id, BROKEN, once=once) for _time in range(2)
        )
        assert first == second

    @pytest.mark.parametrize("key", UNKNOWN)
    def test_unknown_services(self, site: Site, services: ServiceManager, key: int | str) -> None:
        site.host("h1")
        with pytest.raises(ServiceNotFound):
            services.show(RULE, key)
        with pytest.raises(ServiceNotFound):
            services.change(WHO, RULE, key, ServiceChange(HostStatus.ENABLED))
        with pytest.raises(ServiceNotFound):
            services.delete(WHO, key)

    def test_delete_leaves_labels_but_no_pool(self, site: Site, services: ServiceManager) -> None:
        host, other = site.host("h1"), site.host("h2")
        see(site, "h1")
        made = site.aggregates.create(
            WHO, name="l", availability_zone=None, metadata={"hypervisor_pool": "false"}
        )
        site.aggregates.add_host(WHO, made.id, "h1")
        services.delete(WHO, host.uuid)
        assert site.members(made.id) == []
        assert [each.name for each in site.hosts.index()] == ["h2"]
        site.aggregate("pool", "h2")
        with pytest.raises(HostInUse, match="pool"):
            services.delete(WHO, other.uuid)


class TestHypervisors:
    def test_pages(self, site: Site, hypervisors: HypervisorManager) -> None:
        made = [site.host(f"h{number}") for number in range(5)]

        def names(**page: object) -> list[str]:
            return [h.service.host.name for h in hypervisors.index(**page)]  # type: ignore[arg-type]

        assert names() == ["h0", "h1", "h2", "h3", "h4"]
        assert names(limit=2) == ["h0", "h1"]
        assert names(limit=2, marker=made[1].uuid) == ["h2", "h3"]
        assert names(marker=made[3].id) == ["h4"]
        assert names(limit=0) == []
        for marker in UNKNOWN:
            with pytest.raises(MarkerNotFound):
                names(marker=marker)

    def test_search_and_show(self, site: Site, hypervisors: HypervisorManager) -> None:
        site.host("Xen1")
        host = site.host("a%b")
        assert [h.service.host.name for h in hypervisors.search("xEN")] == ["Xen1"]
        assert [h.service.host.name for h in hypervisors.search("%")] == ["a%b"]
        with pytest.raises(HypervisorNoMatch):
            hypervisors.search("nobody")
        assert hypervisors.show(host.uuid) == hypervisors.show(host.id)
        for key in UNKNOWN:
            with pytest.raises(HypervisorNotFound):
                hypervisors.show(key)

    def test_guests_are_those_of_the_last_reading(
        self, site: Site, hypervisors: HypervisorManager
    ) -> None:
        host = site.host("h1")
        assert hypervisors.show(host.id).guests is None
        assert hypervisors.show(host.id, with_guests=True).guests == ()
        see(site, "h1")
        assert hypervisors.show(host.id, with_guests=True).guests == GUESTS
        site.hosts.observed(
            host.id, xen_uuid="x", inventory=None, seen_at=utcnow(), guests=GUESTS[1:]
        )
        assert hypervisors.index(with_guests=True)[0].guests == GUESTS[1:]
        site.hosts.delete(WHO, "h1")
        assert hypervisors.index() == []

    def test_statistics_count_what_is_in_service(
        self, site: Site, services: ServiceManager, hypervisors: HypervisorManager
    ) -> None:
        host = site.host("h1")
        site.host("h2")
        services.change(WHO, RULE, host.id, ServiceChange(HostStatus.ENABLED))
        assert [each.name for each in hypervisors.in_service()] == ["h1"]
