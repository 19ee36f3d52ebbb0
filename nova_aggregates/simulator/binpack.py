"""Where guests fit: the packing that xapi plans evacuations and restarts with (binpack.ml)."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

MOST_HOSTS = 32  # above that, and above so many sequences of failures, the estimate is used
MOST_SEQUENCES = 3500


@dataclass(frozen=True)
class Configuration:
    """Hosts with their free bytes, guests with the bytes they need, and who runs where."""

    hosts: Mapping[str, int]
    guests: Mapping[str, int]
    placement: Mapping[str, str] = field(default_factory=dict)
    total_hosts: int = 0
    failures: int = 0


class NoPlan(Exception):
    """Some guest fits nowhere."""


def pack(guests: Mapping[str, int], hosts: Mapping[str, int]) -> dict[str, str]:
    """The biggest guest goes to the emptiest host, and so on. What does not fit is left out."""
    emptiest = sorted((-free, number, host) for number, (host, free) in enumerate(hosts.items()))
    found: dict[str, str] = {}
    for guest, size in sorted(guests.items(), key=lambda g: -g[1]):
        if not emptiest or -emptiest[0][0] < size:
            continue
        negative, number, host = emptiest.pop(0)
        bisect.insort(emptiest, (negative + size, number, host))
        found[guest] = host
    return found


def plan_always_possible(config: Configuration) -> bool:
    """Could so many hosts fail, whichever they are, and every guest be started elsewhere?"""
    alive = len(config.hosts)
    if alive < config.failures or (alive == config.failures and config.guests):
        return False
    try:
        if _exhaustive(config):
            _try_all(config)
        elif config.guests:
            _estimate(config)
    except NoPlan:
        return False
    return True


def _exhaustive(config: Configuration) -> bool:
    if config.total_hosts > MOST_HOSTS:
        return False
    return math.perm(config.total_hosts, config.failures) < MOST_SEQUENCES


def _try_all(config: Configuration) -> None:
    for sequence in itertools.permutations(config.hosts, config.failures):
        after = config
        for host in sequence:
            after = _without(after, host)


def _without(config: Configuration, dead: str) -> Configuration:
    """Raises NoPlan."""
    failed = {g: config.guests[g] for g, h in config.placement.items() if h == dead}
    hosts = {h: free for h, free in config.hosts.items() if h != dead}
    moved = pack(failed, hosts)
    if len(moved) != len(failed):
        raise NoPlan
    for guest, host in moved.items():
        hosts[host] -= config.guests[guest]
    return replace(config, hosts=hosts, placement={**config.placement, **moved})


def _estimate(config: Configuration) -> None:
    """As if all guests were as big as the biggest and the emptiest hosts failed. Raises NoPlan."""
    biggest = max(config.guests.values()) or 1
    room = sorted((free // biggest for free in config.hosts.values()), reverse=True)
    placed = _counts(list(config.placement.values()), config.hosts)
    if sum(placed[: config.failures]) > sum(room[config.failures :]):
        raise NoPlan


def _counts(places: Sequence[str], hosts: Mapping[str, int]) -> list[int]:
    return sorted((places.count(h) for h in hosts), reverse=True)
