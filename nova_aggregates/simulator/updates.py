"""What there is to install at a site, and what a host has of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nova_aggregates.simulator.machine import Machine


@dataclass(frozen=True)
class Update:
    """Something that the site's repository offers.

    ``mandatory``, ``recommended`` and ``full`` are guidances such as ``reboot_host``,
    ``restart_toolstack``, ``evacuate_host``, ``restart_device_model`` and ``restart_vm``.
    ``software`` are entries of host.software_version that differ from the next start of the
    toolstack on. ``fails_on`` are names of hosts where the installation fails.
    """

    name: str
    mandatory: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    software: dict[str, str] = field(default_factory=dict)
    fails_on: tuple[str, ...] = ()


class CannotInstall(Exception):
    """An update does not install on a host. The argument is its name."""


def pending(machine: Machine) -> list[Update]:
    """What the host does not have yet."""
    return [u for u in machine.site.updates if u.name not in machine.disk.installed]


def checksum(updates: Iterable[Update]) -> str:
    """What a repository with these calls its contents."""
    return hashlib.sha256("\n".join(u.name for u in updates).encode()).hexdigest()


def install(machine: Machine, found: list[Update]) -> None:
    """Raises CannotInstall; then nothing is installed."""
    for update in found:
        if machine.name in update.fails_on:
            raise CannotInstall(update.name)
    for update in found:
        machine.disk.installed = (*machine.disk.installed, update.name)
        machine.hardware.software.update(update.software)
        machine.site.history.host("updated", machine.name, update.name)


def from_mapping(given: dict[str, Any]) -> Update:
    """Raises ValueError with a sentence for the user."""
    unknown = set(given) - {f.name for f in fields(Update)}
    if unknown or not given.get("name"):
        wrong = f"unknown {', '.join(sorted(unknown))}" if unknown else "it needs a name"
        raise ValueError(f"update {given.get('name', '')}: {wrong}")
    known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Update(**known)
