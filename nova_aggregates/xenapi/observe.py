"""The state of a pool in six round trips, whatever its size."""

from __future__ import annotations

import dataclasses

from nova_aggregates.xenapi import vm
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.decode import Record, Table, seconds
from nova_aggregates.xenapi.types import Capacity, Cpu, HostView, PoolView, VmView


@dataclasses.dataclass(frozen=True, slots=True)
class _Tables:
    """Read one after the other, so a reference from one to another may lead nowhere."""

    pools: Table
    hosts: Table
    metrics: Table
    pbds: Table
    srs: Table
    guests: tuple[VmView, ...]


def observe(connection: Connection, *, guests: bool = True) -> PoolView:
    """Looks at the pool that this connection's host is the master of. Raises XenError.

    :param guests: without them the look is much shorter where there are hundreds.
    """
    tables = _Tables(
        pools=Table(connection.call("pool.get_all_records")),
        hosts=Table(connection.call("host.get_all_records")),
        metrics=Table(connection.call("host_metrics.get_all_records")),
        pbds=Table(connection.call("PBD.get_all_records")),
        srs=Table(connection.call("SR.get_all_records")),
        guests=vm.resident(connection) if guests else (),
    )
    return _pool(tables)


def _pool(tables: _Tables) -> PoolView:
    pool = next(iter(tables.pools), Record("", {}))
    master_ref = pool.link("master") or ""
    master = tables.hosts.get(master_ref)
    hosts = [_host(record, master_ref, tables) for record in tables.hosts]
    return PoolView(
        ref=pool.ref,
        uuid=pool.text("uuid"),
        name=pool.text("name_label"),
        master_ref=master_ref,
        master_uuid=master.text("uuid") if master else "",
        hosts=tuple(sorted(hosts, key=lambda host: (host.name, host.uuid))),
        ha_enabled=pool.flag("ha_enabled"),
        tls_verification_enabled=pool.flag("tls_verification_enabled"),
        current_operations=pool.operations(),
        other_config=pool.mapping("other_config"),
    )


def _host(record: Record, master_ref: str, tables: _Tables) -> HostView:
    other_config = record.mapping("other_config")
    version = record.mapping("software_version")
    metrics = tables.metrics.get(record.link("metrics"))
    guests = tuple(guest for guest in tables.guests if guest.resident_on == record.ref)
    return HostView(
        ref=record.ref,
        uuid=record.text("uuid"),
        name=record.text("name_label"),
        hostname=record.text("hostname"),
        address=record.text("address"),
        enabled=record.flag("enabled"),
        live=metrics.flag("live") if metrics else False,
        is_master=record.ref == master_ref,
        guests=guests,
        storage_missing=_storage_missing(record.ref, master_ref, tables),
        boot_time=seconds(other_config.get("boot_time", "")),
        agent_start_time=seconds(other_config.get("agent_start_time", "")),
        current_operations=record.operations(),
        tls_verification_enabled=record.flag("tls_verification_enabled"),
        pending_guidances=record.texts("pending_guidances"),
        other_config=other_config,
        product=f"{version.get('product_brand', '')} {version.get('product_version', '')}".strip(),
        edition=record.text("edition"),
        capacity=_capacity(record, metrics, guests, tables),
        version=version.get("product_version", ""),
        cpu=_cpu(Record("", record.mapping("cpu_info"))),
    )


def _cpu(info: Record) -> Cpu:
    return Cpu(
        vendor=info.text("vendor"),
        model=" ".join(info.text("modelname").split()),
        sockets=info.integer("socket_count"),
    )


def _storage_missing(host: str, master: str, tables: _Tables) -> tuple[str, ...]:
    """Shared storage that a member must have attached and has not.

    A member gets a PBD for every shared SR of which the master has one (xapi
    ``ocaml/xapi/create_storage.ml``). An SR that is attached nowhere is out of order for other
    reasons and no member can be blamed for it.
    """
    missing = []
    for sr in tables.srs:
        if not sr.flag("shared"):
            continue
        pbds = [pbd for pbd in tables.pbds if pbd.link("SR") == sr.ref]
        attached = {pbd.link("host") for pbd in pbds if pbd.flag("currently_attached")}
        on_master = any(pbd.link("host") == master for pbd in pbds)
        if on_master and attached and host not in attached:
            missing.append(sr.text("name_label") or sr.text("uuid"))
    return tuple(sorted(missing))


def _capacity(
    record: Record, metrics: Record | None, guests: tuple[VmView, ...], tables: _Tables
) -> Capacity:
    cpu = Record("", record.mapping("cpu_info"))
    used = sum(guest.vcpus for guest in guests)
    disk_refs = {pbd.link("SR") for pbd in tables.pbds if pbd.link("host") == record.ref}
    disks = [sr for sr in tables.srs if sr.ref in disk_refs and sr.text("content_type") != "iso"]
    return Capacity(
        vcpus=cpu.integer("cpu_count"),
        vcpus_used=used,
        memory_bytes=metrics.integer("memory_total") if metrics else 0,
        memory_free_bytes=metrics.integer("memory_free") if metrics else 0,
        # Removable drives and ISO libraries report sizes of -1 or of the medium.
        disk_bytes=sum(max(0, sr.integer("physical_size")) for sr in disks),
        disk_used_bytes=sum(max(0, sr.integer("physical_utilisation")) for sr in disks),
        disk_allocated_bytes=sum(max(0, sr.integer("virtual_allocation")) for sr in disks),
    )
