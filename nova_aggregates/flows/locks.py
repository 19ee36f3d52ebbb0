"""One lock an aggregate, over all managers that share the [coordination] backend."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from urllib.parse import urlsplit

from tooz import coordination
from tooz.locking import Lock

from nova_aggregates import metrics
from nova_aggregates.exceptions import ConfigurationInvalid, LockLost, LockServiceUnavailable
from nova_aggregates.flows.lock_services import LockService, service_for

LOG = logging.getLogger(__name__)
NAMESPACE = "nova-aggregates"


class AggregateLock:
    """Held from :meth:`Locks.acquire` to :meth:`release`, unless the lock service loses it."""

    def __init__(
        self,
        locks: Locks,
        name: str,
        service: LockService,
        lock: Lock,
        *,
        since: float,
        proof: str,
    ) -> None:
        self._locks = locks
        self._name = name
        self._service = service
        self._lock = lock
        # A connection is no place for two at a time.
        self._guard = threading.Lock()
        self._renewed = since
        self._proof = proof
        self._lost = False

    def confirm(self) -> None:
        """Do nothing if the lock is certainly held now.

        :raises LockLost: it is not, so somebody else may have it.
        """
        with self._guard:
            if not self._lost:
                self._lost = not self._is_held()
        if self._lost:
            raise LockLost(name=self._name)

    def renew(self) -> None:
        """Keep it alive, as the lock service wants it.

        :raises LockLost: it is gone already.
        """
        since = time.monotonic()
        with self._guard:
            try:
                self._service.renew(self._lock)
                self._renewed = since
            except Exception as error:  # noqa: BLE001 - each driver has its own
                # Whether that means a loss, and when, is for confirm() to say.
                LOG.debug("lock.not_renewed name=%s reason=%s", self._name, type(error).__name__)
        self.confirm()

    def release(self) -> None:
        """Give it back. If the lock service cannot be told, it expires there."""
        try:
            with self._guard:
                if not self._lost:
                    self._lock.release()
        except Exception as error:  # noqa: BLE001 - each driver has its own
            LOG.warning("lock.not_released name=%s reason=%s", self._name, type(error).__name__)
        finally:
            self._locks._forget(self._name)

    def _is_held(self) -> bool:
        try:
            return self._service.is_mine(self._lock, self._proof)
        except Exception as error:  # noqa: BLE001 - each driver has its own
            LOG.warning("lock.unconfirmed name=%s reason=%s", self._name, type(error).__name__)
            # Nobody else is given it that early.
            return time.monotonic() - self._renewed < self._service.expires


class Locks:
    """Locks of this process; those of a process that dies come free.

    A name that is held here is never tried again: some drivers (PostgreSQL, MySQL) would give it
    to the same process twice. The file driver's POSIX locks are lost as soon as the process closes
    *any* descriptor of the file; so an object that did not get its lock, and keeps a descriptor, is
    dropped at once, before another one can get it.
    """

    def __init__(self, url: str, member: str | None = None, namespace: str = NAMESPACE) -> None:
        self._held: dict[str, AggregateLock | None] = {}
        self._guard = threading.Lock()
        self._namespace = namespace
        self._stop = threading.Event()
        kind = service_for(url)
        try:
            kind.reach(url)
            self._coordinator = coordination.get_coordinator(
                url, (member or uuid.uuid4().hex).encode()
            )
            # Without tooz's own heart: it stops beating for all locks when one of them is lost.
            self._coordinator.start(start_heart=False)
            self._service = kind(self._coordinator)
        except Exception as error:  # noqa: BLE001 - each driver has its own
            # The URL may hold a password, and so may what a driver says about it.
            raise ConfigurationInvalid(
                what=f"The lock service of [coordination] backend_url ({urlsplit(url).scheme}://"
                f"...) cannot be used: {type(error).__name__}",
                cure="start it, correct the URL, install the driver (the extra etcd, redis, "
                "postgresql or mysql), or let this user write to the directory of a file:// URL",
            ) from None
        if self._service.beat is not None:
            threading.Thread(target=self._beat, name="locks", daemon=True).start()

    def acquire(self, aggregate_id: int) -> AggregateLock | None:
        """The aggregate's lock; None when somebody has it, in this process or another one.

        :raises LockServiceUnavailable: nobody can tell.
        """
        return self.acquire_named(f"aggregate-{aggregate_id}")

    def acquire_named(self, name: str) -> AggregateLock | None:
        """The same for what is no aggregate.

        :raises LockServiceUnavailable: nobody can tell.
        """
        with self._guard:
            if name in self._held:
                return None
            self._held[name] = None
        taken, outcome, since = None, "failed", time.monotonic()
        try:
            taken = self._take(name)
            outcome = "refused" if taken is None else "taken"
        except Exception as error:  # noqa: BLE001 - each driver has its own
            raise LockServiceUnavailable(reason=type(error).__name__) from None
        finally:
            metrics.LOCK_WAITS.labels(outcome).observe(time.monotonic() - since)
            if taken is None:
                self._forget(name)
        if taken is not None:
            with self._guard:
                self._held[name] = taken
        return taken

    def close(self) -> None:
        """Leave the lock service. Locks still held come free with the process."""
        self._stop.set()
        self._coordinator.stop()

    def _take(self, name: str) -> AggregateLock | None:
        lock = self._service.lock(f"{self._namespace}-{name}")
        since = time.monotonic()
        if not self._service.is_free(lock) or not lock.acquire(blocking=False):
            return None
        proof = self._service.taken(lock)
        return AggregateLock(self, name, self._service, lock, since=since, proof=proof)

    def _beat(self) -> None:
        while not self._stop.wait(self._service.beat):
            with self._guard:
                held = [lock for lock in self._held.values() if lock is not None]
            for lock in held:
                try:
                    lock.renew()
                except LockLost as reason:
                    LOG.debug("lock.lost reason=%s", reason)

    def _forget(self, name: str) -> None:
        with self._guard:
            self._held.pop(name, None)
