"""A site from a short plan: so many hosts, in these zones, of this kind."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field
from typing import Any

from nova_aggregates.simulator import certificates, lifecycle, scenario, site_builder
from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.furnishing import add_disk as add_disk
from nova_aggregates.simulator.furnishing import add_guest as add_guest
from nova_aggregates.simulator.furnishing import add_shared_storage as add_shared_storage
from nova_aggregates.simulator.furnishing import own_database as own_database
from nova_aggregates.simulator.levels import NEWEST, TLS_VERIFICATION
from nova_aggregates.simulator.machine import Hardware, Machine
from nova_aggregates.simulator.profile import STANDARD, Profile
from nova_aggregates.simulator.scenario import Event
from nova_aggregates.simulator.site import Site
from nova_aggregates.simulator.spec import SiteSpec

SKIPPED_LAST_OCTETS = (0, 77, 254, 255)  # networks have a router, and an address that is free
GUESTS_PER_HOST = 2
OTHER_VENDOR = "AuthenticAMD"


class BadAddress(ValueError):
    """The hosts must live on loopback addresses of their own."""


@dataclass(frozen=True)
class Plan:
    """What to build.

    ``shared_storage`` gives the first host of each zone shared storage from the start;
    ``storage_of_pools`` gives it to pools of two and more instead (see ``administrator``).
    ``password`` None gives each host one of its own. ``other_vendor`` are positions (from 0) of
    hosts with a CPU of another vendor. ``xapi`` is a name of ``levels.LEVELS``. A ``spec`` (a site
    file) says it all instead, but for ``base_address``, ``password`` and ``profile``; ``schedule``
    are events that happen in any case.
    """

    hosts: int = 6
    base_address: str = "127.0.70.1"
    zones: tuple[str, ...] = ("nova",)
    password: str | None = None
    profile: Profile = STANDARD
    shared_storage: bool = True
    storage_of_pools: bool = False
    guests: bool = True
    other_vendor: tuple[int, ...] = ()
    xapi: str = NEWEST
    names: tuple[str, ...] = field(default=())
    spec: SiteSpec | None = None
    schedule: tuple[Event, ...] = ()


def addresses(base: str, count: int) -> list[str]:
    """So many loopback addresses from the base on. Raises BadAddress."""
    try:
        current = ipaddress.IPv4Address(base)
    except ValueError:
        raise BadAddress(f"{base} is no IPv4 address; give one such as 127.0.70.1") from None
    found: list[str] = []
    while len(found) < count:
        if not current.is_loopback:
            raise BadAddress(f"{current} is no loopback address; start within 127.0.0.0/8")
        if int(current) & 0xFF not in SKIPPED_LAST_OCTETS:
            found.append(str(current))
        current += 1
    return found


def zone_of(plan: Plan, position: int) -> str:
    """Hosts are dealt to the zones in equal runs, in their order."""
    return plan.zones[position * len(plan.zones) // plan.hosts]


def plan_of_spec(spec: SiteSpec, **options: Any) -> Plan:
    """What a site file describes; ``options`` are other fields of the plan."""
    given = tuple(scenario.parse(e) for e in spec.schedule)
    schedule = (*given, *options.pop("schedule", ()))
    return Plan(hosts=len(spec.hosts), spec=spec, schedule=schedule, **options)


def build(plan: Plan, clock: Clock) -> Site:
    """The machines, switched off; ``start_site`` boots them. Raises BadAddress."""
    site = Site(clock, plan.profile)
    site.storage_of_pools = plan.storage_of_pools and plan.profile.storage
    for name, zone, address in _places(plan):
        certificate = certificates.make(name, address)
        site.add(Machine(site, name=name, address=address, certificate=certificate, zone=zone))
    for position in range(plan.hosts):
        reset_machine(site.machines[position], plan, position)
    return site


def _places(plan: Plan) -> list[tuple[str, str, str]]:
    """Name, zone and address of each host."""
    if plan.spec is not None:
        wanted = [h.address for h in plan.spec.hosts]
        for address in filter(None, wanted):
            addresses(address, 1)
        taken = set(wanted)
        free = (a for a in addresses(plan.base_address, 2 * plan.hosts) if a not in taken)
        return [(h.name, h.zone, h.address or next(free)) for h in plan.spec.hosts]
    letters = plan.profile.letters and plan.hosts <= 26
    found = []
    for position, address in enumerate(addresses(plan.base_address, plan.hosts)):
        default = chr(ord("a") + position) if letters else f"host{position + 1}"
        name = plan.names[position] if position < len(plan.names) else default
        found.append((name, zone_of(plan, position), address))
    return found


def reset_machine(machine: Machine, plan: Plan, position: int) -> None:
    """As it came from the installer: with its uuid, and its own password instead of a pool's."""
    spec = plan.spec.hosts[position] if plan.spec is not None else None
    if not machine.installed_password:
        given = spec.password if spec is not None else ""
        machine.installed_password = given or plan.password or secrets.token_urlsafe(12)
    uuid = (spec.uuid if spec is not None else "") or machine.disk.uuid
    disk = type(machine.disk)(uuid=uuid, password=machine.installed_password)
    disk.boot_time = machine.clock.now()
    machine.disk = disk
    if spec is not None:
        machine.hardware = site_builder.hardware_of(spec)
    else:
        machine.hardware = Hardware(edition=plan.profile.edition, level=plan.xapi)
    if position in plan.other_vendor:
        machine.hardware.cpu_vendor = OTHER_VENDOR
    verifies = machine.level.since(*TLS_VERIFICATION)
    disk.tls_verification = plan.profile.host_tls and verifies
    machine.thawed.set()
    machine.plugged = True


async def start_site(site: Site, plan: Plan) -> None:
    """Every host up, a master of its own pool, with the storage and guests of the plan."""
    for machine in site.machines:
        await lifecycle.start(machine, cold=True)
    if plan.spec is not None:
        site_builder.furnish(site, plan.spec)
    else:
        furnish(site, plan)
    site.history.clear()
    scenario.schedule(site, plan.schedule)


def furnish(site: Site, plan: Plan) -> None:
    """Shared storage at the first host of each zone, guests on the last third of the hosts."""
    if plan.shared_storage and plan.profile.storage:
        for zone in plan.zones:
            first = next((m for m in site.machines if m.zone == zone), None)
            if first is not None:
                add_shared_storage(first, zone)
    if plan.guests and plan.profile.storage:
        quiet = plan.hosts - plan.hosts // 3
        for machine in site.machines[quiet:]:
            for number in range(GUESTS_PER_HOST):
                add_guest(machine, f"{machine.name}-guest{number + 1}")
