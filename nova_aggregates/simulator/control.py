"""The control API: faults and changes from outside, over plain HTTP on the loopback only.

``POST /reset`` makes every host fresh. ``POST /fault {"verb": "power-off", "host": "A"}`` does
something to a machine, ``POST /time-scale {"scale": 20}`` changes the speed, and ``POST /wire``
with the fields of WireFault spoils calls to come. ``POST /change {"change": "add-guest", "host":
"host2", …}`` alters the site. ``POST /guest {"verb": "start", "guest": "web1"}`` and ``POST /call
{"host": "host1", "method": "pool.set_name_label", "args": ["$pool", "x"]}`` are what somebody
else does to the pools. ``POST /event`` takes all of these in the form that site files have (see
``scenario``), also for later. ``GET`` and ``DELETE /faults`` show and lift what is injected.
``GET /inventory`` tells how to reach the hosts, ``GET /pools`` how they are, ``GET
/history?since=0`` what happened, and ``GET /site`` gives the site's file, as JSON. Hosts are named
as in the inventory, by letter (A is the first) or by number from 1.
"""

from __future__ import annotations

import asyncio
import errno
import json
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

from nova_aggregates.simulator import changes, exporter, outsider, scenario, site_file
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.server import PortInUse, Simulation

ADDRESS = "127.0.0.1"
HEAD_LIMIT = 1 << 16


class Control:
    """Serves the control API of one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int) -> None:
        """Port 0 takes a free one. Raises PortInUse."""
        try:
            self._server = await asyncio.start_server(self._serve, ADDRESS, port, limit=HEAD_LIMIT)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(
                f"the control port {port} is in use at {ADDRESS}; give another --control-port"
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, answer = await self._answer(reader)
            body = json.dumps(answer).encode()
            head = (
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the caller went away
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, Any]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        verb, path, _ = head.split("\r\n", 1)[0].split(" ", 2)
        length = 0
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-length":
                length = int(value)
        try:
            given = json.loads(await reader.readexactly(length) or b"{}")
            return "200 OK", await self._do(verb, path, given)
        except LookupError as error:
            return "404 Not Found", {"error": f"not found: {error}"}
        except ApiError as error:
            return "409 Conflict", {"error": error.description}
        except (ValueError, TypeError) as error:
            return "400 Bad Request", {"error": str(error)}

    async def _do(self, verb: str, path: str, given: dict[str, Any]) -> Any:
        where, _, query = path.partition("?")
        known = ROUTES.get((verb, where))
        if known is None:
            raise LookupError(f"{verb} {where}")
        if query:
            given = {**given, **dict(urllib.parse.parse_qsl(query))}
        return await known(self._simulation, given)


async def _inventory(simulation: Simulation, given: dict[str, Any]) -> Any:
    del given
    return simulation.inventory()


async def _pools(simulation: Simulation, given: dict[str, Any]) -> Any:
    del given
    return outsider.overview(simulation.site)


async def _history(simulation: Simulation, given: dict[str, Any]) -> Any:
    return simulation.site.history.as_json(int(given.get("since", 0)))


async def _reset(simulation: Simulation, given: dict[str, Any]) -> Any:
    del given
    await simulation.reset()
    return simulation.inventory()


async def _time_scale(simulation: Simulation, given: dict[str, Any]) -> Any:
    simulation.clock.set_scale(float(given["scale"]))
    return {}


async def _fault(simulation: Simulation, given: dict[str, Any]) -> Any:
    await changes.fault(simulation.site, given["verb"], given["host"])
    return {}


async def _wire(simulation: Simulation, given: dict[str, Any]) -> Any:
    changes.wire(simulation.site, given)
    return {}


async def _change(simulation: Simulation, given: dict[str, Any]) -> Any:
    return await changes.change(simulation.site, given)


async def _guest(simulation: Simulation, given: dict[str, Any]) -> Any:
    await changes.guest(simulation.site, given)
    return {}


async def _event(simulation: Simulation, given: dict[str, Any]) -> Any:
    event = scenario.parse(given)
    if event.at:
        scenario.schedule(simulation.site, [event])
        return {}
    return await scenario.perform(simulation.site, event) or {}


async def _site(simulation: Simulation, given: dict[str, Any]) -> Any:
    del given
    return site_file.to_mapping(exporter.of_simulation(simulation.site, simulation.plan))


async def _faults(simulation: Simulation, given: dict[str, Any]) -> Any:
    del given
    return simulation.site.faults.as_json()


async def _no_faults(simulation: Simulation, given: dict[str, Any]) -> Any:
    del given
    simulation.site.faults.clear()
    return {}


async def _call(simulation: Simulation, given: dict[str, Any]) -> Any:
    machine = changes.machine_of(simulation.site, given["host"])
    return await outsider.call(machine, given["method"], *given.get("args", ()))


ROUTES: dict[tuple[str, str], Callable[[Simulation, dict[str, Any]], Awaitable[Any]]] = {
    ("GET", "/inventory"): _inventory,
    ("GET", "/pools"): _pools,
    ("GET", "/history"): _history,
    ("GET", "/site"): _site,
    ("GET", "/faults"): _faults,
    ("DELETE", "/faults"): _no_faults,
    ("POST", "/event"): _event,
    ("POST", "/reset"): _reset,
    ("POST", "/time-scale"): _time_scale,
    ("POST", "/fault"): _fault,
    ("POST", "/wire"): _wire,
    ("POST", "/change"): _change,
    ("POST", "/guest"): _guest,
    ("POST", "/call"): _call,
}
