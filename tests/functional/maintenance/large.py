"""A pool of 16 hosts with 320 guests on shared storage, as it is before anything happens."""

from __future__ import annotations

from collections.abc import Mapping

from nova_aggregates.manager import AggregateManager
from nova_aggregates.objects import Credentials, ImportedHost, ImportedPool, Requester, Trust
from nova_aggregates.simulator.spec import (
    DiskSpec,
    GuestSpec,
    HostSpec,
    PoolSpec,
    SiteSpec,
    StorageSpec,
)
from nova_aggregates.simulator.testing import SimulatedSite

GIB = 2**30
HOSTS = 16
GUESTS = 20  # a host
MEMORY = 2 * GIB
WHO = Requester(user_id="admin", project_id="demo", request_id="req-large")


def homes(hosts: int = HOSTS, guests: int = GUESTS) -> dict[str, str]:
    """Guest -> host."""
    names = [f"host{n}" for n in range(1, hosts + 1)]
    return {f"g{host}-{n}": host for host in names for n in range(guests)}


HOMES = homes()


def spec(homes: Mapping[str, str] = HOMES) -> SiteSpec:
    names = tuple(dict.fromkeys(homes.values()))
    disk = DiskSpec(storage="shared", size=GIB)
    return SiteSpec(
        hosts=tuple(HostSpec(name) for name in names),
        pools=(PoolSpec(names[0], names, "blue", storage=(StorageSpec("NFS"),)),),
        guests=tuple(
            GuestSpec(name, host, memory=MEMORY, disks=(disk,)) for name, host in homes.items()
        ),
    )


def take_in(aggregates: AggregateManager, site: SimulatedSite) -> int:
    """The aggregate of the pool."""
    (pool,) = site.pools
    master = site.host(pool["master"])
    imported = aggregates.import_pool(
        WHO,
        ImportedPool(
            xen_uuid=pool["uuid"],
            name="blue",
            zone="nova",
            master_xen_uuid=master.uuid,
            credentials=Credentials(master.username, master.password),
            hosts=tuple(
                ImportedHost(
                    name=host.name,
                    address=host.address,
                    port=host.port,
                    trust=Trust(fingerprint=host.fingerprint),
                    xen_uuid=host.uuid,
                    enabled=True,
                    inventory=None,
                )
                for host in site.hosts
            ),
        ),
    )
    return imported.aggregate.id


def where(site: SimulatedSite) -> dict[str, str]:
    """Guest -> host, of all that run."""
    (pool,) = site.pools
    return {guest: host["name"] for host in pool["hosts"] for guest in host["guests"]}
