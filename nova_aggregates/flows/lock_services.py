"""What the lock services that tooz speaks to ask of the holder of a lock, and how each of them says
who that is. tooz leaves both to its caller, and its drivers differ."""

from __future__ import annotations

import hashlib
import math
import socket
import struct
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tooz.locking import Lock

from nova_aggregates.exceptions import ConfigurationInvalid

CONNECT_SECONDS = 10.0


class LockService:
    """Locks that live as long as their process: files of this machine.

    ``expires``: seconds without :meth:`renew` after which a lock may be somebody else's; 0 when it
    goes with its connection. ``beat``: seconds between two renewals; None: none is needed.
    """

    expires = math.inf
    beat: float | None = None

    @classmethod
    def reach(cls, url: str) -> None:
        """Fail early where the driver would take long.

        :raises OSError: it does not answer.
        """

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator

    def lock(self, name: str) -> Lock:
        """A lock, not yet acquired."""
        found: Lock = self._coordinator.get_lock(name.encode())
        return found

    def is_free(self, lock: Lock) -> bool:
        """False when it is certain, without an attempt, that somebody has it."""
        return True

    def taken(self, lock: Lock) -> str:
        """Called once after it was acquired; what tells this holder from the next."""
        return ""

    def renew(self, lock: Lock) -> None:
        """Make it last for another ``expires`` seconds."""

    def is_mine(self, lock: Lock, proof: str) -> bool:
        """What the lock service says.

        :param proof: what :meth:`taken` returned.
        """
        return True


class _Leased(LockService):
    def __init__(self, coordinator: Any) -> None:
        super().__init__(coordinator)
        self.expires = float(coordinator.lock_timeout)
        # Two renewals in a row may fail.
        self.beat = self.expires / 4

    def renew(self, lock: Any) -> None:
        lock.heartbeat()


class RedisService(_Leased):
    """The Redis client and tooz both repeat what failed, together for a minute."""

    @classmethod
    def reach(cls, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname and "sentinel" not in parse_qs(parts.query):
            socket.create_connection((parts.hostname, parts.port or 6379), CONNECT_SECONDS).close()

    def __init__(self, coordinator: Any) -> None:
        super().__init__(coordinator)
        from redis.backoff import NoBackoff  # an extra
        from redis.retry import Retry

        coordinator._client.set_retry(Retry(NoBackoff(), 1))

    def is_mine(self, lock: Any, proof: str) -> bool:
        return bool(lock.is_still_owner())


class EtcdService(_Leased):
    """The revision at which a key was created tells one holder from the next."""

    def is_free(self, lock: Any) -> bool:
        # Each attempt of tooz leaves a lease behind, also one in vain.
        return self._revision(lock) is None

    def taken(self, lock: Any) -> str:
        return self._revision(lock) or "lost"

    def is_mine(self, lock: Any, proof: str) -> bool:
        return self._revision(lock) == proof

    def _revision(self, lock: Any) -> str | None:
        key = lock.LOCK_PREFIX + lock.name
        found = self._coordinator.client.get(key, metadata=True)
        return str(found[0][1]["create_revision"]) if found else None


class _Connected(LockService):
    """A lock is bound to a connection of its own, which a server may end when it is idle.

    The connection belongs to a lock of tooz alone, which does not say whether it still stands.
    """

    expires = 0.0
    beat: float | None = 10.0


class PostgresqlService(_Connected):
    def lock(self, name: str) -> Lock:
        lock: Any = super().lock(name)
        # tooz makes two bytes of the name: unrelated aggregates would wait for each other.
        lock.key = struct.unpack("!ii", hashlib.sha256(lock.name).digest()[:8])
        found: Lock = lock
        return found

    def taken(self, lock: Any) -> str:
        # An open transaction would keep the server from cleaning up as long as the lock is held.
        lock._conn.commit()
        lock._conn.autocommit = True
        return ""

    def is_mine(self, lock: Any, proof: str) -> bool:
        with lock._conn.cursor() as cursor:
            cursor.execute("SELECT 1")
        return True


class MysqlService(_Connected):
    def is_mine(self, lock: Any, proof: str) -> bool:
        with lock._conn.cursor() as cursor:
            cursor.execute("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", (lock.name,))
            row = cursor.fetchone()
        return bool(row and row[0])


SERVICES: dict[str, type[LockService]] = {
    "file": LockService,
    "etcd3+http": EtcdService,
    "etcd3+https": EtcdService,
    "redis": RedisService,
    "postgresql": PostgresqlService,
    "mysql": MysqlService,
}


def service_for(url: str) -> type[LockService]:
    """The class for the scheme of a tooz URL.

    :raises ConfigurationInvalid: none of which is known how a lost lock shows.
    """
    scheme = urlsplit(url).scheme
    try:
        return SERVICES[scheme]
    except KeyError:
        raise ConfigurationInvalid(
            what=f"[coordination] backend_url has the unknown scheme {scheme or '(none)'}",
            cure=f"use one of {', '.join(SERVICES)}.",
        ) from None
