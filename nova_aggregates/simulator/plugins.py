"""host.call_plugin, by table: what the control domains of a site can do beyond the API.

``Machine.plugins`` has for each plugin its functions, and for each function what it does: a text
is the answer; a mapping may have ``answer``, ``seconds`` that it takes, and ``error`` (a list: the
code and its parameters).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nova_aggregates.simulator import updates
from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Machine

UPDATER = "updater.py"  # XCP-ng's way to install packages


@api("host.call_plugin")
async def call_plugin(
    call: Call, host: str, plugin: str, function: str, args: dict[str, str]
) -> str:
    """A host has the plugins that the site gives it, and no others."""
    target = (await call.machine.site.contact(call.db, host)).machine
    known = target.plugins.get(plugin)
    if known is None:
        raise ApiError("XENAPI_MISSING_PLUGIN", plugin)
    entry = known.get(function)
    if entry is None:
        text = f"'{function}' is not defined in {plugin}: {sorted(args)}"
        raise ApiError("XENAPI_PLUGIN_FAILURE", function, "UnknownFunction", text)
    if not isinstance(entry, dict):
        return str(entry)
    await call.clock.sleep(float(entry.get("seconds", 0.0)))
    if "error" in entry:
        raise ApiError(*entry["error"])
    if entry.get("built-in"):
        return BUILT_IN[plugin, function](call, host, target)
    return str(entry.get("answer", ""))


def _check_update(call: Call, host: str, target: Machine) -> str:
    """The packages that can be installed, as XCP-ng lists them."""
    del call, host
    found = [
        {"name": u.name, "version": "1", "release": "1", "description": "", "changelog": None,
         "url": "", "size": 0, "license": ""}
        for u in updates.pending(target)
    ]  # fmt: skip
    return json.dumps(found)


def _update(call: Call, host: str, target: Machine) -> str:
    """Installs all of them; no guidance is left, as the packages have none."""
    del host
    found = updates.pending(target)
    try:
        updates.install(target, found)
    except updates.CannotInstall as error:
        raise ApiError("XENAPI_PLUGIN_FAILURE", "update", "Exception", str(error)) from None
    return json.dumps({"exit": 0, "time": call.clock.stamp()})


BUILT_IN: dict[tuple[str, str], Callable[[Call, str, Machine], str]] = {
    (UPDATER, "check_update"): _check_update,
    (UPDATER, "update"): _update,
}


def add_updater(machine: Machine) -> None:
    """The host is one of XCP-ng's."""
    seconds = machine.profile.timings.apply_updates
    machine.plugins[UPDATER] = {
        "check_update": {"built-in": True, "seconds": 1.0},
        "update": {"built-in": True, "seconds": seconds},
    }


def give(machine: Machine, table: dict[str, dict[str, Any]]) -> None:
    """More plugins, or other functions of known ones. Raises ValueError for a bad entry."""
    for plugin, functions in table.items():
        if not isinstance(functions, dict):
            raise ValueError(f"plugin {plugin}: give its functions, each with an answer")
        for name, entry in functions.items():
            unknown = set(entry) - {"answer", "seconds", "error"} if isinstance(entry, dict) else ()
            if unknown:
                raise ValueError(f"plugin {plugin}, {name}: unknown {', '.join(sorted(unknown))}")
        machine.plugins[plugin] = {**machine.plugins.get(plugin, {}), **functions}
