"""reboot_host, shutdown_host, startup_host: the power of a host that is in maintenance.

That a host has rebooted is judged by the boot time that it reports itself, compared with what it
reported before; clocks are never compared with each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import ClassVar

from taskflow.patterns import linear_flow

from nova_aggregates.flows.maintenance import disable, refused, require_member
from nova_aggregates.flows.outcome import NotYet, StepFailed
from nova_aggregates.flows.step import Act, Learn
from nova_aggregates.flows.upkeep import Upkeep
from nova_aggregates.flows.work import Work, endpoint_of
from nova_aggregates.objects import MaintenanceMode
from nova_aggregates.xenapi.errors import ApiFailure, Unreachable, XenError
from nova_aggregates.xenapi.types import HostView

GOING_DOWN = frozenset({"shutdown", "reboot"})  # a reboot is called shutdown there, too


def build_reboot(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow("reboot_host").add(
        InspectRunning(work), SendReboot(work), AwaitBooted(work)
    )


def build_shutdown(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow("shutdown_host").add(
        InspectRunning(work), SendShutdown(work), AwaitDown(work)
    )


def build_startup(work: Work) -> linear_flow.Flow:
    return linear_flow.Flow("startup_host").add(
        InspectAny(work), SendPowerOn(work), AwaitBooted(work)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Powered:
    """What the host said before."""

    host_uuid: str
    live: bool
    boot_time: float | None  # Unix seconds on its own clock
    agent_start_time: float | None


def powered(record: HostView) -> Powered:
    return Powered(record.uuid, record.live, record.boot_time, record.agent_start_time)


def has_rebooted(before: Powered, now: HostView) -> bool:
    """Not only its toolstack has started anew."""
    return now.boot_time is not None and now.boot_time != before.boot_time


class _Inspect(Learn):
    label = "inspect_host"
    percent = 5

    def learn(self) -> Powered:
        return self.work.through_outage(self._look)

    def _look(self) -> Powered:
        work = self.work
        if work.host().maintenance_mode is not MaintenanceMode.ON:
            raise refused(
                "power.maintenance",
                "HOST_NOT_IN_MAINTENANCE",
                f"Host {work.operation.host} is not in maintenance (any more).",
                "Put it there first with maintenance_mode enable.",
            )
        with work.pool_session() as session:
            view = work.observe_pool(session, guests=False)
            record = require_member(work.host(), view)
            guests = session.upkeep.guests_on(record.uuid)
        self.require_fit(record, alone=len(view.hosts) == 1, guests=[each.name for each in guests])
        return powered(record)

    def require_fit(self, record: HostView, *, alone: bool, guests: list[str]) -> None:
        """:raises StepFailed: the host is not as it must be."""


class InspectAny(_Inspect):
    pass


class InspectRunning(_Inspect):
    def require_fit(self, record: HostView, *, alone: bool, guests: list[str]) -> None:
        # XenServer itself would shut them down.
        if guests:
            raise refused(
                "power.guests",
                "GUESTS_ON_HOST",
                f"Guests are on host {record.name}: {', '.join(guests)}.",
                "Move them or shut them down first.",
            )
        if record.enabled:
            raise refused(
                "power.disabled",
                "HOST_NOT_DISABLED",
                f"Host {record.name} takes new guests: somebody enabled it.",
                "Put it into maintenance again.",
            )
        if record.is_master and not alone:
            raise refused(
                "power.master",
                "HOST_IS_MASTER",
                f"Host {record.name} is the pool's master: nobody could work with the pool while "
                "it is down.",
                "Put it into maintenance again, which hands the role over.",
            )


class PowerStep(Act[Powered]):
    facts_type = Powered


class _Send(PowerStep):
    method: ClassVar[str]
    percent = 20

    def act(self, facts: Powered) -> None:
        work = self.work
        send_once(work, facts, self.method, self.shows, self.call)

    def shows(self, facts: Powered, record: HostView) -> bool:
        """Whether the call was carried out, as far as the host's record tells."""
        raise NotImplementedError

    def call(self, upkeep: Upkeep, host_uuid: str) -> None:
        raise NotImplementedError


def send_once(
    work: Work,
    before: Powered,
    method: str,
    shows: Callable[[Powered, HostView], bool],
    call: Callable[[Upkeep, str], None],
    *,
    announce: Callable[[str], bool] | None = None,
) -> None:
    """Let the host do something that must not be done twice.

    :param shows: whether it has begun or is over, by what the host said before and says now.
    :param announce: puts on record that it will be sent; whether it was there before.
    :raises StepFailed: whether it took place cannot be found out.
    :raises XenError: it did not.
    """

    def look() -> bool:
        with work.pool_session() as session:
            record = work.observe_pool(session, guests=False).host(before.host_uuid)
        return record is not None and shows(before, record)

    def took_place() -> bool:
        return work.changed(look, work.timing.boot, late)

    def late(reason: str) -> StepFailed:
        return StepFailed.of(
            "POWER_OUTCOME_UNKNOWN",
            f"Whether {method} was carried out is not clear. {reason}",
            "Look at the host, then retry the operation.",
            half_way=True,
        )

    with contextlib.suppress(XenError):
        if look():
            return
    if (announce or work.announce)(method) and took_place():
        return
    try:
        with work.pool_session() as session:
            call(session.upkeep, before.host_uuid)
    except ApiFailure:
        raise
    except XenError:
        if not took_place():
            raise


class SendReboot(_Send):
    label = "reboot"
    method = "host.reboot"

    def shows(self, facts: Powered, record: HostView) -> bool:
        return going_down(facts, record)

    def call(self, upkeep: Upkeep, host_uuid: str) -> None:
        upkeep.reboot(host_uuid)


def going_down(before: Powered, now: HostView) -> bool:
    busy = not GOING_DOWN.isdisjoint(now.current_operations)
    return busy or not now.live or has_rebooted(before, now)


class SendShutdown(_Send):
    label = "shut_down"
    method = "host.shutdown"

    def shows(self, facts: Powered, record: HostView) -> bool:
        return going_down(facts, record)

    def call(self, upkeep: Upkeep, host_uuid: str) -> None:
        upkeep.shut_down(host_uuid)


class SendPowerOn(_Send):
    label = "power_on"
    method = "host.power_on"

    def shows(self, facts: Powered, record: HostView) -> bool:
        return record.live

    def call(self, upkeep: Upkeep, host_uuid: str) -> None:
        upkeep.power_on(host_uuid)


class AwaitBooted(PowerStep):
    label = "await_booted"
    percent = 30
    half_way = True

    def act(self, facts: Powered) -> None:
        work = self.work
        await_booted(work, facts, str(work.operation.host), since_boot=facts.live)
        disable(work, facts.host_uuid)


def await_booted(
    work: Work, before: Powered, name: str, *, since_boot: bool, deadline: float | None = None
) -> None:
    """The host is live again, with all its storage.

    :param since_boot: whether it must have booted since ``before``.
    :param deadline: seconds; as configured when None.
    :raises StepFailed: not within the deadline.
    """

    seconds = deadline or work.timing.boot

    def look() -> None:
        with work.pool_session() as session:
            record = work.observe_pool(session, guests=False).host(before.host_uuid)
        if record is None or not record.live:
            raise NotYet("The pool has no contact with the host.")
        if since_boot and not has_rebooted(before, record):
            raise NotYet("The host has not booted since.")
        if not GOING_DOWN.isdisjoint(record.current_operations):
            raise NotYet("The host is still going down.")
        if not record.shared_storage_attached:
            raise NotYet(f"Storage is missing: {', '.join(record.storage_missing)}.")

    def late(reason: str) -> StepFailed:
        return StepFailed.of(
            "HOST_NOT_BACK",
            f"Host {name} is not back after {seconds:g} seconds. {reason}",
            "Look at the host's console, then retry the operation.",
            half_way=True,
        )

    work.until(look, seconds, late)


class AwaitDown(PowerStep):
    label = "await_down"
    percent = 50
    half_way = True

    def act(self, facts: Powered) -> None:
        work = self.work

        def look() -> None:
            if self._is_down(facts):
                return
            raise NotYet("The host still answers.")

        def late(reason: str) -> StepFailed:
            return StepFailed.of(
                "HOST_NOT_DOWN",
                f"Host {work.operation.host} is not down after {work.timing.boot:g} seconds. "
                f"{reason}",
                "Look at the host's console.",
                half_way=True,
            )

        work.until(look, work.timing.boot, late, through_outages=False)

    def _is_down(self, facts: Powered) -> bool:
        """It has said good-bye to its master, or nothing answers at its address."""
        work = self.work
        host = work.host()
        try:
            with work.pool_session() as session:
                record = work.observe_pool(session, guests=False).host(facts.host_uuid)
            if record is None or not record.live:
                return True
        except XenError:
            pass  # where it is the only host, the pool is away with it
        try:
            with work.hypervisor.host(endpoint_of(host, work.established().credentials)):
                return False
        except Unreachable:
            return True
        except XenError:
            return False
