"""The HTTPS front end of a simulated host: HTTP as xapi's own server speaks it (observed)."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from nova_aggregates.simulator.machine import Machine, Power

BODY_LIMIT = 300 * 1024
RESET_ABOVE = 312 * 1024  # far above the limit the connection is cut instead
TLS_HANDSHAKE = 0x16
NO_CACHE = ("cache-control", "no-cache, no-store")
CORS = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Headers", "X-Requested-With"))


@dataclass
class Request:
    verb: str
    path: str
    version: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def keep_alive(self) -> bool:
        if self.version == "HTTP/1.0":
            return self.headers.get("connection", "").lower() == "keep-alive"
        return self.headers.get("connection", "").lower() != "close"


@dataclass
class Response:
    status: str
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: bool = False
    cut: int | None = None  # send only so many bytes of the body, then close


Handler = Callable[[Machine, Request], Awaitable[Response | None]]


class Door(enum.Enum):
    OPEN = "open"
    CLOSING = "accepts connections and closes them, as while xapi restarts"
    SHUT = "refuses connections"


class FrontEnd:
    """Listens at the host's address for as long as the host wants it to."""

    def __init__(
        self, machine: Machine, port: int, handler: Handler, *, plain_port: int | None = None
    ) -> None:
        self.machine = machine
        self.port = port
        self.plain_port = plain_port
        self._handler = handler
        self._context: ssl.SSLContext = machine.certificate.context()
        self._servers: list[asyncio.Server] = []
        self._door = Door.SHUT
        self._connections: set[asyncio.Task[None]] = set()

    def use_certificate(self) -> None:
        """Show the machine's present certificate to new connections."""
        self._context = self.machine.certificate.context()

    async def open(self) -> None:
        self._door = Door.OPEN
        await self._listen()

    async def close_softly(self) -> None:
        self._door = Door.CLOSING
        self._cut()
        await self._listen()

    async def refuse(self) -> None:
        self._door = Door.SHUT
        self._cut()
        for server in self._servers:
            server.close()
        self._servers = []

    async def _listen(self) -> None:
        if self._servers:
            return
        for port, accept in ((self.port, self._accept_tls), (self.plain_port, self._accept)):
            if port is not None:
                server = await asyncio.start_server(
                    accept, self.machine.address, port, backlog=800, limit=1 << 20
                )
                self._servers.append(server)

    async def _accept_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._accept(reader, writer, tls=True)

    def _cut(self) -> None:
        current = asyncio.current_task()
        for task in list(self._connections):
            if task is not current:
                task.cancel()

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tls: bool = False
    ) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
        try:
            if self._door is Door.OPEN:
                await self._reachable()
                if tls:
                    await writer.start_tls(self._context)
                await self._converse(reader, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that goes away or speaks nonsense is no concern of the host's
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            if task is not None:
                self._connections.discard(task)
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await self._read(reader, writer)
            if request is None:
                return
            await self._reachable()
            response = await self._handler(self.machine, request)
            if response is None:
                return
            await self._reachable()
            if not await self._write(writer, request, response):
                return

    async def _reachable(self) -> None:
        """A frozen machine, or one without a cable, takes the connection and says nothing."""
        await self.machine.thawed.wait()
        while not self.machine.plugged or self.machine.power is Power.OFF:
            await asyncio.sleep(0.05)

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/"):
            await reader.read()  # what is no HTTP is never answered
            return None
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        request = Request(parts[0], parts[1], parts[2], headers)
        length = int(headers.get("content-length", "0") or 0)
        if length > RESET_ABOVE:
            writer.transport.abort()
            return None
        request.body = await reader.readexactly(length)
        return request

    async def _write(
        self, writer: asyncio.StreamWriter, request: Request, response: Response
    ) -> bool:
        """Send the answer; whether the connection goes on."""
        keep = request.keep_alive and not response.close
        head = [f"{request.version} {response.status}", f"content-length: {len(response.body)}"]
        content = [h for h in response.headers if h[0] == "content-type"]
        rest = [h for h in response.headers if h[0] != "content-type"]
        if response.close:
            head += [f"{n}: {v}" for n, v in content]
            content = []
        head.append(f"connection: {'keep-alive' if keep else 'close'}")
        head += [f"{n}: {v}" for n, v in (NO_CACHE, *content, *rest)]
        data = "\r\n".join([*head, "", ""]).encode("latin-1")
        body = response.body if response.cut is None else response.body[: response.cut]
        writer.write(data + body)
        await writer.drain()
        return keep and response.cut is None
