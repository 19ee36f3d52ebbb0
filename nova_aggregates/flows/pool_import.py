"""Reads a pool that exists, so that it can be recorded as an aggregate. It only looks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

from oslo_config import cfg

from nova_aggregates.exceptions import ConfigurationInvalid
from nova_aggregates.flows.inventory import inventory_of
from nova_aggregates.objects import Credentials, ImportedHost, ImportedPool, Trust
from nova_aggregates.xenapi import certificates, connection, pool
from nova_aggregates.xenapi import types as xen
from nova_aggregates.xenapi.errors import IsSlave, XenError

NAME_LENGTH = 255
# What a path of the API can hold; see the format host-name there.
UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Where the pool is, and what is to be said of it."""

    address: str  # of the master
    port: int  # of every member
    credentials: Credentials
    trust: Trust
    zone: str
    name: str | None  # of the aggregate; None: the pool's


def read(conf: cfg.ConfigOpts, source: Source) -> ImportedPool:
    """The pool as it is.

    :raises ConfigurationInvalid: it cannot be read, or the certificate of a member cannot be known.
    """
    timeouts = xen.Timeouts(connect=conf.xenapi.connect_timeout, call=conf.xenapi.call_timeout)
    try:
        endpoint = _endpoint(source)
        with connection.connect(
            endpoint, timeouts=timeouts, originator=conf.xenapi.originator
        ) as opened:
            view = pool.observe(opened)
            known = certificates.of_hosts(opened) if source.trust.fingerprint else {}
    except IsSlave as error:
        raise ConfigurationInvalid(
            what=f"{source.address} is not the master of its pool",
            cure=f"give the address of the master: {error.master_address}",
        ) from None
    except XenError as error:
        raise ConfigurationInvalid(
            what=f"The pool at {endpoint.where} cannot be read ({error})", cure=error.cure
        ) from None
    return _pool(source, view, known)


def _endpoint(source: Source) -> xen.Endpoint:
    trust = source.trust
    try:
        return xen.Endpoint(
            address=source.address,
            port=source.port,
            username=source.credentials.username,
            password=source.credentials.password,
            trust=xen.Trust(fingerprint=trust.fingerprint, ca=trust.ca, insecure=trust.insecure),
        )
    except ValueError as error:
        raise ConfigurationInvalid(what="The pool cannot be looked for", cure=str(error)) from None


def _pool(source: Source, view: xen.PoolView, known: Mapping[str, str]) -> ImportedPool:
    master = view.master
    if master is None:
        raise ConfigurationInvalid(
            what=f"The pool at {source.address} does not name its master",
            cure="its master is changing; try again in a minute.",
        )
    # The master first: the order in which the members of an aggregate are told.
    order = sorted(view.hosts, key=lambda host: not host.is_master)
    names = _names(order)
    hosts = tuple(_host(source, host, names[host.uuid], known) for host in order)
    return ImportedPool(
        xen_uuid=view.uuid,
        name=(source.name or view.name or names[master.uuid])[:NAME_LENGTH],
        zone=source.zone,
        master_xen_uuid=master.uuid,
        credentials=source.credentials,
        hosts=hosts,
    )


def _host(source: Source, host: xen.HostView, name: str, known: Mapping[str, str]) -> ImportedHost:
    return ImportedHost(
        name=name,
        # The one that was given is known to lead there.
        address=source.address if host.is_master else host.address,
        port=source.port,
        trust=source.trust if host.is_master else _trust(source, host, known),
        xen_uuid=host.uuid,
        enabled=host.enabled,
        inventory=inventory_of(host) if host.live else None,
    )


def _trust(source: Source, host: xen.HostView, known: Mapping[str, str]) -> Trust:
    """A fingerprint is that of the master; those of the others are told by the master."""
    if source.trust.fingerprint is None:
        return source.trust
    if host.uuid not in known:
        raise ConfigurationInvalid(
            what=f"The pool does not know the certificate of its member {host.name}",
            cure="use --ca with the authority of all its certificates, or --insecure.",
        )
    return Trust(fingerprint=known[host.uuid])


def _names(hosts: Iterable[xen.HostView]) -> dict[str, str]:
    """A name for each member that can stand in a path, and that no other one has."""
    names: dict[str, str] = {}
    for host in hosts:
        fit = UNFIT.sub("-", host.name or host.hostname).strip("-._")[:200] or host.uuid
        if fit.lower().endswith((".json", ".xml")):
            fit += "-host"
        names[host.uuid] = f"{fit}-{host.uuid[:8]}" if fit in names.values() else fit
    return names
