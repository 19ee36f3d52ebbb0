"""Waiting until a pool is at rest, before anything changes it.

A join beside a member that restarts leaves that member without a certificate, and what is written
during a change of master is lost (observed on xapi 26.17): so each change waits until every member
is enabled and live again, not merely answering.
"""

from __future__ import annotations

import time

from nova_aggregates.flows.outcome import NotYet, StepFailed
from nova_aggregates.flows.work import Work, is_hopeless
from nova_aggregates.objects import Finding, Severity
from nova_aggregates.xenapi.errors import XenError
from nova_aggregates.xenapi.types import HostView, PoolView


class Patience:
    """Tells a member that is disabled on purpose from one that is still starting: the former
    stays live and disabled for ``grace`` seconds."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._since: dict[str, float] = {}

    def at_rest(self, host: HostView) -> bool:
        if not host.live or host.enabled:
            self._since.pop(host.uuid, None)
            return host.live
        return time.monotonic() - self._since.setdefault(host.uuid, time.monotonic()) >= self._grace


def await_settled(work: Work, *, ignoring: str = "") -> PoolView:
    """The pool, once nothing is under way there and every member is in service.

    The host ``ignoring`` (a uuid) is left out: what an earlier attempt left of it must not stand
    in its own way.

    :raises StepFailed: not within the deadline for changes of master; a finding for each member.
    """
    patience = Patience(work.timing.settle)
    last: list[PoolView] = []

    def look() -> PoolView:
        try:
            with work.pool_session() as session:
                view = work.observe_pool(session)
        except XenError as error:
            if is_hopeless(error):
                raise StepFailed.from_xen(error) from None
            raise
        last[:] = [view]
        restless = [
            host for host in view.hosts if host.uuid != ignoring and not patience.at_rest(host)
        ]
        if view.current_operations:
            raise NotYet(f"The pool is busy with {', '.join(view.current_operations)}.")
        if restless:
            raise NotYet(" ".join(_condition(host) for host in restless))
        return view

    def late(reason: str) -> StepFailed:
        restless = [
            host
            for view in last
            for host in view.hosts
            if host.uuid != ignoring and not (host.live and host.enabled)
        ]
        return StepFailed.of(
            "POOL_NOT_SETTLED",
            f"The pool did not come to rest within {work.timing.handover:g} seconds. {reason}",
            "Bring every member back into service (or remove the one that is gone), then repeat "
            "the request.",
            findings=[_finding(host) for host in restless],
        )

    return work.until(look, work.timing.handover, late)


def _condition(host: HostView) -> str:
    state = "not live" if not host.live else "live but disabled"
    return f"Host {host.name} is {state}."


def _finding(host: HostView) -> Finding:
    return Finding(
        check="pool.settled",
        code="HOST_NOT_LIVE" if not host.live else "HOST_DISABLED",
        severity=Severity.BLOCKING,
        message=_condition(host),
        cure="Start its toolstack or the machine, and look at its network."
        if not host.live
        else "Enable it, or find out in its log why it stays disabled.",
        ours=host.name,
    )
