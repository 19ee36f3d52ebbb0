"""``--export``: the site file of a running simulation or of real pools."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import XenAPI

from nova_aggregates.simulator import outsider, site_export, site_file
from nova_aggregates.simulator.builder import Plan
from nova_aggregates.simulator.plugins import UPDATER
from nova_aggregates.simulator.site import Site
from nova_aggregates.simulator.site_export import CLASSES, Source
from nova_aggregates.simulator.spec import PoolSpec, SiteSpec, UpdateSpec

SECONDS = 60.0


class CannotExport(Exception):
    """A sentence for the user."""


def of_simulation(site: Site, plan: Plan) -> SiteSpec:
    """As everything is now. What the schedule still has to come is written as it was given."""
    zones = {m.disk.uuid: m.zone for m in site.machines}
    sources = [
        Source(db.tables, zones=zones, addresses=True, dom0_apart=False)
        for _, db in outsider.pools(site)
    ]
    spec = combine(sources)
    known = {m.disk.uuid: m for m in site.machines}
    hosts = tuple(
        replace(
            h,
            updates=known[h.uuid].disk.installed,
            updater=UPDATER in known[h.uuid].plugins,
            plugins={p: f for p, f in sorted(known[h.uuid].plugins.items()) if p != UPDATER},
            clock_skew=known[h.uuid].hardware.clock_skew,
        )
        for h in spec.hosts
        if h.uuid in known
    )
    updates = tuple(UpdateSpec(**vars(u)) for u in site.updates)
    schedule = plan.spec.schedule if plan.spec is not None else ()
    return replace(spec, hosts=hosts, updates=updates, schedule=schedule)


def combine(sources: Iterable[Source]) -> SiteSpec:
    """Several pools are one site. Raises CannotExport when hosts share a name."""
    hosts, pools, guests = [], [], []
    for source in sources:
        hosts += site_export.hosts_of(source)
        pools.append(site_export.pool_of(source))
        guests += site_export.guests_of(source)
    names = [h.name for h in hosts]
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise CannotExport(f"hosts share a name: {', '.join(twice)}; give them names of their own")
    return SiteSpec(
        hosts=tuple(hosts),
        pools=tuple(sorted(map(_short, pools), key=lambda p: p.master)),
        guests=tuple(guests),
    )


def _short(pool: PoolSpec) -> PoolSpec:
    return replace(pool, hosts=()) if len(pool.hosts) == 1 else pool


def of_control(url: str) -> SiteSpec:
    """A simulation by its control API. Raises CannotExport."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/site", timeout=SECONDS) as answer:  # noqa: S310 the user's
            return site_file.from_mapping(json.load(answer))
    except (OSError, ValueError) as error:
        raise CannotExport(f"{url}: no simulation's control API answers ({error})") from None


def of_pool(url: str, user: str, password: str, *, trust: Path | None, zone: str) -> Source:
    """A real pool by its master, with a read-only account. ``trust`` None: any certificate.

    Raises CannotExport.
    """
    context = ssl.create_default_context(cafile=str(trust) if trust else None)
    if trust is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    transport = xmlrpc.client.SafeTransport(context=context)
    session: Any = XenAPI.Session(url, transport=transport)
    try:
        session.xenapi.login_with_password(user, password, "2.0", "nova-aggregates-simulator")
        try:
            tables = {cls: getattr(session.xenapi, cls).get_all_records() for cls in CLASSES}
        finally:
            session.xenapi.session.logout()
    except XenAPI.Failure as error:
        raise CannotExport(f"{url}: {_say(error.details)}") from None
    except (OSError, xmlrpc.client.Error) as error:
        raise CannotExport(f"{url}: {error}") from None
    return Source(tables, zone=zone)


def _say(details: Sequence[str]) -> str:
    if details and details[0] == "HOST_IS_SLAVE":
        return f"this is a member; give the address of its master, {details[1]}"
    if details and details[0] == "SESSION_AUTHENTICATION_FAILED":
        return "wrong user or password"
    return " ".join(map(str, details[:2]))
