"""What would act on its own while hosts go down: high availability and the pool's automatic start
of guests. Both are put aside for the time of the update and given back as they were."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from nova_aggregates.flows.hypervisor import Session
from nova_aggregates.xenapi.settings import HighAvailability

AUTO_POWERON = "auto_poweron"


def found(session: Session) -> dict[str, Any]:
    """How they are set now, as plain data."""
    ha = session.upkeep.high_availability()
    return {
        "ha": None if ha is None else dataclasses.asdict(ha),
        "auto_poweron": session.upkeep.pool().other_config.get(AUTO_POWERON),
    }


def suspend(session: Session, before: Mapping[str, Any]) -> None:
    """May be repeated."""
    if before["ha"] is not None:
        session.upkeep.disable_ha()
    if before["auto_poweron"] is not None:
        session.upkeep.set_pool_keys({AUTO_POWERON: "false"})


def give_back(session: Session, before: Mapping[str, Any]) -> None:
    """May be repeated; what somebody has set up anew meanwhile stays."""
    if before["auto_poweron"] is not None:
        session.upkeep.set_pool_keys({AUTO_POWERON: before["auto_poweron"]})
    ha = before["ha"]
    if ha is not None and session.upkeep.high_availability() is None:
        session.upkeep.enable_ha(
            HighAvailability(tuple(ha["storage"]), ha["configuration"], int(ha["tolerate"]))
        )
