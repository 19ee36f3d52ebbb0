"""What tests and operators do to a site from outside: faults of machines, changes of the set-up."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from nova_aggregates.simulator import furnishing, hosts, lifecycle, outsider, records
from nova_aggregates.simulator.faults import ACTIONS, WireFault
from nova_aggregates.simulator.machine import Machine, Power
from nova_aggregates.simulator.set_up import CHANGES
from nova_aggregates.simulator.site import Site


def machine_of(site: Site, name: str) -> Machine:
    """By inventory name, by letter (A is the first) or by number. Raises LookupError."""
    found = site.resolve(name)
    if found is not None:
        return found
    position = ord(name) - ord("A") if len(name) == 1 and name.isalpha() else -1
    if name.isdigit():
        position = int(name) - 1
    if 0 <= position < len(site.machines):
        return site.machines[position]
    raise LookupError(f"host {name}")


async def fault(site: Site, verb: str, host: str) -> None:
    """Do something to a machine. Raises LookupError for an unknown verb or host."""
    if verb not in VERBS:
        raise LookupError(f"fault {verb}")
    await VERBS[verb](machine_of(site, host))


async def _power_off(machine: Machine) -> None:
    lifecycle.power_off(machine)
    await machine.listener.refuse()


async def _power_on(machine: Machine) -> None:
    if machine.power is Power.OFF:
        hosts.switch_on(machine)


async def _kill_toolstack(machine: Machine) -> None:
    machine.kill_process()
    machine.live(_revive(machine))


async def _revive(machine: Machine) -> None:
    await machine.listener.close_softly()
    await machine.clock.sleep(machine.profile.timings.kill_restart)
    await lifecycle.start(machine, cold=False)


async def _freeze(machine: Machine) -> None:
    machine.thawed.clear()


async def _thaw(machine: Machine) -> None:
    machine.thawed.set()


async def _unplug(machine: Machine) -> None:
    machine.plugged = False


async def _replug(machine: Machine) -> None:
    machine.plugged = True


async def _first_boot(machine: Machine) -> None:
    """What the distribution's first-boot scripts do: scan for interfaces, configure one."""
    if not machine.disk.first_boot:
        return
    machine.disk.first_boot = False
    db = furnishing.own_database(machine)
    if not db.tables["PIF"]:
        records.create_pool_network(db, machine, db.master)


VERBS: dict[str, Callable[[Machine], Awaitable[None]]] = {
    "power-off": _power_off,
    "power-on": _power_on,
    "press-power": _power_on,
    "kill-toolstack": _kill_toolstack,
    "freeze": _freeze,
    "thaw": _thaw,
    "unplug": _unplug,
    "replug": _replug,
    "first-boot": _first_boot,
}


def wire(site: Site, given: dict[str, Any]) -> None:
    """Spoil calls to come. Raises LookupError for an unknown host, ValueError for a bad field."""
    unknown = set(given) - {f.name for f in dataclasses.fields(WireFault)}
    missing = {"host", "method", "action"} - set(given)
    if unknown or missing:
        what = f"unknown {sorted(unknown)}" if unknown else f"missing {sorted(missing)}"
        raise ValueError(f"wire fault: {what}")
    if given["action"] not in ACTIONS:
        raise ValueError(f"unknown action {given['action']}; known: {', '.join(ACTIONS)}")
    lists = {k: tuple(v) for k, v in given.items() if k in ("error", "fields", "then")}
    host = given["host"] if given["host"] == "*" else machine_of(site, given["host"]).name
    site.faults.wire.append(WireFault(**{**given, **lists, "host": host}))


async def guest(site: Site, given: dict[str, Any]) -> None:
    """What an outside administrator does to a guest: verb, guest and perhaps host, wait.

    With ``wait`` false it goes on by itself. Raises LookupError, ValueError, ApiError.
    """
    host = machine_of(site, given["host"]) if given.get("host") else None
    work = outsider.guest(site, given["verb"], given["guest"], host)
    if given.get("wait", True):
        await work
        return
    site.background(work)


async def change(site: Site, given: dict[str, Any]) -> Any:
    """Alter the set-up. ``change`` names what; the rest are its arguments."""
    arguments = dict(given)
    name = arguments.pop("change")
    if name not in CHANGES:
        raise LookupError(f"change {name}")
    host = arguments.pop("host", "")
    return await CHANGES[name](machine_of(site, host), **arguments)
