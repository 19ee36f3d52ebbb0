"""What a rolling update would do, host by host, and what stands in its way."""

from __future__ import annotations

import dataclasses
from typing import Any

from nova_aggregates.flows.outcome import StepFailed
from nova_aggregates.flows.rolling.wish import Wish, ordered, wish_of
from nova_aggregates.flows.translation import finding_of
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Finding, GuestPolicy, Severity
from nova_aggregates.xenapi.evacuation.facts import PoolFacts
from nova_aggregates.xenapi.evacuation.plan import Plan, Settings, plan
from nova_aggregates.xenapi.types import PoolView


@dataclasses.dataclass(frozen=True, slots=True)
class RollingPlan:
    order: tuple[str, ...]  # names of hosts
    findings: tuple[Finding, ...]
    document: dict[str, Any]


def make(work: Work) -> RollingPlan:
    """Looks at the pool as it is, high availability apart, which is off during the update.

    :raises StepFailed: the pool does not have a host of the aggregate.
    """
    wish = wish_of(work.operation.parameters)
    members = work.managers.pools.members(work.aggregate_id)
    with work.pool_session() as session:
        view = work.observe_pool(session, guests=False)
        facts = dataclasses.replace(session.upkeep.facts(), ha_enabled=False)
    uuids = {host.name: host.xen_uuid for host in members if host.xen_uuid}
    for host in members:
        if view.host(uuids.get(host.name, "")) is None:
            raise StepFailed.of(
                "HOST_NOT_IN_POOL",
                f"Host {host.name} is in the aggregate, but not in its pool.",
                "Wait until it has joined, or remove it, then repeat the request.",
            )
    by_uuid = {uuid: name for name, uuid in uuids.items()}
    order = ordered(wish, [host.name for host in members], by_uuid.get(view.master_uuid, ""))
    findings = list(_about_pool(view, by_uuid))
    steps = []
    for name in order:
        made = _of_host(work, wish, facts, uuids[name]) if wish.disturbs_guests else None
        if made is not None:
            findings += _blocking(made, wish, facts)
        steps.append(_told(name, made, facts))
    seconds = sum(step["seconds"] for step in steps)
    return RollingPlan(
        order,
        tuple(findings),
        {
            "do": wish.deed.value,
            "max_unavailable": wish.max_unavailable,
            "hosts": steps,
            "moving_seconds": round(seconds, 1),
            "suspends": _suspends(view),
        },
    )


def _of_host(work: Work, wish: Wish, facts: PoolFacts, uuid: str) -> Plan:
    return plan(
        facts,
        {uuid},
        Settings(
            concurrency=wish.evacuation["concurrency"] or work.timing.emptying.concurrency,
            bandwidth=work.timing.emptying.bandwidth,
            network=wish.evacuation["network"],
        ),
    )


def _blocking(made: Plan, wish: Wish, facts: PoolFacts) -> list[Finding]:
    policy = GuestPolicy(wish.evacuation["policy"])
    running = {guest.uuid for guest in facts.guests if guest.power_state == "Running"}
    found = [finding_of(each) for each in made.findings]
    for each in made.blockers:
        told = finding_of(each.finding)
        stops = policy is GuestPolicy.REFUSE
        stops = stops or (policy is GuestPolicy.SHUT_DOWN and each.guest not in running)
        found.append(told if stops else dataclasses.replace(told, severity=Severity.INFO))
    return found


def _told(name: str, made: Plan | None, facts: PoolFacts) -> dict[str, Any]:
    names = {host.uuid: host.name for host in facts.hosts}
    moves = made.moves if made is not None else ()
    return {
        "host": name,
        "guests": [
            {"guest": move.guest, "name": move.name, "to": names[move.destination]}
            for move in moves
        ],
        "blocked": [each.name for each in made.blockers] if made is not None else [],
        "seconds": round(made.seconds, 1) if made is not None else 0.0,
    }


def _about_pool(view: PoolView, names: dict[str, str]) -> list[Finding]:
    return [
        Finding(
            check="rolling.live",
            code="HOST_NOT_LIVE",
            severity=Severity.BLOCKING,
            message=f"The pool has no contact with host {names.get(host.uuid, host.name)}.",
            cure="Bring it back, or remove it from the aggregate, before anything is updated.",
            ours=host.name,
        )
        for host in view.hosts
        if not host.live
    ]


def _suspends(view: PoolView) -> list[str]:
    told = ["high availability"] if view.ha_enabled else []
    return [*told, "automatic start of guests"] if "auto_poweron" in view.other_config else told
