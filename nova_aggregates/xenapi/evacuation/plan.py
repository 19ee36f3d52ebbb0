"""Who goes where when a host is emptied, what is in the way, how long it takes and how full the
other hosts are afterwards; and how many hosts a pool can lose."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from nova_aggregates.xenapi.evacuation import rules
from nova_aggregates.xenapi.evacuation.facts import GuestFacts, HostFacts, PoolFacts
from nova_aggregates.xenapi.evacuation.packing import Packing, Thing, pack
from nova_aggregates.xenapi.evacuation.rules import Reason
from nova_aggregates.xenapi.types import Finding, Severity

GUEST_CHECK = "evacuate.guest"
NETWORK_CHECK = "evacuate.network"
SETUP_SECONDS = 3.0  # of a live migration beside the transfer of memory
_MOST_SETS = 400  # of hosts that may be lost together; of more only the fullest are tried
_SHOWN_HOSTS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    guest: str  # uuid
    name: str
    source: str  # uuids of hosts
    destination: str
    memory: int  # bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Blocker:
    """A guest that cannot leave. ``reasons``: its own, or one for each host that cannot take it."""

    guest: str  # uuid
    name: str
    reasons: tuple[Reason, ...]

    @property
    def finding(self) -> Finding:
        first = self.reasons[0]
        words = first.words
        told = [f"{reason.words.message}" for reason in self.reasons[:_SHOWN_HOSTS]]
        if len(self.reasons) > _SHOWN_HOSTS:
            told.append(f"and {len(self.reasons) - _SHOWN_HOSTS} more reasons")
        reasons = "; ".join(dict.fromkeys(told))
        return Finding(
            check=GUEST_CHECK,
            code=first.code,
            severity=Severity.BLOCKING,
            message=f"Guest {self.name} cannot leave the host: {reasons}. {words.cause}",
            cure=words.cure,
            ours=self.name,
            theirs=", ".join(sorted({each.host for each in self.reasons if each.host})),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """A host after the moves."""

    host: str  # uuid
    name: str
    guests: int
    vcpus: int
    memory: int  # bytes in all
    memory_free: int


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    moves: tuple[Move, ...]  # in the order in which they begin
    blockers: tuple[Blocker, ...]
    seconds: float
    load: tuple[Load, ...]
    findings: tuple[Finding, ...] = ()  # about the whole, not one guest

    def destination(self, guest: str) -> str | None:
        return next((move.destination for move in self.moves if move.guest == guest), None)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    concurrency: int = 3  # moves at a time
    bandwidth: float = 100.0 * 2**20  # bytes a second that one host sends, for the estimate
    network: str = ""  # uuid or name of the network for the transfer; empty: the management's
    avoid: frozenset[str] = frozenset()  # uuids of hosts that shall take no guest
    # What a move met already: guest -> host -> the reason (all but the reason are uuids).
    refused: Mapping[str, Mapping[str, Reason]] = dataclasses.field(default_factory=dict)


DEFAULT = Settings()


@dataclasses.dataclass(frozen=True, slots=True)
class Headroom:
    """How many hosts a pool can lose at this moment so that every guest still has a place."""

    hosts: int
    guest: str = ""  # name of the first guest that would not fit if one more was lost
    reason: str = ""
    lost: tuple[str, ...] = ()  # names of the hosts whose loss that would be


def plan(pool: PoolFacts, sources: Collection[str], settings: Settings = DEFAULT) -> Plan:
    """Empties ``sources`` (uuids). Guests that are on their way elsewhere already stay out."""
    leaving = [
        guest
        for guest in pool.guests
        if guest.host in sources and guest.heading in ("", guest.host, *sources)
    ]
    targets = [h for h in pool.hosts if h.uuid not in sources and h.uuid not in settings.avoid]
    blockers: dict[str, Blocker] = {}
    things = []
    for guest in leaving:
        met = settings.refused.get(guest.uuid, {})
        open_to, reasons = _open_to(guest, targets, pool, met)
        own = tuple(rules.of_guest(guest, pool))
        if own or not open_to:
            nowhere = reasons or (Reason("NO_HOSTS_AVAILABLE", (rules.named(guest),)),)
            blockers[guest.uuid] = _blocker(guest, own or nowhere)
        else:
            things.append(_thing(guest, open_to))
    packed = pack(things, {host.uuid: host.memory_free for host in targets}, _marks(pool))
    by_uuid = {guest.uuid: guest for guest in leaving}
    for uuid in packed.left:
        guest = by_uuid[uuid]
        reason = Reason(
            "HOST_NOT_ENOUGH_FREE_MEMORY", (f"{rules.named(guest)} needs {_gib(guest)}",)
        )
        blockers[uuid] = _blocker(guest, (reason,))
    moves = _moves(packed, by_uuid)
    return Plan(
        moves=moves,
        blockers=tuple(blockers[guest.uuid] for guest in leaving if guest.uuid in blockers),
        seconds=_seconds(moves, settings),
        load=tuple(_load(host, pool, moves) for host in pool.hosts),
        findings=tuple(_network_findings(targets, moves, pool, settings.network)),
    )


def _open_to(
    guest: GuestFacts,
    targets: Iterable[HostFacts],
    pool: PoolFacts,
    met: Mapping[str, Reason],
) -> tuple[tuple[str, ...], tuple[Reason, ...]]:
    """Hosts that could run the guest, room apart, and a reason for each other one."""
    source = pool.host(guest.host)
    found, reasons = [], []
    for host in targets:
        closed = rules.of_host(host, source)
        reason = closed or met.get(host.uuid) or next(rules.of_pair(guest, host, pool), None)
        if reason is None:
            found.append(host.uuid)
        else:
            reasons.append(reason)
    # What is the matter with the guest tells more than that some host is out of service.
    reasons.sort(key=lambda each: each.code.startswith("HOST_") and "ATTACH" not in each.code)
    return tuple(found), tuple(reasons)


def _blocker(guest: GuestFacts, reasons: tuple[Reason, ...]) -> Blocker:
    return Blocker(guest.uuid, guest.name or guest.uuid, reasons)


def _thing(guest: GuestFacts, open_to: tuple[str, ...]) -> Thing:
    prefers = guest.affinity if guest.affinity in open_to else ""
    return Thing(guest.uuid, guest.memory, open_to, prefers, guest.apart)


def _marks(pool: PoolFacts) -> dict[str, frozenset[str]]:
    return {
        host.uuid: frozenset().union(*(guest.apart for guest in pool.guests_on(host.uuid)))
        for host in pool.hosts
    }


def _moves(packed: Packing, guests: Mapping[str, GuestFacts]) -> tuple[Move, ...]:
    """The largest first, so that the last one does not move alone for long."""
    order = sorted(packed.places, key=lambda uuid: (-guests[uuid].memory, guests[uuid].name, uuid))
    return tuple(
        Move(
            uuid,
            guests[uuid].name or uuid,
            guests[uuid].host,
            packed.places[uuid],
            guests[uuid].memory,
        )
        for uuid in order
    )


def _seconds(moves: Sequence[Move], settings: Settings) -> float:
    """A host sends at its bandwidth however many guests leave it at a time; getting ready takes
    its time for each, ``concurrency`` at once. Hosts that are emptied together share nothing."""
    slowest = 0.0
    for source in {move.source for move in moves}:
        mine = [move for move in moves if move.source == source]
        sending = sum(move.memory for move in mine) / max(1.0, settings.bandwidth)
        ready = math.ceil(len(mine) / max(1, settings.concurrency)) * SETUP_SECONDS
        slowest = max(slowest, sending + ready)
    return slowest


def _load(host: HostFacts, pool: PoolFacts, moves: Sequence[Move]) -> Load:
    coming = {move.guest for move in moves if move.destination == host.uuid}
    going = {move.guest for move in moves if move.source == host.uuid}
    there = [
        guest
        for guest in pool.guests
        if guest.uuid in coming or (guest.host == host.uuid and guest.uuid not in going)
    ]
    shift = sum(move.memory for move in moves if move.source == host.uuid) - sum(
        move.memory for move in moves if move.destination == host.uuid
    )
    return Load(
        host=host.uuid,
        name=host.name,
        guests=len(there),
        vcpus=sum(guest.vcpus for guest in there),
        memory=host.memory,
        memory_free=host.memory_free + shift,
    )


def network_uuid(pool: PoolFacts, wanted: str) -> str:
    """The network with this uuid or name; empty when there is none."""
    if wanted in pool.network_names:
        return wanted
    return next((uuid for uuid, name in pool.network_names.items() if name == wanted), "")


def _network_findings(
    targets: Sequence[HostFacts], moves: Sequence[Move], pool: PoolFacts, wanted: str
) -> Iterable[Finding]:
    if not wanted:
        return
    uuid = network_uuid(pool, wanted)
    used = {move.destination for move in moves} | {move.source for move in moves}
    for host in [host for host in pool.hosts if host.uuid in used] or list(targets)[:1]:
        if uuid and uuid in host.networks_with_address:
            continue
        yield Finding(
            check=NETWORK_CHECK,
            code="PIF_NOT_PRESENT",
            severity=Severity.BLOCKING,
            message=f"Host {host.name} has no address on the network {wanted} that the guests "
            "shall move over.",
            cure="Give every host an address on that network, or move over another one.",
            ours=host.name,
            theirs=wanted,
        )


def _gib(guest: GuestFacts) -> str:
    return f"{guest.memory / 2**30:.1f} GiB"


def headroom(pool: PoolFacts) -> Headroom:
    """Hosts that are out of service count as lost already and take nobody."""
    serving = [host for host in pool.hosts if host.live and host.enabled and not host.busy]
    for count in range(1, len(serving) + 1):
        for lost in _sets(serving, pool, count):
            homeless = _first_homeless(pool, serving, lost)
            if homeless is not None:
                guest, reason = homeless
                names = tuple(host.name for host in lost)
                return Headroom(count - 1, guest.name or guest.uuid, reason, names)
    return Headroom(max(0, len(serving) - 1))


def _sets(
    serving: Sequence[HostFacts], pool: PoolFacts, count: int
) -> Iterable[tuple[HostFacts, ...]]:
    used = {host.uuid: sum(g.memory for g in pool.guests_on(host.uuid)) for host in serving}
    fullest = sorted(serving, key=lambda host: (-used[host.uuid], host.name))
    if math.comb(len(serving), count) <= _MOST_SETS:
        return itertools.combinations(fullest, count)
    largest = sorted(serving, key=lambda host: (-host.memory, host.name))
    return (tuple(fullest[:count]), tuple(largest[:count]))


def _first_homeless(
    pool: PoolFacts, serving: Sequence[HostFacts], lost: Sequence[HostFacts]
) -> tuple[GuestFacts, str] | None:
    gone = {host.uuid for host in lost}
    rest = [host for host in serving if host.uuid not in gone]
    guests = {guest.uuid: guest for guest in pool.guests if guest.host in gone}
    things = []
    for guest in guests.values():
        # It is started anew there, so what forbids a live move only counts where it binds.
        bound = guest.devices or guest.power_state == "Suspended"
        open_to, reasons = ((), ()) if bound else _open_to(guest, rest, pool, {})
        if not open_to:
            reason = reasons[0].words.message if reasons else "it is bound to its host"
            return guest, reason
        things.append(_thing(guest, open_to))
    packed = pack(things, {host.uuid: host.memory_free for host in rest}, _marks(pool))
    if not packed.left:
        return None
    guest = guests[packed.left[0]]
    return guest, f"no other host has {_gib(guest)} of memory left"
