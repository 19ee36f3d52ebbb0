"""What all steps of a removal and of a change of master share."""

from __future__ import annotations

import dataclasses

from nova_aggregates.flows.step import Act


@dataclasses.dataclass(frozen=True, slots=True)
class Leaving:
    """What the steps know of the pool and of the host that leaves it, or its role as master."""

    host_uuid: str  # empty: it never was in a pool, so nothing has to be undone at XenServer
    pool_uuid: str
    last: bool  # the pool has no other host
    master: bool
    verifying: bool = False  # the pool verifies certificates, and so did the host as its member
    successor: str = ""  # uuid of the member that shall be the master; empty: whoever is able
    disabled: tuple[str, ...] = ()  # uuids of the other members that were disabled on purpose


class LeaveStep(Act[Leaving]):
    facts_type = Leaving
