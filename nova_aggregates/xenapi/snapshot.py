"""One side of a comparison: the records of the classes that the checks look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from nova_aggregates.xenapi import errors
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.decode import Record, Table

_NO_TABLE = Table(None)
_NO_RECORD = Record("", {})


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The tables of a pool, read one after the other. A class that was not read or that the
    release does not offer is a table with ``offered`` false."""

    tables: Mapping[str, Table]

    def __getitem__(self, name: str) -> Table:
        return self.tables.get(name, _NO_TABLE)

    @property
    def pool(self) -> Record:
        return next(iter(self["pool"]), _NO_RECORD)

    @property
    def master(self) -> Record:
        """The host record of the master; of a standalone host, of itself."""
        return self["host"].get(self.pool.link("master")) or _NO_RECORD

    @property
    def management(self) -> Record | None:
        """The master's management interface; None while it is not set up."""
        for pif in self["PIF"]:
            if pif.flag("management") and pif.link("host") == self.master.ref:
                return pif
        return None

    @property
    def version(self) -> Mapping[str, str]:
        return self.master.mapping("software_version")


def of_records(records: Mapping[str, Mapping[str, Mapping[str, Any]] | None]) -> Snapshot:
    """From what get_all_records gave, by class; None for a class that is not offered."""
    return Snapshot({name: Table(found) for name, found in records.items()})


def take(connection: Connection, classes: Iterable[str]) -> Snapshot:
    """Reads the classes. Raises XenError, except for classes that the release does not have."""
    tables = {}
    for name in classes:
        try:
            tables[name] = Table(connection.call(f"{name}.get_all_records"))
        except errors.MethodUnknown:
            tables[name] = _NO_TABLE
    return Snapshot(tables)
