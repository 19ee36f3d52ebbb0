"""The two phases of a change of master at each host: propose, then commit or abort (xapi_ha.ml)."""

from __future__ import annotations

from nova_aggregates.simulator import lifecycle
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Process
from nova_aggregates.simulator.values import datetime_at

FENCED_AFTER = 600.0  # seconds after which the one who proposed is believed to be gone


def propose(process: Process, address: str) -> None:
    """Raises HA_ABORT_NEW_MASTER while another proposal stands."""
    now = process.machine.clock.now()
    if process.proposal is not None:
        other, since = process.proposal
        if other != address and now - since <= FENCED_AFTER:
            raise ApiError(
                "HA_ABORT_NEW_MASTER",
                f"Already agreed to commit host address '{other}' at {datetime_at(since)} "
                f"('{now - since:f}' secs ago)",
            )
    process.proposal = (address, now)


@api("host.propose_new_master")
def propose_new_master(call: Call, address: str, manual: bool) -> None:
    del manual
    propose(call.process, address)


@api("host.abort_new_master")
def abort_new_master(call: Call, address: str) -> None:
    """Also what was never proposed can be aborted."""
    del address
    call.process.proposal = None


def commit(process: Process, address: str) -> None:
    """Raises HA_ABORT_NEW_MASTER when this host did not agree to that address."""
    if process.proposal is None:
        text = f"Received commit_new_master({address}) but never received a proposal"
        raise ApiError("HA_ABORT_NEW_MASTER", text)
    if process.proposal[0] != address:
        text = (
            f"Received commit_new_master({address}) but previously received proposal for "
            f"{process.proposal[0]}"
        )
        raise ApiError("HA_ABORT_NEW_MASTER", text)
    machine = process.machine
    if address != machine.address:
        machine.disk.master_address = address
        lifecycle.light_fuse(machine, machine.profile.timings.fuse)


@api("host.commit_new_master")
def commit_new_master(call: Call, address: str) -> None:
    """Makes another host's slave of this one; to become a master takes the pool's own call."""
    commit(call.process, address)
