"""What a rolling update was asked to do, from the operation's parameters."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from nova_aggregates.objects import GuestPolicy


class Deed(enum.StrEnum):
    """What is done to each host."""

    REBOOT = "reboot"
    RESTART_TOOLSTACK = "restart_toolstack"
    POOL_UPDATE = "pool_update"
    APPLY_UPDATES = "apply_updates"
    PLUGIN = "plugin"
    WEBHOOK = "webhook"


class Reboot(enum.StrEnum):
    """Whether the host is rebooted after the deed."""

    NEVER = "never"
    REQUIRED = "required"  # when the host says that what was done needs it
    ALWAYS = "always"


class Order(enum.StrEnum):
    MASTER_FIRST = "master_first"
    MASTER_LAST = "master_last"


class MasterRole(enum.StrEnum):
    HAND_OVER = "hand_over"  # to another member, before the master is emptied
    IN_PLACE = "in_place"  # the master keeps it; nobody can work with the pool while it reboots


class GuestsBack(enum.StrEnum):
    AFTER_EACH = "after_each"
    AT_END = "at_end"
    NEVER = "never"


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    deed: Deed
    argument: Any  # of the deed
    hosts: tuple[str, ...]  # empty: all
    canary: tuple[str, ...]  # done first, one at a time
    pause_after_canary: bool
    max_unavailable: int
    order: Order
    master: MasterRole
    guests_back: GuestsBack
    reboot: Reboot
    retries: int  # of the deed at one host, after the first try
    retry_delay: float  # seconds
    deadline: float | None  # seconds for a host to come back; None: as configured
    evacuation: Mapping[str, Any]  # parameters of a MaintenanceWish

    @property
    def disturbs_guests(self) -> bool:
        """Whether the host must be empty for it."""
        return not (self.deed is Deed.RESTART_TOOLSTACK and self.reboot is not Reboot.ALWAYS)


def wish_of(parameters: Mapping[str, Any]) -> Wish:
    ((name, argument),) = parameters["do"].items()
    return Wish(
        deed=Deed(name),
        argument=argument,
        hosts=tuple(parameters.get("hosts", ())),
        canary=tuple(parameters.get("canary", ())),
        pause_after_canary=parameters.get("pause_after_canary", False),
        max_unavailable=parameters.get("max_unavailable", 1),
        order=Order(parameters.get("order", Order.MASTER_FIRST)),
        master=MasterRole(parameters.get("master", MasterRole.HAND_OVER)),
        guests_back=GuestsBack(parameters.get("guests_back", GuestsBack.AFTER_EACH)),
        reboot=Reboot(parameters.get("reboot_after", Reboot.REQUIRED)),
        retries=parameters.get("retries", 0),
        retry_delay=parameters.get("retry_delay", 30),
        deadline=parameters.get("deadline"),
        evacuation={
            "concurrency": parameters.get("concurrency"),
            "network": parameters.get("network", ""),
            "policy": parameters.get("policy", GuestPolicy.REFUSE.value),
        },
    )


def ordered(wish: Wish, members: Sequence[str], master: str) -> tuple[str, ...]:
    """The hosts in the order of the work.

    :param members: names of all hosts of the aggregate.
    :param master: name of the master.
    """
    wanted = [name for name in members if not wish.hosts or name in wish.hosts]
    canaries = [name for name in wish.canary if name in wanted or not wish.hosts]
    rest = [name for name in wanted if name not in canaries and name != master]
    if master in wanted and master not in canaries:
        rest = [master, *rest] if wish.order is Order.MASTER_FIRST else [*rest, master]
    return (*canaries, *rest)
