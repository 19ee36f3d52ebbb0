"""Registered hosts: rows and queries."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_aggregates.db.aggregates import is_id, storable
from nova_aggregates.db.tables import NAME_LENGTH, host_guests, hosts
from nova_aggregates.objects import (
    Guest,
    Holdings,
    Host,
    HostStatus,
    Inventory,
    MaintenanceMode,
    Trust,
)

_BY_NAME = sa.select(hosts).where(hosts.c.name == sa.bindparam("wanted"))
_BY_ID = sa.select(hosts).where(hosts.c.id == sa.bindparam("wanted"))
_LOCK_BY_NAME = _BY_NAME.with_for_update(key_share=True)
_LOCK_BY_ID = _BY_ID.with_for_update(key_share=True)
_IN_ZONE = sa.select(hosts.c.id).where(hosts.c.zone == sa.bindparam("zone")).limit(1)


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
        contact_lost_at=row.contact_lost_at,
        contact_lost_reason=row.contact_lost_reason,
        forced_down=bool(row.forced_down),
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
        field.name: "" if field.type == "str" else 0 for field in dataclasses.fields(Inventory)
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


def fetch_page(connection: Connection, *, after: int, limit: int | None) -> list[Host]:
    """At most ``limit`` hosts with a higher number than ``after``, in order."""
    statement = sa.select(hosts).where(hosts.c.id > after).order_by(hosts.c.id).limit(limit)
    return [host_of(row) for row in connection.execute(statement)]


def by_name(connection: Connection, name: str, *, locked: bool = False) -> Row | None:
    """The row of the host with exactly this name."""
    if not storable(name) or len(name) > NAME_LENGTH:
        return None
    statement = _LOCK_BY_NAME if locked else _BY_NAME
    return connection.execute(statement, {"wanted": name}).first()


def by_id(connection: Connection, host_id: int, *, locked: bool = False) -> Row | None:
    """The row of the host with this number."""
    if not is_id(host_id):
        return None
    return connection.execute(_LOCK_BY_ID if locked else _BY_ID, {"wanted": host_id}).first()


def by_uuid(connection: Connection, uuid: str, *, locked: bool = False) -> Row | None:
    """The row of the host with this uuid, which is ours and not XenServer's."""
    return _one(connection, hosts.c.uuid == uuid, locked) if storable(uuid) else None


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


def has_zone(connection: Connection, zone: str) -> bool:
    """Whether any host is in the zone."""
    return connection.execute(_IN_ZONE, {"zone": zone}).first() is not None


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


def guests_of(connection: Connection, host_ids: Collection[int]) -> dict[int, tuple[Guest, ...]]:
    """The guests that were on each host when it was last seen."""
    statement = sa.select(host_guests).where(host_guests.c.host_id.in_(sorted(host_ids)))
    return {
        row.host_id: tuple(Guest(uuid, name) for uuid, name in row.guests)
        for row in connection.execute(statement)
    }


def write_guests(connection: Connection, host_id: int, guests: Collection[Guest]) -> None:
    """Keep these and no others. The host's row must be locked."""
    stored = [[guest.uuid, guest.name] for guest in guests]
    mine = host_guests.c.host_id == host_id
    found = connection.execute(sa.select(host_guests.c.guests).where(mine)).first()
    if found is None:
        connection.execute(sa.insert(host_guests).values(host_id=host_id, guests=stored))
    elif found.guests != stored:
        connection.execute(sa.update(host_guests).where(mine).values(guests=stored))


def delete(connection: Connection, host_id: int) -> None:
    """Remove the row. Operations that name the host stay, with its name."""
    connection.execute(sa.delete(host_guests).where(host_guests.c.host_id == host_id))
    connection.execute(sa.delete(hosts).where(hosts.c.id == host_id))
