"""What speaks against a removal, and what of it the requester has agreed to lose."""

from __future__ import annotations

import dataclasses

from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Finding, Holdings, Severity
from nova_aggregates.xenapi.preflight import LOCAL_DATA_CHECK


@dataclasses.dataclass(frozen=True, slots=True)
class Departure:
    findings: tuple[Finding, ...]
    holdings: Holdings


def judge(work: Work, session: Session, host_uuid: str, confirm: str | None) -> Departure:
    """
    :param confirm: the digest of the holdings that the requester has seen. The right one lifts the
        findings about local disks, and no other.
    :raises XenError: the pool does not answer, or has no such host.
    """
    found = work.hypervisor.leave_findings(session, host_uuid)
    held = work.hypervisor.holdings(session)[host_uuid]
    if confirm == held.digest:
        return Departure(tuple(each for each in found if each.check != LOCAL_DATA_CHECK), held)
    if confirm is not None:
        return Departure((_changed(work, held, confirm), *found), held)
    if any(each.check == LOCAL_DATA_CHECK for each in found):
        return Departure((*found, _unconfirmed(work, held)), held)
    return Departure(found, held)


def _changed(work: Work, held: Holdings, confirm: str) -> Finding:
    return _finding(
        f"What is on host {work.operation.host} is no longer what was confirmed. {_told(held)}",
        held,
        confirm,
    )


def _unconfirmed(work: Work, held: Holdings) -> Finding:
    return _finding(f"Host {work.operation.host} would lose what is on it. {_told(held)}", held, "")


def _finding(message: str, held: Holdings, confirm: str) -> Finding:
    return Finding(
        check="leave.confirmation",
        code="HOLDINGS_NOT_EMPTY",
        severity=Severity.BLOCKING,
        message=message,
        cure="Move it away first, or repeat the removal with "
        f'"confirm": "{held.digest}" to lose it.',
        ours=held.digest,
        theirs=confirm,
    )


def _told(held: Holdings) -> str:
    parts = {"guests": held.guests, "disks": held.disks, "storage": held.storage}
    told = "; ".join(f"{what}: {', '.join(items)}" for what, items in parts.items() if items)
    return f"Now there are {told}." if told else "Now nothing is there."
