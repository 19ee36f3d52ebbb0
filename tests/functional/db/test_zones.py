"""The zone rules of both API versions over the same rows, on every database."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from nova_aggregates.db import members
from nova_aggregates.exceptions import (
    HostZoneMismatch,
    NovaAggregatesError,
    ZoneChangeRefused,
    ZoneRequired,
    ZoneUnknown,
)
from nova_aggregates.manager.services import ServiceManager
from nova_aggregates.objects import Aggregate, ZoneRule
from tests.functional.db.conftest import FAILURE, WHO, Site

OLD, NEW = ZoneRule.HOSTS, ZoneRule.AGGREGATES


def label(site: Site, name: str, zone: str | None, *hosts: str) -> Aggregate:
    made = site.aggregates.create(
        WHO, name=name, availability_zone=zone, metadata={"hypervisor_pool": "false"}, zones=NEW
    )
    for host in hosts:
        site.aggregates.add_host(WHO, made.id, host, zones=NEW)
    return made


class TestOldRule:
    def test_a_zone_must_be_one_of_a_host(self, site: Site) -> None:
        with pytest.raises(ZoneUnknown, match="no host yet"):
            site.aggregates.create(WHO, name="a", availability_zone="east")
        site.host("h1", "east")
        made = site.aggregates.create(WHO, name="a", availability_zone="east")
        with pytest.raises(ZoneUnknown, match="one of: east"):
            site.aggregates.update(WHO, made.id, availability_zone="west")
        with pytest.raises(ZoneUnknown):
            site.aggregates.set_metadata(WHO, made.id, {"availability_zone": "west"})

    def test_a_host_joins_its_own_zone_only(self, site: Site) -> None:
        site.host("h1", "east")
        site.host("h2", "west")
        made = site.aggregates.create(WHO, name="a", availability_zone="east")
        site.aggregates.add_host(WHO, made.id, "h1")
        with pytest.raises(HostZoneMismatch, match="h2 is in the zone west"):
            site.aggregates.add_host(WHO, made.id, "h2")
        with pytest.raises(ZoneChangeRefused, match="h1 in east"):
            site.aggregates.update(WHO, made.id, availability_zone="west")
        assert site.aggregates.show(made.id).availability_zone == "east"

    def test_it_holds_against_labels_of_the_new_version_too(self, site: Site) -> None:
        site.host("h1", "east")
        label(site, "racks", "elsewhere", "h1")
        made = site.aggregates.create(WHO, name="a", availability_zone="east")
        with pytest.raises(HostZoneMismatch, match="in the zone elsewhere"):
            site.aggregates.add_host(WHO, made.id, "h1")


class TestNewRule:
    def test_a_zone_is_what_an_aggregate_says(self, site: Site) -> None:
        site.host("h1", "east")
        made = site.aggregates.create(WHO, name="a", availability_zone="az8", zones=NEW)
        site.aggregates.add_host(WHO, made.id, "h1", zones=NEW)
        moved = site.aggregates.update(WHO, made.id, availability_zone="az7", zones=NEW)
        assert moved.aggregate.availability_zone == "az7"
        again = site.aggregates.set_metadata(
            WHO, made.id, {"availability_zone": "az6", "k": "v"}, zones=NEW
        )
        assert (again.availability_zone, again.metadata) == ("az6", {"k": "v"})

    @pytest.mark.parametrize("zone", [None, ""])
    def test_a_zone_cannot_be_taken_away(self, site: Site, zone: str | None) -> None:
        made = site.aggregates.create(WHO, name="a", availability_zone="az8", zones=NEW)
        with pytest.raises(ZoneRequired):
            site.aggregates.set_metadata(
                WHO, made.id, {"availability_zone": zone, "k": "v"}, zones=NEW
            )
        assert site.aggregates.show(made.id).metadata == {}

    def test_a_host_is_in_one_zone_at_most(self, site: Site) -> None:
        site.host("h1")
        label(site, "a", "az8", "h1")
        other = label(site, "b", "az9")
        same = label(site, "c", "az8", "h1")
        free = label(site, "d", None, "h1")
        with pytest.raises(HostZoneMismatch, match="h1 is in the zone az8"):
            site.aggregates.add_host(WHO, other.id, "h1", zones=NEW)
        with pytest.raises(HostZoneMismatch):
            site.aggregates.set_hosts(WHO, other.id, ["h1"], zones=NEW)
        with pytest.raises(ZoneChangeRefused, match="h1 in az8"):
            site.aggregates.update(WHO, same.id, availability_zone="az9", zones=NEW)
        with pytest.raises(ZoneChangeRefused):
            site.aggregates.set_metadata(WHO, free.id, {"availability_zone": "az9"}, zones=NEW)
        assert site.members(other.id) == []

    def test_a_label_must_fit_the_pool_that_the_host_is_leaving(self, site: Site) -> None:
        site.host("h1")
        pool = site.aggregates.create(WHO, name="pool", availability_zone="az8", zones=NEW)
        site.aggregates.add_host(WHO, pool.id, "h1", zones=NEW)
        site.operations.succeed(site.take_next(pool.id))
        site.aggregates.remove_host(WHO, pool.id, "h1")
        other = label(site, "b", "az9")
        with pytest.raises(HostZoneMismatch, match="az8"):
            site.aggregates.add_host(WHO, other.id, "h1", zones=NEW)
        same = label(site, "c", "az8", "h1")
        for aggregate in (pool, same):
            with pytest.raises(ZoneChangeRefused):
                site.aggregates.update(WHO, aggregate.id, availability_zone="az7", zones=NEW)
        # The removal fails, and the host is a member again; in one zone.
        site.operations.fail(site.take_next(pool.id), FAILURE)
        assert zones(site)["h1"] == {"az8"}

    def test_it_may_go_to_another_zone_after_the_removal(self, site: Site) -> None:
        site.host("h1")
        pool = site.aggregates.create(WHO, name="pool", availability_zone="az8", zones=NEW)
        site.aggregates.add_host(WHO, pool.id, "h1", zones=NEW)
        site.operations.succeed(site.take_next(pool.id))
        site.aggregates.remove_host(WHO, pool.id, "h1")
        other = site.aggregates.create(WHO, name="next", availability_zone="az9", zones=NEW)
        site.aggregates.add_host(WHO, other.id, "h1", zones=NEW)
        site.operations.fail(site.take_next(pool.id), FAILURE)
        assert zones(site)["h1"] == {"az8"}
        assert site.members(other.id) == []


def zones(site: Site) -> dict[str, set[str]]:
    names = {host.id: host.name for host in site.hosts.index()}
    with site.database.read() as connection:
        return {names[number]: found for number, found in members.zones(connection).items()}


def race(*calls: Callable[[], Any]) -> None:
    def one(call: Callable[[], Any]) -> None:
        with contextlib.suppress(NovaAggregatesError):
            call()

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(one, calls))


def test_no_race_puts_a_host_into_two_zones(site: Site) -> None:
    site.host("h1")
    first, second = label(site, "a", "z1"), label(site, "b", "z1")

    def add(aggregate: Aggregate) -> Callable[[], Any]:
        return lambda: site.aggregates.add_host(WHO, aggregate.id, "h1", zones=NEW)

    def move(aggregate: Aggregate, zone: str) -> Callable[[], Any]:
        return lambda: site.aggregates.update(WHO, aggregate.id, availability_zone=zone, zones=NEW)

    for number in range(5):
        race(add(first), add(second), move(first, f"z{number}"), move(second, f"y{number}"))
        assert len(zones(site).get("h1", set())) <= 1
        race(move(first, f"p{number}"), move(second, f"q{number}"))
        assert len(zones(site).get("h1", set())) <= 1
        for aggregate in (first, second):
            if site.members(aggregate.id):
                site.aggregates.remove_host(WHO, aggregate.id, "h1")
        for aggregate in (first, second):
            site.aggregates.update(WHO, aggregate.id, availability_zone="z1", zones=NEW)


def test_the_zone_of_a_service_follows_its_aggregate(site: Site) -> None:
    services = ServiceManager(site.database, down_time=60, default_zone="nova")
    site.host("h1", "east")
    assert [service.zone for service in services.index(NEW)] == ["nova"]
    assert [service.zone for service in services.index(OLD)] == ["east"]
    made = label(site, "a", "az8", "h1")
    label(site, "b", None, "h1")
    assert [service.zone for service in services.index(NEW)] == ["az8"]
    site.aggregates.update(WHO, made.id, availability_zone="az7", zones=NEW)
    assert [service.zone for service in services.index(NEW, host="h1")] == ["az7"]
    assert services.index(NEW, host="H1") == []
    assert [service.zone for service in services.index(OLD)] == ["east"]
