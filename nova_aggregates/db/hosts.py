"""Registered hosts: rows and queries."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db.aggregates import is_id, storable
from nova_aggregates.db.tables import NAME_LENGTH, hosts
from nova_aggregates.objects import Holdings, Host, HostStatus, Inventory, MaintenanceMode, Trust


def host_of(row: Row) -> Host:
    """The host of a row of the table."""
    return Host(
        id=row.id,
        uuid=row.uuid,
        name=row.name,
        address=row.address,
        port=row.port,
        username=row.username,
        trust=Trust(
            fingerprint=row.trust_fingerprint, ca=row.trust_ca, insecure=bool(row.trust_insecure)
        ),
        zone=row.zone,
        xen_uuid=row.xen_uuid,
        status=HostStatus(row.status),
        status_reason=row.status_reason,
        maintenance_mode=MaintenanceMode(row.maintenance_mode),
        inventory=_inventory(row.inventory),
        last_seen=row.last_seen,
        created_at=row.created_at,
        updated_at=row.updated_at,
        holdings=holdings_of(row.holdings),
    )


def holdings_of(stored: Mapping[str, Any] | None) -> Holdings | None:
    """The holdings of the column, as far as this release knows their fields."""
    if stored is None:
        return None
    return Holdings(
        digest=stored["digest"],
        guests=tuple(stored.get("guests", ())),
        disks=tuple(stored.get("disks", ())),
        storage=tuple(stored.get("storage", ())),
    )


def _inventory(stored: dict[str, Any] | None) -> Inventory | None:
    if stored is None:
        return None
    # A field that another release stored, or did not store yet, must not make hosts unreadable.
    defaults: dict[str, Any] = {
        field.name: "" if field.name == "product" else 0 for field in dataclasses.fields(Inventory)
    }
    return Inventory(**{name: stored.get(name, default) for name, default in defaults.items()})


def fetch_all(connection: Connection, *, zone: str | None = None) -> list[Host]:
    """Hosts in the order of their registration."""
    statement = sa.select(hosts).order_by(hosts.c.id)
    if zone is not None:
        if not storable(zone):
            return []
        statement = statement.where(hosts.c.zone == zone)
    return [host_of(row) for row in connection.execute(statement)]


def by_name(connection: Connection, name: str, *, locked: bool = False) -> Row | None:
    """The row of the host with exactly this name."""
    if not storable(name) or len(name) > NAME_LENGTH:
        return None
    return _one(connection, hosts.c.name == name, locked)


def by_id(connection: Connection, host_id: int, *, locked: bool = False) -> Row | None:
    """The row of the host with this number."""
    return _one(connection, hosts.c.id == host_id, locked) if is_id(host_id) else None


def by_address(connection: Connection, address: str, port: int) -> Row | None:
    """The row of the host that answers there."""
    return _one(connection, sa.and_(hosts.c.address == address, hosts.c.port == port), False)


def by_xen_uuid(connection: Connection, xen_uuid: str) -> Row | None:
    """The row of the host that said to have this uuid."""
    return _one(connection, hosts.c.xen_uuid == xen_uuid, False)


def _one(connection: Connection, wanted: Any, locked: bool) -> Row | None:
    statement = sa.select(hosts).where(wanted)
    if locked:
        statement = statement.with_for_update(key_share=True)
    return connection.execute(statement).first()


def zones(connection: Connection) -> list[str]:
    """The zones that any host is in."""
    statement = sa.select(hosts.c.zone).distinct().order_by(hosts.c.zone)
    return list(connection.execute(statement).scalars())


def insert(connection: Connection, **values: Any) -> int:
    """A new row; the number that it got."""
    return int(connection.execute(sa.insert(hosts).values(**values)).inserted_primary_key[0])


def change(connection: Connection, host_id: int, **values: Any) -> bool:
    """Change columns; whether there is such a host."""
    if not is_id(host_id):
        return False
    statement = sa.update(hosts).where(hosts.c.id == host_id).values(**values)
    return connection.execute(statement).rowcount == 1


def delete(connection: Connection, host_id: int) -> None:
    """Remove the row. Operations that name the host stay, with its name."""
    connection.execute(sa.delete(hosts).where(hosts.c.id == host_id))
