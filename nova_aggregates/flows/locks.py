"""One lock an aggregate, over all managers that share the [coordination] backend."""

from __future__ import annotations

import threading
import uuid
from urllib.parse import urlsplit

import tooz
from tooz import coordination
from tooz.locking import Lock

from nova_aggregates.exceptions import ConfigurationInvalid, LockServiceUnavailable


class AggregateLock:
    """Held from :meth:`Locks.acquire` to :meth:`release`."""

    def __init__(self, locks: Locks, name: str, lock: Lock) -> None:
        self._locks = locks
        self._name = name
        self._lock = lock

    def release(self) -> None:
        try:
            self._lock.release()
        finally:
            self._locks._forget(self._name)


class Locks:
    """Locks of this process; those of a process that dies come free.

    A name that is held here is never tried again: some drivers (PostgreSQL, MySQL) would give it
    to the same process twice. The file driver's POSIX locks are lost as soon as the process closes
    *any* descriptor of the file; so an object that did not get its lock, and keeps a descriptor, is
    dropped at once, before another one can get it.
    """

    def __init__(self, url: str, member: str | None = None) -> None:
        self._held: set[str] = set()
        self._guard = threading.Lock()
        self._member = (member or uuid.uuid4().hex).encode()
        scheme = urlsplit(url).scheme or "(none)"
        try:
            self._coordinator = coordination.get_coordinator(url, self._member)
            self._coordinator.start(start_heart=True)
        except (tooz.ToozError, OSError, RuntimeError, ImportError) as error:
            # The URL may hold a password, and so may what a driver says about it.
            raise ConfigurationInvalid(
                what=f"The lock service of [coordination] backend_url ({scheme}://...) cannot be "
                f"used: {type(error).__name__}",
                cure="start it, correct the URL, or let this user write to the directory of a "
                "file:// URL",
            ) from None

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
            self._held.add(name)
        taken = False
        try:
            lock = self._coordinator.get_lock(name.encode())
            taken = lock.acquire(blocking=False)
        except (tooz.ToozError, OSError) as error:
            raise LockServiceUnavailable(reason=type(error).__name__) from None
        finally:
            if not taken:
                self._forget(name)
        return AggregateLock(self, name, lock) if taken else None

    def close(self) -> None:
        """Leave the lock service. Locks still held come free with the process."""
        self._coordinator.stop()

    def _forget(self, name: str) -> None:
        with self._guard:
            self._held.discard(name)
