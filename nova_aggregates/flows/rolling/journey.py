"""The way of one host through a rolling update. Where it stands is in the database before each
step, so that whoever goes on begins there."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from nova_aggregates.flows.end_maintenance import (
    Absence,
    bring_back,
    bring_into_service,
    forget_absent,
)
from nova_aggregates.flows.maintenance import (
    Emptying,
    PassRoleOn,
    SeeRolePassed,
    disable,
    empty,
    emptying,
    look,
    refresh_keys,
    save_guests,
    verify_empty,
)
from nova_aggregates.flows.outcome import StepFailed
from nova_aggregates.flows.power import Powered
from nova_aggregates.flows.progress import Board
from nova_aggregates.flows.rolling.deeds import Deeds
from nova_aggregates.flows.rolling.wish import GuestsBack, MasterRole, Wish
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import (
    Finding,
    GuestPolicy,
    Host,
    HostProgress,
    HostRun,
    HostStatus,
    MaintenanceMode,
    OperationFailure,
    Severity,
)

LOG = logging.getLogger(__name__)
P = HostProgress
REASON = "rolling update"
REBOOT = "host.reboot"
EVENT = "host"


class Journey:
    """
    :param preferred: uuids of hosts that should get the master's role, if it must move.
    """

    def __init__(
        self, work: Work, wish: Wish, run: HostRun, board: Board, preferred: tuple[str, ...] = ()
    ) -> None:
        self._work = work
        self._wish = wish
        self._board = board
        self._preferred = preferred
        self.host: Host = work.managers.hosts.show(run.host)
        self.state = run.state
        self._evidence: dict[str, Any] = dict(run.evidence)
        self.stayed: tuple[Finding, ...] = ()

    def go(self) -> None:
        """To the end.

        :raises StepFailed: it ends here, and where it stands is on record.
        :raises XenError: the same.
        """
        if self.state in (P.WAITING, P.EMPTYING):
            self._empty()
        if self.state is P.ACTING:
            self._act()
        if self.state is P.RETURNING:
            self._return()

    def put_back(self) -> None:
        """Into service, with its guests, whatever it was in the middle of. May be repeated.

        :raises StepFailed: that is not possible.
        :raises XenError: the same.
        """
        if self.state is P.ACTING and REBOOT in self._evidence.get("sent", ()):
            self._deeds.await_back()
        if self._wish.disturbs_guests:
            self._serve()
            self.bring_guests_back()
        if self.state is not P.FAILED:
            self._to(P.WAITING, {"acted": self._evidence.get("acted", False)})

    def failed(self, failure: OperationFailure) -> None:
        """Note why it ends here; a host that was not empty yet is to be put back."""
        work = self._work
        evidence = {**self._evidence, "emptying": self.state is P.EMPTYING}
        work.managers.upkeep.run(work.operation, self.host.name, P.FAILED, evidence, failure)
        told = {"host": self.host.name, "state": P.FAILED.value, "reason": failure.message}
        work.managers.operations.event(work.operation, EVENT, told)

    # The steps

    def _empty(self) -> None:
        work, wish = self._work, self._wish
        self._to(P.EMPTYING, self._evidence)
        careful = {**wish.evacuation, "policy": self._policy.value}
        found = look(work, self.host, careful)
        serving = found.host.enabled and self.host.maintenance_mode is MaintenanceMode.OFF
        self._evidence = {
            # What an earlier manager saw before it disabled the host counts.
            "serving": serving,
            **self._evidence,
            "host_uuid": found.host.uuid,
            "live": True,
            "boot_time": found.host.boot_time,
            "agent_start_time": found.host.agent_start_time,
        }
        if not self._evidence.get("acted") and self._deeds.already_done():
            self._to(P.DONE, {"already": True})
            return
        if wish.disturbs_guests:
            if found.findings and self._skips:
                self._skip(found.findings)
                return
            if found.findings:
                raise StepFailed.from_findings(found.findings)
            self._to(P.EMPTYING, self._evidence)
            self._leave(emptying(work, found, careful))
        self._to(P.ACTING, {**self._evidence, "sent": []})

    @property
    def _skips(self) -> bool:
        """A host with guests that cannot leave is left as it is: the update would stop them."""
        return GuestPolicy(self._wish.evacuation["policy"]) is GuestPolicy.SKIP

    @property
    def _policy(self) -> GuestPolicy:
        wanted = GuestPolicy(self._wish.evacuation["policy"])
        return GuestPolicy.REFUSE if wanted is GuestPolicy.SKIP else wanted

    def _skip(self, findings: tuple[Finding, ...]) -> None:
        self.stayed = tuple(dataclasses.replace(each, severity=Severity.INFO) for each in findings)
        self._to(P.DONE, {"skipped": True})

    def _leave(self, facts: Emptying) -> None:
        work = self._work
        save_guests(work, self.host, facts)
        disable(work, facts.host_uuid)
        if facts.master and not facts.last and self._wish.master is MasterRole.HAND_OVER:
            self._hand_over(facts)
        empty(work, self.host, facts, self._board)
        verify_empty(work, facts.host_uuid, may_stay=False)
        refresh_keys(work, self.host, facts.host_uuid)
        work.managers.upkeep.set_mode(
            work.operation, self.host.id, MaintenanceMode.ON, HostStatus.DISABLED, REASON
        )

    def _hand_over(self, facts: Emptying) -> None:
        work = self._work
        with work.pool_session() as session:
            able = session.upkeep.serving()
        successor = next((uuid for uuid in self._preferred if uuid in able), "")
        chosen = dataclasses.replace(facts, successor=successor)
        try:
            PassRoleOn(work).act(chosen)
            SeeRolePassed(work).act(chosen)
        finally:
            # The role may move again; nothing of it stands in the way of an end.
            work.managers.operations.uncancellable(work.operation, None)

    def _act(self) -> None:
        deeds = self._deeds
        rebooting = REBOOT in self._evidence.get("sent", ())
        if not self._evidence.get("acted"):
            deeds.act()
            self._to(P.ACTING, {**self._evidence, "acted": True})
        if rebooting or deeds.needs_reboot():
            deeds.reboot()
        self._to(P.RETURNING)

    def _return(self) -> None:
        back = self._wish.guests_back
        if self._wish.disturbs_guests:
            self._serve()
            if back is GuestsBack.AFTER_EACH:
                self.bring_guests_back()
            elif back is GuestsBack.NEVER:
                forget_absent(self._work, self.host, self._uuid)
        self._to(P.DONE)

    def _serve(self) -> None:
        """In service again, unless it was not before."""
        work = self._work
        if not self._evidence.get("serving", True):
            disable(work, self._uuid)
            return
        bring_into_service(work, self._uuid, self.host.name, deadline=self._wish.deadline)
        work.managers.upkeep.set_mode(
            work.operation, self.host.id, MaintenanceMode.OFF, HostStatus.ENABLED, None
        )

    @property
    def _uuid(self) -> str:
        return str(self._evidence.get("host_uuid") or self.host.xen_uuid)

    def bring_guests_back(self) -> None:
        work, wish = self._work, self._wish
        if not self._evidence.get("serving", True):
            return
        uuid = self._uuid
        concurrency = wish.evacuation.get("concurrency") or work.timing.emptying.concurrency
        absence = Absence(uuid, concurrency, "")
        self.stayed = bring_back(work, self.host, absence, self._board)
        forget_absent(work, self.host, uuid)

    @property
    def _deeds(self) -> Deeds:
        before = Powered(
            host_uuid=str(self._evidence["host_uuid"]),
            live=bool(self._evidence["live"]),
            boot_time=self._evidence["boot_time"],
            agent_start_time=self._evidence["agent_start_time"],
        )
        return Deeds(self._work, self._wish, self.host, before, self._announce)

    def _announce(self, call: str) -> bool:
        sent = list(self._evidence.get("sent", ()))
        if call in sent:
            return True
        self._to(P.ACTING, {**self._evidence, "sent": [*sent, call]})
        return False

    def _to(self, state: HostProgress, evidence: Mapping[str, Any] | None = None) -> None:
        if evidence is not None:
            self._evidence = dict(evidence)
        work = self._work
        work.managers.upkeep.run(work.operation, self.host.name, state, self._evidence)
        if state is not self.state:
            told = {"host": self.host.name, "state": state.value}
            work.managers.operations.event(work.operation, EVENT, told)
            LOG.info(
                "rolling.host operation=%s host=%s state=%s",
                work.operation.uuid,
                self.host.name,
                state.value,
            )
        self.state = state
        self._board.put_host(self.host.name, {"state": state.value}, now=True)
