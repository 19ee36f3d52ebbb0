"""Events of a site: what happens when, as site files, the command line and tests say it.

An event is a mapping with one of these keys, and the arguments that go with it::

    {fault: power-off, host: host2}                     # changes.VERBS
    {wire: drop-after, host: host2, method: pool.join}  # faults.ACTIONS
    {change: flag, host: host2, flag: disabled}         # set_up.CHANGES
    {guest: migrate, name: web1, host: host3}           # outsider.GUEST_VERBS
    {call: pool.set_name_label, host: host1, args: [$pool, theirs]}

``at`` tells when, in seconds of the simulated hosts after the start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from nova_aggregates.simulator import changes, outsider
from nova_aggregates.simulator.errors import ApiError, ProcessGone
from nova_aggregates.simulator.faults import ACTIONS
from nova_aggregates.simulator.set_up import CHANGES
from nova_aggregates.simulator.site import Site

LOG = logging.getLogger(__name__)
KINDS: dict[str, Callable[[], Iterable[str]]] = {
    "fault": lambda: changes.VERBS,
    "wire": lambda: ACTIONS,
    "change": lambda: CHANGES,
    "guest": lambda: outsider.GUEST_VERBS,
    "call": lambda: (),
}


class BadEvent(ValueError):
    """A sentence for the user."""


@dataclass(frozen=True)
class Event:
    """``kind`` is a key of ``KINDS``, ``what`` its value, ``more`` the other arguments."""

    kind: str
    what: str
    more: dict[str, Any]
    at: float = 0.0


def parse(given: object) -> Event:
    """Raises BadEvent."""
    if not isinstance(given, Mapping):
        raise BadEvent(f"an event is a mapping such as {{fault: power-off, host: host2}}: {given}")
    kinds = [k for k in KINDS if k in given]
    if len(kinds) != 1:
        raise BadEvent(f"an event has one of {', '.join(KINDS)}: {dict(given)}")
    (kind,) = kinds
    what, known = str(given[kind]), list(KINDS[kind]())
    if known and what not in known:
        raise BadEvent(f"unknown {kind} {what}; known: {', '.join(known)}")
    if "host" not in given and kind != "guest":
        raise BadEvent(f"{kind} {what}: say which host")
    if kind == "guest" and "name" not in given:
        raise BadEvent(f"guest {what}: say which guest by its name")
    try:
        at = float(given.get("at", 0))
    except (TypeError, ValueError):
        raise BadEvent(f"{kind} {what}: at is a number of seconds, not {given['at']}") from None
    for inner in given.get("then", ()) if kind == "wire" else ():
        parse(inner)
    return Event(kind, what, {k: v for k, v in given.items() if k not in (kind, "at")}, at)


def parse_text(text: str) -> Event:
    """An event as a YAML mapping, with or without the braces. Raises BadEvent."""
    try:
        given = yaml.safe_load(text if text.lstrip().startswith("{") else f"{{{text}}}")
    except yaml.YAMLError:
        raise BadEvent(f"no event: {text}; write such as 'fault: power-off, host: host2'") from None
    return parse(given)


async def perform(site: Site, event: Event) -> Any:
    """Now. Raises LookupError, ValueError, TypeError, ApiError."""
    more = event.more
    if event.kind == "fault":
        return await changes.fault(site, event.what, more["host"])
    if event.kind == "wire":
        return changes.wire(site, {**more, "action": event.what})
    if event.kind == "change":
        return await changes.change(site, {**more, "change": event.what})
    if event.kind == "guest":
        rest = {k: v for k, v in more.items() if k != "name"}
        return await changes.guest(site, {**rest, "guest": more["name"], "verb": event.what})
    machine = changes.machine_of(site, more["host"])
    return await outsider.call(machine, event.what, *more.get("args", ()))


async def perform_later(site: Site, event: Event, seconds: float) -> None:
    """After so many virtual seconds. What goes wrong is logged."""
    await site.clock.sleep(seconds)
    try:
        await perform(site, event)
    except (LookupError, ValueError, TypeError, ApiError, ProcessGone) as error:
        LOG.warning("event %s %s failed: %s", event.kind, event.what, error)


def schedule(site: Site, events: Iterable[Event]) -> None:
    """Each at its time from now on."""
    for event in events:
        site.background(perform_later(site, event, event.at))
