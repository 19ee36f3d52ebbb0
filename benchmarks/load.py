"""A load generator that takes little of the cores which it shares with the server: one thread over
non-blocking sockets, keep-alive, one request in flight on each connection."""

from __future__ import annotations

import dataclasses
import os
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
ANSWER_SECONDS = 120  # without one it is given up


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


# Yields the bytes of requests, is sent the answers, raises Wrong for a bad one.
Conversation = Generator[bytes, Answer, None]


class Wrong(Exception):
    """An answer that a correct server would not give."""


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float  # of the server's processes, for each request

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def request(
    method: str, host: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> bytes:
    """One request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class _Connection:
    def __init__(self, address: tuple[str, int], conversation: Conversation) -> None:
        self.conversation = conversation
        self.closing = False  # the server ends the connection after this answer
        self._address = address
        self.socket = self._open(address)
        self.since = 0.0
        self._buffer = bytearray()
        self._end: int | None = None  # of the answer, as soon as it is known
        self._head = 0
        self._status = 0

    @staticmethod
    def _open(address: tuple[str, int]) -> socket.socket:
        opened = socket.create_connection(address, timeout=ANSWER_SECONDS)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def open_again(self) -> None:
        """uwsgi, for one, ends each connection after one request."""
        self.socket.close()
        self.socket = self._open(self._address)

    def send(self, message: bytes) -> None:
        self._buffer.clear()
        self._end = None
        self.since = time.perf_counter()
        self.socket.sendall(message)

    def receive(self) -> Answer | None:
        """The answer when it is whole."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise Wrong("the server closed the connection")
        self._buffer += data
        if self._end is None and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            self._head = end + 4
            head = bytes(self._buffer[:end]).lower()
            self._status = int(head[9:12])
            self._end = self._head + _length(head)
            self.closing = head.startswith(b"http/1.0") or b"\r\nconnection: close" in head
        if self._end is None or len(self._buffer) < self._end:
            return None
        return Answer(self._status, bytes(self._buffer[self._head : self._end]))


def _length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found and head[9:12] not in (b"204", b"304"):
        raise Wrong("an answer without Content-Length")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def drive(
    address: tuple[str, int],
    conversations: Iterable[Conversation],
    seconds: float,
    pids: Iterable[int] = (),
    at_least: int = 1,
    between: Callable[[], None] | None = None,
) -> Measured:
    """Run all ``conversations`` at once, for ``seconds`` and until ``at_least`` requests are
    answered.

    :param pids: processes of the server, whose children count too.
    :param between: called before each request; its time does not count.
    :raises Wrong: an answer was wrong.
    """
    selector = selectors.DefaultSelector()
    pids = tuple(pids)
    times: list[float] = []
    paused = 0.0
    cpu = cpu_seconds(pids)
    begun = time.perf_counter()
    for conversation in conversations:
        if between:
            between()
        connection = _Connection(address, conversation)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(next(conversation))
    while selector.get_map():
        events = selector.select(ANSWER_SECONDS)
        if not events:
            raise Wrong(f"no answer within {ANSWER_SECONDS} s")
        for key, _ in events:
            connection = key.data
            answer = connection.receive()
            if answer is None:
                continue
            now = time.perf_counter()
            times.append(now - connection.since)
            following = connection.conversation.send(answer)
            if now - begun - paused >= seconds and len(times) >= at_least:
                selector.unregister(connection.socket)
                connection.socket.close()
                continue
            if between:
                since = time.perf_counter()
                between()
                paused += time.perf_counter() - since
            if connection.closing:
                selector.unregister(connection.socket)
                connection.open_again()
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(following)
    took = time.perf_counter() - begun - paused
    spent = cpu_seconds(pids) - cpu
    return Measured(
        requests=len(times),
        seconds=took,
        p50_ms=1000 * statistics.median(times),
        p99_ms=1000 * sorted(times)[int(0.99 * (len(times) - 1))],
        cpu_ms=1000 * spent / len(times),
    )


def processes(pids: Iterable[int]) -> list[int]:
    """``pids`` and all their descendants that live."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, waiting = [], list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time that ``pids`` and their descendants have used."""
    stats = (_stat(pid) for pid in processes(pids))
    return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) / CLOCK_TICKS


def memory_mib(pids: Iterable[int]) -> float:
    """The largest resident set among ``pids`` and their descendants."""
    return max(_resident(pid) for pid in processes(pids)) / 1024


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def _stat(pid: int) -> list[str] | None:
    """The fields of proc_pid_stat(5) from the state on; None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
