"""Virtual time for threads beside an event loop: nobody waits, and nothing depends on the machine.

The simulated hosts run in a loop whose clock stands still. It moves on, to the next moment for
which anybody waits, only when every thread that takes part is itself waiting and no byte is on its
way. All that a thread can wait for, a pause, an event, another thread, an answer from a host, is a
coroutine in the same loop, so the loop knows.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import http.client
import selectors
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

GRACE = 0.0005  # real seconds for a byte to cross the loopback before time moves on
LOOK = 0.005  # real seconds between looks while a thread is working


class _Selector(selectors.BaseSelector):
    """Instead of waiting for a timer it lets time move on, when all are waiting."""

    def __init__(self, lockstep: Lockstep) -> None:
        self._lockstep = lockstep
        self._inner = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        while True:
            events = self._inner.select(0)
            if events or (timeout is not None and timeout <= 0):
                return events
            if not self._lockstep.all_wait() or timeout is None:
                events = self._inner.select(LOOK)
                if events:
                    return events
                continue
            events = self._inner.select(GRACE)
            if events:
                return events
            if self._lockstep.all_wait():
                self._lockstep.now += timeout
                return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Any:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, lockstep: Lockstep) -> None:
        self._lockstep = lockstep
        super().__init__(_Selector(lockstep))
        # A timer may be due a little late; the clock is moved just beyond it.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._lockstep.now


class Lockstep:
    """Make one in the thread that takes part first; it counts as working until it waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self._working = 1
        self._lock = threading.Lock()
        self.loop = _Loop(self)
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()

    def all_wait(self) -> bool:
        return self._working == 0

    def count(self, change: int) -> None:
        with self._lock:
            self._working += change

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for something in the loop. The thread counts as waiting until it is done."""
        result: concurrent.futures.Future[Any] = concurrent.futures.Future()

        async def play() -> None:
            try:
                value = await work
            except BaseException as error:  # noqa: BLE001 it is the waiting thread's
                self.count(1)
                result.set_exception(error)
            else:
                self.count(1)
                result.set_result(value)

        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(play()))
        self.count(-1)
        return result.result()

    def sleep(self, seconds: float) -> None:
        self.run(asyncio.sleep(max(0.0, seconds)))

    def monotonic(self) -> float:
        return self.now

    def event(self) -> Event:
        return Event(self)

    def thread_class(self) -> type[threading.Thread]:
        """Threads that take part: they work from their start to their end."""
        lockstep = self

        class Thread(threading.Thread):
            def start(self) -> None:
                self._finished = lockstep.event()
                self._work, self.run = self.run, self._take_part  # type: ignore[method-assign]
                lockstep.count(1)
                super().start()

            def _take_part(self) -> None:
                try:
                    self._work()
                finally:
                    self._finished.set()
                    lockstep.count(-1)

            def join(self, timeout: float | None = None) -> None:
                self._finished.wait(timeout)

        return Thread


class Event:
    """As threading's, in virtual time."""

    def __init__(self, lockstep: Lockstep) -> None:
        self._lockstep = lockstep
        self._event = asyncio.Event()

    def set(self) -> None:
        self._lockstep.loop.call_soon_threadsafe(self._event.set)

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self._lockstep.run(self._wait(timeout)))

    async def _wait(self, timeout: float | None) -> bool:
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return False
        return True


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def read(self) -> bytes:
        return self.body


class Wire:
    """A client in the loop: one connection an exchange, all waits in virtual seconds."""

    def __init__(self, lockstep: Lockstep) -> None:
        self._lockstep = lockstep
        self._context = _context()

    def connection(self, address: str, port: int, timeout: float) -> Connection:
        return Connection(self, address, port, timeout)

    def exchange(
        self, address: str, port: int, data: bytes, timeout: float, *, tls: bool
    ) -> tuple[bytes, bytes]:
        """Head and body of what comes back. Raises OSError, TimeoutError."""
        work = self._exchange(address, port, data, timeout, self._context if tls else None)
        head, body = self._lockstep.run(work)
        return head, body

    async def _exchange(
        self, address: str, port: int, data: bytes, timeout: float, context: ssl.SSLContext | None
    ) -> tuple[bytes, bytes]:
        opening = asyncio.open_connection(
            address, port, ssl=context, ssl_handshake_timeout=timeout if context else None
        )
        reader, writer = await asyncio.wait_for(opening, timeout)
        try:
            writer.write(data)
            await asyncio.wait_for(writer.drain(), timeout)
            return await _answer(reader, timeout)
        finally:
            writer.transport.abort()


async def _answer(reader: asyncio.StreamReader, timeout: float) -> tuple[bytes, bytes]:
    """Until the length that the head tells; without one until the end, or until nothing comes."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = await asyncio.wait_for(reader.read(65536), timeout)
        if not more:
            break
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    length = _length(head)
    while length is None or len(body) < length:
        try:
            more = await asyncio.wait_for(reader.read(65536), timeout)
        except TimeoutError:
            break
        if not more:
            break
        body += more
    return head, body


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return None


class Connection:
    """What the recordings' tool uses of http.client.HTTPConnection.

    Without TLS: thousands of handshakes would be most of the work.
    """

    def __init__(self, wire: Wire, address: str, port: int, timeout: float) -> None:
        self._exchange: Callable[[bytes], tuple[bytes, bytes]] = lambda data: wire.exchange(
            address, port, data, timeout, tls=False
        )
        self._host = address
        self._data = b""

    def request(self, verb: str, path: str, body: bytes | str, headers: dict[str, str]) -> None:
        content = body.encode() if isinstance(body, str) else body
        lines = [f"{verb} {path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(content)}")
        self._data = "\r\n".join([*lines, "", ""]).encode() + content

    def getresponse(self) -> Answer:
        head, body = self._exchange(self._data)
        if not head:
            raise http.client.RemoteDisconnected("no answer")
        return Answer(int(head.split(b" ", 2)[1]), body)

    def close(self) -> None:
        """Each exchange has closed its own."""
