"""A site from a short plan: so many hosts, in these zones, of this kind."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field

from nova_aggregates.simulator import certificates, lifecycle
from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.furnishing import add_disk as add_disk
from nova_aggregates.simulator.furnishing import add_guest as add_guest
from nova_aggregates.simulator.furnishing import add_shared_storage as add_shared_storage
from nova_aggregates.simulator.furnishing import own_database as own_database
from nova_aggregates.simulator.levels import NEWEST, TLS_VERIFICATION
from nova_aggregates.simulator.machine import Machine
from nova_aggregates.simulator.profile import STANDARD, Profile
from nova_aggregates.simulator.site import Site

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
    hosts with a CPU of another vendor. ``xapi`` is a name of ``levels.LEVELS``.
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


def build(plan: Plan, clock: Clock) -> Site:
    """The machines, switched off; ``start_site`` boots them."""
    site = Site(clock, plan.profile)
    site.storage_of_pools = plan.storage_of_pools and plan.profile.storage
    letters = plan.profile.letters and plan.hosts <= 26
    for position, address in enumerate(addresses(plan.base_address, plan.hosts)):
        default = chr(ord("a") + position) if letters else f"host{position + 1}"
        name = plan.names[position] if position < len(plan.names) else default
        site.add(
            Machine(
                site,
                name=name,
                address=address,
                certificate=certificates.make(name, address),
                zone=zone_of(plan, position),
            )
        )
    for position in range(plan.hosts):
        reset_machine(site.machines[position], plan, position)
    return site


def reset_machine(machine: Machine, plan: Plan, position: int) -> None:
    """As it came from the installer: with its uuid, and its own password instead of a pool's."""
    if not machine.installed_password:
        machine.installed_password = plan.password or secrets.token_urlsafe(12)
    disk = type(machine.disk)(uuid=machine.disk.uuid, password=machine.installed_password)
    disk.boot_time = machine.clock.now()
    machine.disk = disk
    hardware = type(machine.hardware)(edition=plan.profile.edition, level=plan.xapi)
    if position in plan.other_vendor:
        hardware.cpu_vendor = OTHER_VENDOR
    machine.hardware = hardware
    verifies = machine.level.since(*TLS_VERIFICATION)
    disk.tls_verification = plan.profile.host_tls and verifies
    machine.thawed.set()
    machine.plugged = True


async def start_site(site: Site, plan: Plan) -> None:
    """Every host up, a master of its own pool, with the storage and guests of the plan."""
    for machine in site.machines:
        await lifecycle.start(machine, cold=True)
    furnish(site, plan)
    site.history.clear()


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
