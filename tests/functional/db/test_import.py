"""A pool that exists becomes an aggregate, on every database."""

from __future__ import annotations

import dataclasses

import pytest

from nova_aggregates.exceptions import (
    AggregateBusy,
    AggregateNameTaken,
    HostExists,
    HostInAnotherAggregate,
)
from nova_aggregates.objects import (
    AggregateState,
    Credentials,
    HostStatus,
    ImportedHost,
    ImportedPool,
    Inventory,
    Trust,
)
from tests.functional.db.conftest import WHO, Site
from tests.functional.db.test_races import errors, together

INVENTORY = Inventory(8, 1, 1024, 512, 100, 10, 1, "XCP-ng 8.3")


def member(name: str, number: int = 1, *, enabled: bool = True) -> ImportedHost:
    return ImportedHost(
        name=name,
        address=f"127.9.0.{number}",
        port=443,
        trust=Trust(fingerprint="ab" * 32),
        xen_uuid=f"uuid of {name}",
        enabled=enabled,
        inventory=INVENTORY,
    )


def pool_with(*names: str, name: str = "imported") -> ImportedPool:
    return ImportedPool(
        xen_uuid="pool uuid",
        name=name,
        zone="east",
        master_xen_uuid=f"uuid of {names[0]}",
        credentials=Credentials("root", "geheim"),
        hosts=tuple(member(each, number + 1) for number, each in enumerate(names)),
    )


def test_a_new_pool(site: Site) -> None:
    wanted = pool_with("host1", "host2")
    wanted = dataclasses.replace(
        wanted, hosts=(wanted.hosts[0], dataclasses.replace(wanted.hosts[1], enabled=False))
    )
    done = site.aggregates.import_pool(WHO, wanted)
    assert (done.created, done.registered, done.joined) == (True, *[("host1", "host2")] * 2)
    assert done.aggregate == site.aggregates.show(done.aggregate.id)
    assert (done.aggregate.name, done.aggregate.availability_zone) == ("imported", "east")
    assert done.aggregate.hosts == ("host1", "host2")
    assert done.aggregate.state is AggregateState.ACTIVE
    assert site.operations.index() == []
    master, other = site.hosts.index()
    assert (master.status, other.status) == (HostStatus.ENABLED, HostStatus.DISABLED)
    assert (master.xen_uuid, master.inventory) == ("uuid of host1", INVENTORY)
    assert master.trust == Trust(fingerprint="ab" * 32)
    pool = site.pools.show(done.aggregate.id)
    assert pool is not None
    assert (pool.xen_uuid, pool.master_host_id) == ("pool uuid", master.id)
    assert pool.credentials == Credentials("root", "geheim") == site.hosts.credentials(other.id)


def test_again_with_one_host_more_and_another_master(site: Site) -> None:
    first = site.aggregates.import_pool(WHO, pool_with("host1", "host2"))
    wanted = dataclasses.replace(
        pool_with("host1", "host2", "host3", name="ignored"), master_xen_uuid="uuid of host2"
    )
    again = site.aggregates.import_pool(WHO, wanted)
    assert (again.created, again.registered, again.joined) == (False, ("host3",), ("host3",))
    assert again.aggregate.id == first.aggregate.id
    assert again.aggregate.name == "imported", "a name that somebody gave it meanwhile stays"
    assert again.aggregate.hosts == ("host1", "host2", "host3")
    pool = site.pools.show(first.aggregate.id)
    assert pool is not None
    assert pool.master_host_id == site.hosts.show("host2").id
    third = site.aggregates.import_pool(WHO, wanted)
    assert (third.registered, third.joined) == ((), ())


def test_a_host_that_is_registered_already_keeps_its_name(site: Site) -> None:
    site.host("host1")
    own = site.hosts.show("host1")
    wanted = pool_with("other name")
    host = dataclasses.replace(wanted.hosts[0], address=own.address, port=own.port)
    done = site.aggregates.import_pool(WHO, dataclasses.replace(wanted, hosts=(host,)))
    assert (done.registered, done.joined) == ((), ("host1",))
    assert done.aggregate.hosts == ("host1",)
    assert site.hosts.credentials(own.id).password == "geheim"
    assert site.hosts.show("host1").trust == own.trust


def test_the_name_of_a_stranger(site: Site) -> None:
    site.host("host2")
    with pytest.raises(HostExists, match="host2"):
        site.aggregates.import_pool(WHO, pool_with("host1", "host2"))
    assert site.aggregates.index() == []
    assert [host.name for host in site.hosts.index()] == ["host2"]


def test_a_taken_name(site: Site) -> None:
    site.aggregate("imported")
    with pytest.raises(AggregateNameTaken):
        site.aggregates.import_pool(WHO, pool_with("host1"))
    assert site.hosts.index() == []


def test_a_member_that_is_recorded_elsewhere(site: Site) -> None:
    done = site.aggregates.import_pool(WHO, pool_with("host1"))
    other = dataclasses.replace(pool_with("host1", name="second"), xen_uuid="another pool")
    with pytest.raises(HostInAnotherAggregate, match="imported"):
        site.aggregates.import_pool(WHO, other)
    assert [a.id for a in site.aggregates.index()] == [done.aggregate.id]


def test_while_something_is_queued(site: Site) -> None:
    done = site.aggregates.import_pool(WHO, pool_with("host1", "host2"))
    site.aggregates.remove_host(WHO, done.aggregate.id, "host2")
    with pytest.raises(AggregateBusy):
        site.aggregates.import_pool(WHO, pool_with("host1", "host2"))


def test_after_the_aggregate_was_deleted(site: Site) -> None:
    done = site.aggregates.import_pool(WHO, pool_with("host1"))
    number = done.aggregate.id
    site.aggregates.remove_host(WHO, number, "host1")
    site.aggregates.delete(WHO, number)
    site.operations.succeed(site.take_next(number))
    again = site.aggregates.import_pool(WHO, pool_with("host1"))
    assert again.created
    assert again.aggregate.id != number


def test_four_at_once_make_one(site: Site) -> None:
    wanted = pool_with("host1", "host2", "host3")
    answers = together([lambda: site.aggregates.import_pool(WHO, wanted) for _ in range(4)])
    assert errors(answers) == []
    assert len(site.aggregates.index()) == 1
    assert len(site.hosts.index()) == 3
