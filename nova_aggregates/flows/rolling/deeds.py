"""What is done to a host that is empty. Each deed may be repeated after a crash: it looks first
whether it is done already, and what must not be done twice is on record before it is sent."""

from __future__ import annotations

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from nova_aggregates.flows.outcome import NotYet, StepFailed
from nova_aggregates.flows.power import Powered, await_booted, going_down, send_once
from nova_aggregates.flows.rolling.wish import Deed, Reboot, Wish
from nova_aggregates.flows.upkeep import Upkeep
from nova_aggregates.flows.work import Work
from nova_aggregates.objects import Host
from nova_aggregates.xenapi.errors import XenError
from nova_aggregates.xenapi.types import HostView

LOG = logging.getLogger(__name__)
WEBHOOK_SECONDS = 600.0  # that an answer may take unless the request says otherwise
REBOOT_GUIDANCES = frozenset({"reboot_host", "restartHost"})
TOOLSTACK_GUIDANCES = frozenset({"restart_toolstack", "restartXAPI"})


class Deeds:
    """
    :param announce: puts on record that something will be sent to the host; whether it was there
        before.
    """

    def __init__(
        self,
        work: Work,
        wish: Wish,
        host: Host,
        before: Powered,
        announce: Callable[[str], bool],
    ) -> None:
        self._work = work
        self._wish = wish
        self._host = host
        self._before = before
        self._announce = announce

    def already_done(self) -> bool:
        """Whether the host has the update, so that nothing needs to be done to it."""
        wish, uuid = self._wish, self._before.host_uuid
        if wish.deed not in (Deed.POOL_UPDATE, Deed.APPLY_UPDATES):
            return False
        with self._work.pool_session() as session:
            if wish.deed is Deed.POOL_UPDATE:
                return session.upkeep.has_pool_update(uuid, wish.argument)
            return session.upkeep.applied_hash(uuid) == wish.argument

    def act(self) -> None:
        """Without the reboot that may follow. Tried again as often as the request says.

        :raises StepFailed: it did not work.
        :raises XenError: the same, in the words of XenServer.
        """
        for attempt in range(self._wish.retries + 1):
            try:
                self._act()
                return
            except (StepFailed, XenError) as error:
                if attempt == self._wish.retries or getattr(error, "cancelled", False):
                    raise
                LOG.info("deed.again host=%s reason=%s", self._host.name, error)
                self._wait(self._wish.retry_delay)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._work.pause()

    def _act(self) -> None:
        wish, uuid = self._wish, self._before.host_uuid
        if wish.deed is Deed.RESTART_TOOLSTACK:
            self._restart_toolstack()
        elif wish.deed is Deed.WEBHOOK:
            self._call_webhook()
        elif wish.deed is not Deed.REBOOT and not self.already_done():
            with self._work.pool_session() as session:
                self._update(session.upkeep, uuid)

    def _update(self, upkeep: Upkeep, uuid: str) -> None:
        wish = self._wish
        if wish.deed is Deed.POOL_UPDATE:
            upkeep.apply_pool_update(uuid, wish.argument)
        elif wish.deed is Deed.APPLY_UPDATES:
            upkeep.apply_updates(uuid, wish.argument)
        else:
            upkeep.call_plugin(
                uuid,
                wish.argument["plugin"],
                wish.argument["function"],
                wish.argument.get("arguments", {}),
            )

    def _restart_toolstack(self) -> None:
        def restarted(before: Powered, now: HostView) -> bool:
            return now.agent_start_time != before.agent_start_time

        send_once(
            self._work,
            self._before,
            "host.restart_agent",
            restarted,
            lambda upkeep, uuid: upkeep.restart_toolstack(uuid),
            announce=self._announce,
        )

        def look() -> None:
            with self._work.pool_session() as session:
                record = self._work.observe_pool(session, guests=False).host(self._before.host_uuid)
            if record is None or not record.live or not restarted(self._before, record):
                raise NotYet("The toolstack has not come back yet.")

        self._work.until(look, self._deadline, self._late)

    def _late(self, reason: str) -> StepFailed:
        return StepFailed.of(
            "HOST_NOT_BACK",
            f"Host {self._host.name} is not back after {self._deadline:g} seconds. {reason}",
            "Look at the host's console, then retry the operation.",
        )

    @property
    def _deadline(self) -> float:
        return self._wish.deadline or self._work.timing.boot

    def _call_webhook(self) -> None:
        url = self._wish.argument["url"]
        operation = self._work.operation
        body = json.dumps(
            {
                "operation": operation.uuid,
                "aggregate_id": operation.aggregate_id,
                "host": self._host.name,
                "address": self._host.address,
                "xen_uuid": self._host.xen_uuid,
            }
        ).encode()
        headers = {"Content-Type": "application/json", "X-Operation-Id": operation.uuid}
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - the schema checks it
        seconds = self._wish.argument.get("timeout", WEBHOOK_SECONDS)
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds):
                return
        except urllib.error.HTTPError as error:
            with error:
                reason = f"it answered {error.code}"
        except (OSError, http.client.HTTPException) as error:
            reason = type(getattr(error, "reason", error)).__name__
        raise StepFailed.of(
            "WEBHOOK_FAILED",
            f"The webhook for host {self._host.name} did not answer 2xx: {reason}.",
            "Look at the service behind it, then retry the operation.",
        )

    def needs_reboot(self) -> bool:
        """Whether a reboot belongs to what was asked, or follows from what was done."""
        wish = self._wish
        if wish.deed is Deed.REBOOT or wish.reboot is Reboot.ALWAYS:
            return True
        if wish.reboot is Reboot.NEVER:
            return False
        with self._work.pool_session() as session:
            record = self._work.observe_pool(session, guests=False).host(self._before.host_uuid)
            guidances = set(record.pending_guidances if record else ())
            if wish.deed is Deed.POOL_UPDATE:
                guidances |= set(session.upkeep.guidance(wish.argument))
        if guidances & TOOLSTACK_GUIDANCES and not guidances & REBOOT_GUIDANCES:
            self._restart_toolstack()
        return bool(guidances & REBOOT_GUIDANCES)

    def reboot(self) -> None:
        """:raises StepFailed: the host did not come back, or nobody knows whether it went."""
        send_once(
            self._work,
            self._before,
            "host.reboot",
            going_down,
            lambda upkeep, uuid: upkeep.reboot(uuid),
            announce=self._announce,
        )
        self.await_back()

    def await_back(self) -> None:
        """:raises StepFailed: the host did not come back within the deadline."""
        await_booted(
            self._work, self._before, self._host.name, since_boot=True, deadline=self._deadline
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None
