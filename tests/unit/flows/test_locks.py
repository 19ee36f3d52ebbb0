from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_aggregates.exceptions import ConfigurationInvalid
from nova_aggregates.flows.locks import AggregateLock, Locks
from tests.unit.flows.bench import until


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/locks"


@pytest.fixture
def locks(url: str) -> Iterator[Locks]:
    locks = Locks(url)
    yield locks
    locks.close()


class Other:
    """A process that takes the locks that it is told."""

    CODE = """
        import sys
        from nova_aggregates.flows.locks import Locks
        locks, held = Locks(sys.argv[1]), {}
        for line in sys.stdin:
            verb, number = line.split()
            if verb == "take":
                held[number] = locks.acquire(int(number))
                print("yes" if held[number] else "no", flush=True)
            else:
                held.pop(number).release()
                print("released", flush=True)
    """

    def __init__(self, url: str, *, green: bool = False) -> None:
        head = "import nova_aggregates.cmd.green" if green else ""
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", f"{head}\n{textwrap.dedent(self.CODE)}", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, words: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(params=["threads", "green threads"])
def other(url: str, request: pytest.FixtureRequest) -> Iterator[Other]:
    other = Other(url, green=request.param == "green threads")
    yield other
    other.kill()


def test_one_holder_at_a_time_among_threads(url: str, locks: Locks) -> None:
    """Of one manager or of two in one process, as tests and embedders have them."""
    second = Locks(url)
    inside: list[int] = []
    most: list[int] = []
    won: list[int] = []
    barrier = threading.Barrier(8)

    def compete(mine: Locks, number: int) -> None:
        barrier.wait()
        for _ in range(200):
            lock = mine.acquire(1)
            if lock is None:
                continue
            inside.append(number)
            most.append(len(inside))
            won.append(number)
            inside.remove(number)
            lock.release()

    threads = [
        threading.Thread(target=compete, args=(locks if number % 2 else second, number))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.close()
    assert max(most) == 1
    assert len(won) > 8


def test_one_holder_at_a_time_among_processes(locks: Locks, other: Other) -> None:
    mine = locks.acquire(1)
    assert isinstance(mine, AggregateLock)
    assert locks.acquire(1) is None
    assert other.ask("take 1") == "no"
    assert other.ask("take 2") == "yes"
    assert locks.acquire(2) is None
    mine.release()
    assert other.ask("take 1") == "yes"


def test_vain_attempts_do_not_loosen_a_lock(url: str, locks: Locks, other: Other) -> None:
    """POSIX locks go with the first descriptor of the file that the process closes."""
    second = Locks(url)
    assert other.ask("take 1") == "yes"
    assert all(locks.acquire(1) is None for _ in range(20))
    assert other.ask("release 1") == "released"
    mine = locks.acquire(1)
    assert mine is not None
    assert all(each.acquire(1) is None for each in (locks, second) for _ in range(20))
    gc.collect()
    second.close()
    assert other.ask("take 1") == "no"


def test_the_locks_of_a_dead_process_come_free(locks: Locks, other: Other) -> None:
    assert other.ask("take 1") == "yes"
    assert locks.acquire(1) is None
    other.kill()
    found: list[AggregateLock | None] = []
    until(lambda: bool(found.append(locks.acquire(1)) or found[-1]))


def test_a_lock_can_be_had_again(locks: Locks, other: Other) -> None:
    for _ in range(3):
        mine = locks.acquire(1)
        assert mine is not None
        mine.release()
        assert other.ask("take 1") == "yes"
        assert other.ask("release 1") == "released"


@pytest.mark.parametrize(
    "bad", ["nonsense", "redis+bad://user:hunter2@127.0.0.1", "file:///proc/nowhere/locks"]
)
def test_a_bad_url_is_told_with_its_cure_and_without_its_password(bad: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        Locks(bad)
    assert "[coordination] backend_url" in str(caught.value)
    assert "hunter2" not in str(caught.value)
