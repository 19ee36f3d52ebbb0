"""The two phases of a hand-over of a pool (xapi_pool_transition.ml, two-phase commit)."""

from __future__ import annotations

from nova_aggregates.simulator import proposals
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Machine


def propose(target: Machine, db: Database) -> list[Machine]:
    """Every member must agree; one that does not makes all of them forget it.

    Returns the members that agreed, the new master among them. Raises HA_ABORT_NEW_MASTER.
    """
    members = [m for _, m in target.site.members(db) if m.process is not None]
    processes = [m.process for m in members if m.process is not None]
    try:
        for process in processes:
            proposals.propose(process, target.address)
    except ApiError:
        for process in processes:
            process.proposal = None
        raise
    return members


def commit(target: Machine, members: list[Machine], copy: Database) -> list[Machine]:
    """From here on there is no way back: members that cannot follow leave the new master broken.

    Returns these; the others follow nevertheless. ``copy`` is the database that they get.
    """
    target.disk.broken = True
    failed = [m for m in members if m is not target and not _follows(m, target, copy)]
    if failed:
        target.disk.backup = copy.clone()
    else:
        target.disk.broken = False
    return failed


def _follows(member: Machine, target: Machine, copy: Database) -> bool:
    if not member.answers or member.process is None:
        return False
    try:
        proposals.commit(member.process, target.address)
    except ApiError:
        return False
    member.disk.backup = copy.clone()
    return True
