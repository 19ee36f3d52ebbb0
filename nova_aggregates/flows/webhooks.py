"""Posts the events of all operations to the configured URLs: signed, in order, at least once."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import http.client
import json
import logging
import os
import stat
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from oslo_config import cfg

from nova_aggregates.exceptions import (
    AddressForbidden,
    ConfigurationInvalid,
    DatabaseUnavailable,
    LockLost,
    LockServiceUnavailable,
)
from nova_aggregates.flows.locks import AggregateLock, Locks
from nova_aggregates.manager.operations import OperationManager
from nova_aggregates.manager.webhooks import WebhookManager
from nova_aggregates.networks import Networks
from nova_aggregates.objects import OperationEvent

LOG = logging.getLogger(__name__)
SIGNATURE = "X-Nova-Aggregates-Signature"
BATCH = 100
ANYWHERE = Networks((), "[webhooks] networks")
LONGEST_PAUSE = 60.0  # seconds between two tries


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookSettings:
    urls: tuple[str, ...]
    key: bytes = dataclasses.field(repr=False)
    attempts: int  # at one event, before its URL is reported as not answering
    timeout: float  # seconds of one post
    interval: float = 1.0  # seconds between two looks for events
    first_pause: float = 1.0  # seconds after the first failure; doubled after each further one
    networks: Networks = ANYWHERE

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> WebhookSettings:
        """The group [webhooks].

        :raises ConfigurationInvalid: a URL is none, or the file of the key cannot be used.
        """
        group = conf.webhooks
        urls = tuple(dict.fromkeys(group.urls))
        for number, url in enumerate(urls, 1):
            _require_url(url, number)
        key = _key(Path(group.secret_file)) if urls else b""
        networks = Networks(group.networks, "[webhooks] networks")
        return cls(urls, key, group.attempts, group.timeout, networks=networks)


class Webhooks:
    """One thread a URL. Several managers share the URLs by locks."""

    def __init__(
        self,
        settings: WebhookSettings,
        operations: OperationManager,
        cursors: WebhookManager,
        locks: Locks,
    ) -> None:
        self._settings = settings
        self._operations = operations
        self._cursors = cursors
        self._locks = locks
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._opener = urllib.request.build_opener(_NoRedirect)

    def start(self) -> None:
        """Begin to deliver, in the background."""
        for number, url in enumerate(self._settings.urls, 1):
            name = f"webhook-{number}"
            thread = threading.Thread(target=self._loop, args=(url, name), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Begin no post any more."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Until no post is under way, but no longer; one that is will be made again."""
        for thread in self._threads:
            thread.join(seconds)

    def _loop(self, url: str, name: str) -> None:
        # Neither the log nor the lock's name holds the URL, which may have a secret in it.
        lock_name = f"webhook-{hashlib.sha256(url.encode()).hexdigest()[:32]}"
        while not self._stop.is_set():
            try:
                lock = self._locks.acquire_named(lock_name)
                if lock is not None:
                    try:
                        self._drain(url, name, lock)
                    finally:
                        lock.release()
            except (DatabaseUnavailable, LockLost, LockServiceUnavailable) as reason:
                LOG.debug("webhook.waits webhook=%s reason=%s", name, reason)
            except Exception:
                LOG.exception("webhook.defect webhook=%s", name)
            self._stop.wait(self._settings.interval)

    def _drain(self, url: str, name: str, lock: AggregateLock) -> None:
        while not self._stop.is_set():
            lock.confirm()
            position = self._cursors.position(url)
            events = self._operations.events_after(position, BATCH)
            for event in events:
                if not self._deliver(url, name, event):
                    return
                self._cursors.advance(url, event.id)
            if not events:
                return

    def _deliver(self, url: str, name: str, event: OperationEvent) -> bool:
        """Whether the event was taken; False only when the manager stops."""
        body = json.dumps(_document(event)).encode()
        signature = hmac.new(self._settings.key, body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", SIGNATURE: f"sha256={signature}"}
        failures, pause = 0, self._settings.first_pause
        while not self._stop.is_set():
            reason = self._post(url, body, headers)
            if reason is None:
                if failures >= self._settings.attempts:
                    LOG.warning("webhook.answers_again webhook=%s", name)
                return True
            failures += 1
            if failures == self._settings.attempts:
                LOG.error("webhook.not_taken webhook=%s event=%s reason=%s", name, event.id, reason)
            self._stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        return False

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> str | None:
        """None when the event was taken, else why not."""
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - checked at the start
        try:
            # What the name means now; the receiver may have moved since the last post.
            self._settings.networks.require(urlsplit(url).hostname or "")
            with self._opener.open(request, timeout=self._settings.timeout):
                return None
        except AddressForbidden:
            return "its address is in none of [webhooks] networks"
        except urllib.error.HTTPError as error:
            with error:
                return f"it answered {error.code}"
        except (OSError, http.client.HTTPException) as error:
            return type(getattr(error, "reason", error)).__name__


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signed event goes to the configured URL or nowhere."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


def _document(event: OperationEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "operation": event.operation,
        "aggregate_id": event.aggregate_id,
        "at": event.at.isoformat(timespec="microseconds"),
        "kind": event.kind,
        "data": dict(event.data),
    }


def _require_url(url: str, number: int) -> None:
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if not fit:
        raise ConfigurationInvalid(
            what=f"URL number {number} of [webhooks] urls is none",
            cure="write it as http://host/path or https://host/path.",
        )


def _key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            key = file.read().strip()
    except OSError as error:
        raise ConfigurationInvalid(
            what=f"The key of the webhooks {path} cannot be read ({error.strerror})",
            cure="name it in [webhooks] secret_file; any random text will do.",
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationInvalid(
            what=f"The key of the webhooks {path} is open to other users",
            cure=f"run: chmod 600 {path}",
        )
    if not key:
        raise ConfigurationInvalid(
            what=f"The key of the webhooks {path} is empty", cure="write random text into it."
        )
    return key
