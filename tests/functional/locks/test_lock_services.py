"""Every lock service of the documentation, for real: one holder at a time, and one who lost his
lock knows it before he acts."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
import textwrap
import time
import uuid
import warnings
from collections.abc import Iterator

import etcd3gw
import pytest
import redis
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from nova_aggregates.exceptions import ConfigurationInvalid, LockLost
from nova_aggregates.flows.locks import AggregateLock, Locks
from tests.lock_services import KINDS, lock_service
from tests.unit.flows.bench import until

SHORT = 2  # seconds until a lease expires

OTHER = """
    import sys, warnings
    warnings.simplefilter("ignore")
    import nova_aggregates.cmd.green
    from nova_aggregates.flows.locks import Locks
    locks, held = Locks(sys.argv[1], namespace=sys.argv[2]), {}
    for line in sys.stdin:
        verb, number = line.split()
        if verb == "take":
            held[number] = locks.acquire(int(number))
            print("yes" if held[number] else "no", flush=True)
        else:
            held.pop(number).release()
            print("released", flush=True)
"""


class Service:
    """:param url: of the lock service"""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.url = url
        self.namespace = f"test-{uuid.uuid4().hex[:12]}"

    def locks(self) -> Locks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return Locks(self.url, namespace=self.namespace)

    def take_away(self, number: int) -> None:
        """What a restart of the service or a partition of the network does to a held lock."""
        name = f"{self.namespace}-aggregate-{number}"
        if self.kind == "redis":
            assert redis.Redis.from_url(self.url.partition("?")[0]).delete(f"_tooz_{name}_lock")
        elif self.kind == "etcd":
            parts = make_url(self.url)
            assert etcd3gw.client(host=parts.host, port=parts.port).delete(f"/tooz/locks{name}")
        else:
            self._end_connections()

    def _end_connections(self) -> None:
        url = make_url(self.url)
        driver = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}[self.kind]
        engine = sa.create_engine(
            url.set(drivername=driver), future=True, poolclass=sa.pool.NullPool
        )
        with engine.connect() as connection:
            if self.kind == "postgresql":
                connection.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
                return
            mine = "SELECT id FROM information_schema.processlist WHERE db = :db"
            for (number,) in connection.execute(
                sa.text(f"{mine} AND id <> CONNECTION_ID()"), {"db": url.database}
            ).all():
                connection.execute(sa.text(f"KILL {number}"))


@pytest.fixture(scope="module", params=KINDS)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with lock_service(request.param, tmp_path_factory.mktemp("locks"), SHORT) as url:
        yield Service(request.param, url)


@pytest.fixture
def locks(service: Service) -> Iterator[Locks]:
    locks = service.locks()
    yield locks
    locks.close()


class Other:
    """A manager's process, green as it is."""

    def __init__(self, service: Service) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                textwrap.dedent(OTHER),
                service.url,
                service.namespace,
            ],
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


@pytest.fixture(scope="module")
def other(service: Service) -> Iterator[Other]:
    other = Other(service)
    yield other
    other.kill()


def taken(locks: Locks, number: int) -> AggregateLock:
    lock = locks.acquire(number)
    assert lock is not None
    return lock


def test_one_holder_at_a_time(service: Service, locks: Locks, other: Other) -> None:
    mine = taken(locks, 1)
    assert locks.acquire(1) is None
    assert other.ask("take 1") == "no"
    assert other.ask("take 2") == "yes"
    assert locks.acquire(2) is None
    mine.confirm()
    mine.release()
    assert other.ask("take 1") == "yes"
    assert locks.acquire(1) is None
    assert other.ask("release 1") == "released"
    assert other.ask("release 2") == "released"
    taken(locks, 1).release()


def test_a_lock_lasts_longer_than_its_lease(service: Service, locks: Locks, other: Other) -> None:
    if service.kind not in ("redis", "etcd"):
        pytest.skip("its locks have no lease")
    mine = taken(locks, 3)
    end = time.monotonic() + 2 * SHORT
    while time.monotonic() < end:
        assert other.ask("take 3") == "no"
        time.sleep(0.2)  # the lease must have its time
    mine.confirm()
    mine.release()


def test_who_lost_his_lock_is_told(service: Service, locks: Locks) -> None:
    if service.kind == "file":
        pytest.skip("only the death of the process takes a file's lock away")
    mine, another = taken(locks, 4), taken(locks, 5)
    service.take_away(4)
    with pytest.raises(LockLost):
        mine.confirm()
    with pytest.raises(LockLost):
        mine.renew()
    # What was lost is not given back: it may be somebody else's by now.
    second = service.locks()
    theirs = taken(second, 4)
    mine.release()
    theirs.confirm()
    theirs.release()
    second.close()
    if service.kind in ("redis", "etcd"):  # the others lost all their connections
        another.renew()
    another.release()


def test_the_locks_of_a_killed_process_come_free(service: Service, locks: Locks) -> None:
    victim = Other(service)
    assert victim.ask("take 6") == "yes"
    assert locks.acquire(6) is None
    victim.kill()
    found: list[AggregateLock | None] = []
    until(lambda: bool(found.append(locks.acquire(6)) or found[-1]))
    assert found[-1] is not None
    found[-1].release()


def test_different_aggregates_never_wait_for_each_other(service: Service, locks: Locks) -> None:
    """tooz's PostgreSQL driver would make two bytes of a name, the same for both of these."""
    known: dict[bytes, int] = {}
    for number in itertools.count(10):
        name = f"{service.namespace}-aggregate-{number}"
        digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()[:2]
        if digest in known:
            break
        known[digest] = number
    held = [taken(locks, known[digest]), taken(locks, number)]
    for lock in held:
        lock.release()


@pytest.mark.parametrize(
    "bad",
    [
        "zookeeper://127.0.0.1",
        "redis://user:hunter2@127.0.0.1:1",
        "etcd3+http://127.0.0.1:1",
        "postgresql://user:hunter2@127.0.0.1:1/nowhere",
        "mysql://user:hunter2@127.0.0.1:1/nowhere",
    ],
)
def test_a_service_that_cannot_be_used_is_told_without_its_password(bad: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        Service("", bad).locks()
    assert "[coordination] backend_url" in str(caught.value)
    assert "hunter2" not in str(caught.value)
