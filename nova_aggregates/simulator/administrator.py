"""The storage administrator of the simulated site.

Real hosts are installed without shared storage and get it once they are a pool; a host that has
any cannot join another pool (xapi_pool.ml, assert_no_shared_srs_on_me). So the site's NFS export
is attached when a pool gets its second host, and taken away when it is down to one again.
"""

from __future__ import annotations

from nova_aggregates.simulator import storage
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.site import Site


def pool_grew(site: Site, db: Database) -> None:
    """Attach the export of the master's zone, unless the pool has shared storage already."""
    if not site.storage_of_pools or _shared(db):
        return
    master = site.by_uuid(db.get("host", db.master)["uuid"])
    if master is not None:
        storage.attach_export(db, db.master, master.zone)


def pool_shrank(site: Site, db: Database) -> None:
    """Forget the export when one host is left and no disk is on it."""
    if not site.storage_of_pools or len(list(db.find("host"))) > 1:
        return
    for sr in _shared(db):
        if not db.get("SR", sr)["VDIs"]:
            storage.forget_sr(db, sr)


def _shared(db: Database) -> list[str]:
    return [ref for ref, sr in db.find("SR", shared=True) if not sr["is_tools_sr"]]
