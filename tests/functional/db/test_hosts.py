"""Registration of hosts, and the facts about pools, on every database."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
import sqlalchemy as sa

from nova_aggregates.db import tables
from nova_aggregates.db.clock import utcnow
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import (
    ConfigurationInvalid,
    HostBusy,
    HostExists,
    HostInUse,
    HostNotFound,
)
from nova_aggregates.objects import (
    Credentials,
    HostRegistration,
    HostStatus,
    Inventory,
    MaintenanceMode,
    Operation,
    Trust,
)
from tests.functional.db.conftest import FAILURE, WHO, Site

REGISTRATION = HostRegistration(
    name="host1",
    address="127.0.0.1",
    port=443,
    credentials=Credentials("root", "pa:ss \N{GRINNING FACE} word"),
    trust=Trust(fingerprint="ab" * 32),
    zone="east",
)
INVENTORY = Inventory(8, 2, 65536, 1024, 500, 20, 3, "XCP-ng 8.3")


class TestRegistration:
    def test_a_new_host_is_disabled(self, site: Site) -> None:
        host = site.hosts.register(WHO, REGISTRATION)
        assert site.hosts.show("host1") == host
        assert site.hosts.index() == [host]
        assert (host.status, host.maintenance_mode) == (
            HostStatus.DISABLED,
            MaintenanceMode.OFF,
        )
        assert (host.trust, host.zone, host.username) == (REGISTRATION.trust, "east", "root")
        assert (host.xen_uuid, host.inventory, host.last_seen) == (None, None, None)

    def test_the_password_is_encrypted_in_the_table(self, site: Site) -> None:
        host = site.hosts.register(WHO, REGISTRATION)
        with site.database.read() as connection:
            stored = connection.execute(sa.select(tables.hosts)).one()
        assert "word" not in repr(stored)
        assert site.hosts.credentials(host.id) == REGISTRATION.credentials

    def test_another_key_is_told_as_such(self, site: Site, tmp_path: object) -> None:
        host = site.hosts.register(WHO, REGISTRATION)
        other = Site.over(site.database, SecretBox.create(f"{tmp_path}/other.key"))
        with pytest.raises(ConfigurationInvalid, match="cannot be decrypted"):
            other.hosts.credentials(host.id)

    def test_name_and_address_are_registered_once(self, site: Site) -> None:
        site.hosts.register(WHO, REGISTRATION)
        with pytest.raises(HostExists, match="name host1"):
            site.hosts.register(WHO, dataclasses.replace(REGISTRATION, address="127.0.0.2"))
        with pytest.raises(HostExists, match=r"address 127.0.0.1 port 443.*: host1"):
            site.hosts.register(WHO, dataclasses.replace(REGISTRATION, name="host2"))
        site.hosts.register(WHO, dataclasses.replace(REGISTRATION, name="host2", port=444))
        site.hosts.register(
            WHO, dataclasses.replace(REGISTRATION, name="Host1", address="127.0.0.2")
        )
        assert [h.name for h in site.hosts.index()] == ["host1", "host2", "Host1"]

    def test_index_by_zone(self, site: Site) -> None:
        site.host("host1", "east")
        west = site.host("host2", "west")
        assert site.hosts.index(zone="west") == [west]
        for zone in ("West", "nul\0", ""):
            assert site.hosts.index(zone=zone) == []

    @pytest.mark.parametrize("name", ["Host1", "host1 ", "", "nul\0", "\ud800", "x" * 300])
    def test_an_unknown_name(self, site: Site, name: str) -> None:
        site.hosts.register(WHO, REGISTRATION)
        with pytest.raises(HostNotFound):
            site.hosts.show(name)
        with pytest.raises(HostNotFound):
            site.hosts.delete(WHO, name)

    @pytest.mark.parametrize("number", [0, -1, 2**31 - 1, 2**31, 2**63])
    def test_an_unknown_number(self, site: Site, number: int) -> None:
        for call in (
            lambda: site.hosts.credentials(number),
            lambda: site.hosts.set_credentials(number, REGISTRATION.credentials),
            lambda: site.hosts.set_status(number, HostStatus.ENABLED),
            lambda: site.hosts.observed(number, xen_uuid="u", inventory=None, seen_at=utcnow()),
        ):
            with pytest.raises(HostNotFound):
                call()


class TestDelete:
    def test_refused_in_an_aggregate(self, site: Site) -> None:
        site.host("host1")
        site.aggregate("a", "host1")
        with pytest.raises(HostInUse, match="aggregate a"):
            site.hosts.delete(WHO, "host1")

    def test_refused_while_an_operation_is_unfinished(self, site: Site) -> None:
        site.host("host1")
        aggregate = site.aggregate("a", "host1")
        site.aggregates.remove_host(WHO, aggregate.id, "host1")
        with pytest.raises(HostBusy):
            site.hosts.delete(WHO, "host1")
        operation = site.take_next(aggregate.id)
        with pytest.raises(HostBusy, match=operation.uuid):
            site.hosts.delete(WHO, "host1")
        site.operations.succeed(operation)
        site.hosts.delete(WHO, "host1")
        assert site.hosts.index() == []

    def test_a_name_that_is_registered_again_starts_clean(self, site: Site) -> None:
        old = site.hosts.register(WHO, REGISTRATION)
        site.hosts.observed(old.id, xen_uuid="u", inventory=INVENTORY, seen_at=utcnow())
        site.hosts.delete(WHO, "host1")
        new = site.hosts.register(WHO, REGISTRATION)
        assert new.id != old.id
        assert (new.xen_uuid, new.inventory, new.last_seen) == (None, None, None)

    def test_the_master_that_a_deleted_aggregate_could_not_let_go(self, site: Site) -> None:
        host = site.host("host1")
        aggregate = site.aggregate("a", "host1")
        site.aggregates.remove_host(WHO, aggregate.id, "host1")
        site.aggregates.delete(WHO, aggregate.id)
        operation = site.take_next(aggregate.id)
        establish(site, operation, host.id)
        site.operations.fail(operation, FAILURE)
        site.hosts.delete(WHO, "host1")
        assert site.pools.show(aggregate.id) is None


class TestObserved:
    def test_is_kept_and_read_back(self, site: Site) -> None:
        host = site.hosts.register(WHO, REGISTRATION)
        seen = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)  # noqa: DTZ001
        site.hosts.observed(host.id, xen_uuid="u", inventory=INVENTORY, seen_at=seen)
        later = seen + datetime.timedelta(seconds=1)
        site.hosts.observed(host.id, xen_uuid="u", inventory=None, seen_at=later)
        shown = site.hosts.show("host1")
        assert (shown.xen_uuid, shown.inventory, shown.last_seen) == ("u", INVENTORY, later)

    def test_does_not_make_lists_stale(self, site: Site) -> None:
        host = site.hosts.register(WHO, REGISTRATION)
        before = site.aggregates.generation()
        site.hosts.observed(host.id, xen_uuid="u", inventory=INVENTORY, seen_at=utcnow())
        assert site.aggregates.generation() == before

    def test_an_inventory_of_another_release_can_be_read(self, site: Site) -> None:
        site.hosts.register(WHO, REGISTRATION)
        with site.database.transaction() as connection:
            connection.execute(sa.update(tables.hosts).values(inventory={"vcpus": 4, "new": 1}))
        shown = site.hosts.show("host1")
        assert shown.inventory == Inventory(4, 0, 0, 0, 0, 0, 0, "")

    def test_status_and_credentials(self, site: Site) -> None:
        host = site.hosts.register(WHO, REGISTRATION)
        site.hosts.set_status(host.id, HostStatus.DISABLED, "broken fan")
        assert site.hosts.show("host1").status_reason == "broken fan"
        site.hosts.set_status(host.id, HostStatus.ENABLED)
        shown = site.hosts.show("host1")
        assert (shown.status, shown.status_reason) == (HostStatus.ENABLED, None)
        site.hosts.set_credentials(host.id, Credentials("admin", "new"))
        assert site.hosts.credentials(host.id) == Credentials("admin", "new")


def establish(site: Site, operation: Operation, host_id: int, word: str = "pool word") -> None:
    site.pools.establish(
        operation,
        aggregate_id=operation.aggregate_id,
        xen_uuid="pool-uuid",
        master_host_id=host_id,
        credentials=Credentials("root", word),
    )


class TestPool:
    def test_the_life_of_a_pool(self, site: Site) -> None:
        first, second = site.host("host1"), site.host("host2")
        aggregate = site.aggregate("a")
        assert site.pools.show(aggregate.id) is None
        site.aggregates.add_host(WHO, aggregate.id, "host1")
        site.aggregates.add_host(WHO, aggregate.id, "host2")
        operation = site.take_next(aggregate.id)
        for _repeated in range(2):
            establish(site, operation, first.id)
            site.pools.joined(operation, first.id, Credentials("root", "pool word"))
        site.operations.succeed(operation)
        pool = site.pools.show(aggregate.id)
        assert pool is not None
        assert (pool.xen_uuid, pool.master_host_id) == ("pool-uuid", first.id)
        assert pool.credentials == Credentials("root", "pool word")

        operation = site.take_next(aggregate.id)
        site.pools.joined(operation, second.id, pool.credentials)
        site.pools.set_master(operation, aggregate.id, second.id)
        site.operations.succeed(operation)
        assert site.pools.show(aggregate.id) == dataclasses.replace(pool, master_host_id=second.id)
        assert site.hosts.show("host2").status is HostStatus.ENABLED
        assert site.hosts.credentials(second.id).password == "pool word"

        site.aggregates.remove_host(WHO, aggregate.id, "host2")
        operation = site.take_next(aggregate.id)
        establish(site, operation, first.id, "changed word")
        for _repeated in range(2):
            site.pools.left(operation, second.id)
            site.pools.dissolve(operation, aggregate.id)
        site.operations.succeed(operation)
        assert site.pools.show(aggregate.id) is None
        assert site.hosts.show("host2").status is HostStatus.DISABLED
        assert site.hosts.credentials(second.id).password == "changed word"

    def test_the_password_of_the_pool_is_encrypted(self, site: Site) -> None:
        host = site.host("host1")
        aggregate = site.aggregate("a")
        site.aggregates.add_host(WHO, aggregate.id, "host1")
        establish(site, site.take_next(aggregate.id), host.id)
        with site.database.read() as connection:
            stored = connection.execute(sa.select(tables.pools)).one()
        assert "pool word" not in repr(stored)
