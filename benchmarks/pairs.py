"""Two servers measured in turns, so that a noisy machine disturbs both alike."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.load import Measured, drive
from benchmarks.requests import READS, SCENARIOS, Target


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """Ratios are medians over the rounds; more than 1 means that the service does better."""

    scenario: str
    concurrency: int
    peer: str
    rate_ratio: float
    cpu_ratio: float  # the peer's CPU time for each request over the service's
    service: dict[str, float]  # medians
    peers: dict[str, float]
    rounds: list[dict[str, Any]]


def measure(
    target: Target,
    scenario: str,
    concurrency: int,
    aggregates: int,
    seconds: float,
    between: Callable[[], None] | None = None,
    at_least: int = 10,
) -> Measured:
    """Drive one server with one scenario.

    :param between: called before each request, outside the clock.
    :param at_least: so many requests, whatever time they take.
    """
    conversations = [
        SCENARIOS[scenario](target, client, aggregates) for client in range(concurrency)
    ]
    return drive(
        ("127.0.0.1", target.port), conversations, seconds, [target.pid], at_least, between=between
    )


def compare(
    service: Target,
    peer: Target,
    scenario: str,
    concurrency: int,
    aggregates: int,
    *,
    rounds: int,
    seconds: float,
    between: Callable[[Target], Callable[[], None]] | None = None,
) -> Pair:
    """:param between: makes what is called before each request of a server."""
    found: list[tuple[Measured, Measured]] = []
    if scenario in READS:
        for target in (service, peer):  # what is asked for the first time is no measure of either
            measure(target, scenario, concurrency, aggregates, 0.0, at_least=3 * aggregates)
    for number in range(rounds):
        taken = {}
        for target in (service, peer) if number % 2 else (peer, service):
            before = between(target) if between else None
            taken[target.name] = measure(target, scenario, concurrency, aggregates, seconds, before)
        found.append((taken[service.name], taken[peer.name]))
    return Pair(
        scenario=scenario,
        concurrency=concurrency,
        peer=peer.name,
        rate_ratio=statistics.median(ours.rate / theirs.rate for ours, theirs in found),
        cpu_ratio=statistics.median(
            theirs.cpu_ms / max(ours.cpu_ms, 0.001) for ours, theirs in found
        ),
        service=_medians([ours for ours, _ in found]),
        peers=_medians([theirs for _, theirs in found]),
        rounds=[
            {"service": dataclasses.asdict(ours), "peer": dataclasses.asdict(theirs)}
            for ours, theirs in found
        ],
    )


def _medians(measured: list[Measured]) -> dict[str, float]:
    return {
        name: round(statistics.median(getattr(each, name) for each in measured), 3)
        for name in ("rate", "p50_ms", "p99_ms", "cpu_ms")
    }
