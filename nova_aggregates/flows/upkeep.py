"""What maintenance asks of XenServer beside :class:`nova_aggregates.flows.hypervisor.Session`: the
interface, its implementation on the driver, and that with a record of every changing call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from nova_aggregates.xenapi import observe, power, settings, updates
from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.evacuation import facts
from nova_aggregates.xenapi.evacuation.facts import PoolFacts
from nova_aggregates.xenapi.guests import Guests, GuestState, TaskState
from nova_aggregates.xenapi.settings import HighAvailability
from nova_aggregates.xenapi.tasks import Watch
from nova_aggregates.xenapi.types import PoolView

T = TypeVar("T")
Keys = Mapping[str, str | None]
Change = Callable[[str, Callable[[], T]], T]


class Upkeep(Protocol):
    """At the pool's master. Hosts and guests are named by their uuids; every method may raise a
    :class:`nova_aggregates.xenapi.errors.XenError`. What begins a task returns its reference."""

    def recorded(self, change: Change) -> Upkeep:
        """The same, telling ``change`` of every changing call."""

    def facts(self) -> PoolFacts: ...

    def pool(self) -> PoolView:
        """The pool and its hosts, without guests: a short look where there are hundreds."""

    def serving(self) -> frozenset[str]:
        """Uuids of the hosts that are enabled and live."""

    def guest(self, uuid: str) -> GuestState | None: ...

    def guests_on(self, host: str) -> tuple[GuestState, ...]: ...

    def task(self, ref: str) -> TaskState | None: ...

    def high_availability(self) -> HighAvailability | None: ...

    def has_pool_update(self, host: str, update: str) -> bool: ...

    def guidance(self, update: str) -> tuple[str, ...]:
        """What is to be done after a pool_update."""

    def applied_hash(self, host: str) -> str: ...

    def migrate(self, guest: str, host: str, network: str) -> str: ...

    def shut_down_guest(self, guest: str) -> str: ...

    def start_guest(self, guest: str, host: str) -> str: ...

    def resume_guest(self, guest: str, host: str) -> str: ...

    def set_host_keys(self, host: str, keys: Keys) -> None: ...

    def set_pool_keys(self, keys: Keys) -> None: ...

    def disable_ha(self) -> None: ...

    def enable_ha(self, wanted: HighAvailability) -> None: ...

    def reboot(self, host: str) -> None: ...

    def shut_down(self, host: str) -> None: ...

    def power_on(self, host: str) -> None: ...

    def restart_toolstack(self, host: str) -> None: ...

    def apply_pool_update(self, host: str, update: str) -> None: ...

    def apply_updates(self, host: str, wanted: str) -> None: ...

    def call_plugin(
        self, host: str, plugin: str, function: str, arguments: Mapping[str, str]
    ) -> None: ...


class XenUpkeep:
    """On the driver; ``change`` is called with the name of every changing call and the call."""

    def __init__(self, connection: Connection, watch: Watch, change: Change | None = None) -> None:
        self._connection = connection
        self._watch = watch
        self._change: Change = change or (lambda _method, call: call())
        self._guests = Guests(connection)

    def recorded(self, change: Change) -> XenUpkeep:
        """The same, telling ``change``."""
        return XenUpkeep(self._connection, self._watch, change)

    def facts(self) -> PoolFacts:
        return facts.read(self._connection)

    def pool(self) -> PoolView:
        return observe.observe(self._connection, guests=False)

    def serving(self) -> frozenset[str]:
        return facts.serving(self._connection)

    def guest(self, uuid: str) -> GuestState | None:
        return self._guests.find(uuid)

    def guests_on(self, host: str) -> tuple[GuestState, ...]:
        return self._guests.on(host)

    def task(self, ref: str) -> TaskState | None:
        return self._guests.task(ref)

    def high_availability(self) -> HighAvailability | None:
        return settings.high_availability(self._connection)

    def has_pool_update(self, host: str, update: str) -> bool:
        return updates.has_pool_update(self._connection, host, update)

    def guidance(self, update: str) -> tuple[str, ...]:
        return updates.guidance(self._connection, update)

    def applied_hash(self, host: str) -> str:
        return updates.applied_hash(self._connection, host)

    def migrate(self, guest: str, host: str, network: str) -> str:
        return self._change("VM.pool_migrate", lambda: self._guests.migrate(guest, host, network))

    def shut_down_guest(self, guest: str) -> str:
        return self._change("VM.clean_shutdown", lambda: self._guests.shut_down(guest))

    def start_guest(self, guest: str, host: str) -> str:
        return self._change("VM.start_on", lambda: self._guests.start_on(guest, host))

    def resume_guest(self, guest: str, host: str) -> str:
        return self._change("VM.resume_on", lambda: self._guests.resume_on(guest, host))

    def set_host_keys(self, host: str, keys: Keys) -> None:
        self._change(
            "host.set_other_config", lambda: settings.set_host_keys(self._connection, host, keys)
        )

    def set_pool_keys(self, keys: Keys) -> None:
        self._change(
            "pool.set_other_config", lambda: settings.set_pool_keys(self._connection, keys)
        )

    def disable_ha(self) -> None:
        self._change(
            "pool.disable_ha", lambda: settings.disable_ha(self._connection, watch=self._watch)
        )

    def enable_ha(self, wanted: HighAvailability) -> None:
        self._change(
            "pool.enable_ha",
            lambda: settings.enable_ha(self._connection, wanted, watch=self._watch),
        )

    def reboot(self, host: str) -> None:
        self._change("host.reboot", lambda: power.reboot(self._connection, host, watch=self._watch))

    def shut_down(self, host: str) -> None:
        self._change(
            "host.shutdown", lambda: power.shut_down(self._connection, host, watch=self._watch)
        )

    def power_on(self, host: str) -> None:
        self._change(
            "host.power_on", lambda: power.power_on(self._connection, host, watch=self._watch)
        )

    def restart_toolstack(self, host: str) -> None:
        self._change(
            "host.restart_agent",
            lambda: power.restart_toolstack(self._connection, host, watch=self._watch),
        )

    def apply_pool_update(self, host: str, update: str) -> None:
        self._change(
            "pool_update.apply",
            lambda: updates.apply_pool_update(self._connection, host, update),
        )

    def apply_updates(self, host: str, wanted: str) -> None:
        self._change(
            "host.apply_updates", lambda: updates.apply_updates(self._connection, host, wanted)
        )

    def call_plugin(
        self, host: str, plugin: str, function: str, arguments: Mapping[str, str]
    ) -> None:
        self._change(
            "host.call_plugin",
            lambda: updates.call_plugin(self._connection, host, plugin, function, arguments),
        )
