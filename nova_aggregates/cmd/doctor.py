"""``nova-aggregates-manage doctor``: looks at everything the service depends on, changes nothing,
and says what to do."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from oslo_config import cfg

from nova_aggregates.db import migration
from nova_aggregates.db.engine import Database
from nova_aggregates.db.secrets import SecretBox
from nova_aggregates.exceptions import NovaAggregatesError
from nova_aggregates.flows.locks import Locks
from nova_aggregates.flows.webhooks import WebhookSettings
from nova_aggregates.flows.work import endpoint_of
from nova_aggregates.manager import HostManager
from nova_aggregates.networks import Networks
from nova_aggregates.objects import Host
from nova_aggregates.xenapi import checkup, errors, transport
from nova_aggregates.xenapi.types import Timeouts

AT_A_TIME = 16  # hosts
CLOCK_SECONDS = 10.0  # xapi refuses nothing for this, but logs and certificates stop making sense
CERTIFICATE_DAYS = 30


class Health(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    health: Health
    subject: str
    what: str
    cure: str = ""


def examine(conf: cfg.ConfigOpts) -> Iterator[Diagnosis]:
    """Everything, in the order in which it has to be mended."""
    yield from _files(conf)
    database = _attempt("database", lambda: migration.check(conf.database.connection))
    yield database or _fine("database", "answers, with the schema of this release")
    key = _attempt("credentials key", lambda: SecretBox(conf.credentials.key_file))
    yield key or _fine("credentials key", conf.credentials.key_file)
    yield from _locks(conf)
    yield _attempt("webhooks", lambda: WebhookSettings.from_conf(conf)) or _fine(
        "webhooks", f"{len(conf.webhooks.urls)} URLs"
    )
    if database is None and key is None:
        yield from _hosts(conf)


def report(conf: cfg.ConfigOpts, out: Callable[[str], None] = print) -> int:
    """Print every diagnosis as it is made; how many are bad."""
    bad = 0
    for found in examine(conf):
        bad += found.health is Health.BAD
        cure = f" -> {found.cure}" if found.cure else ""
        out(f"{found.health.upper():<8}{found.subject}: {found.what}{cure}")
    return bad


def _fine(subject: str, what: str) -> Diagnosis:
    return Diagnosis(Health.OK, subject, what)


def _attempt(subject: str, work: Callable[[], object]) -> Diagnosis | None:
    """None when it worked. The fact's own message has the cure."""
    try:
        work()
    except NovaAggregatesError as fact:
        return Diagnosis(Health.BAD, subject, " ".join(str(fact).split()))
    return None


def _files(conf: cfg.ConfigOpts) -> Iterator[Diagnosis]:
    secret = "@" in conf.database.connection or "@" in conf.coordination.backend_url
    for name in conf.config_file or ():
        yield _permissions(f"file {name}", Path(name), private=secret)
    if conf.auth.strategy == "http_basic":
        yield _permissions("password file", Path(conf.auth.http_basic_file), private=True)


def _permissions(subject: str, path: Path, *, private: bool) -> Diagnosis:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return Diagnosis(Health.BAD, subject, f"{error.strerror}", "create it or name another one")
    if mode & (stat.S_IWGRP | stat.S_IWOTH) or (private and mode & stat.S_IRWXO):
        return Diagnosis(
            Health.BAD, subject, f"has the mode {stat.S_IMODE(mode):04o}", f"chmod 640 {path}"
        )
    return _fine(subject, f"mode {stat.S_IMODE(mode):04o}")


def _locks(conf: cfg.ConfigOpts) -> Iterator[Diagnosis]:
    url = conf.coordination.backend_url

    def take() -> None:
        locks = Locks(url, namespace=conf.coordination.namespace)
        try:
            lock = locks.acquire_named("doctor")
            if lock is not None:
                lock.release()
        finally:
            locks.close()

    yield _attempt("locks", take) or _fine("locks", f"{url.partition('://')[0]} gives them")
    if url.startswith("file://") and not conf.database.connection.startswith("sqlite"):
        yield Diagnosis(
            Health.WARNING,
            "locks",
            "file:// serves the managers of one machine only",
            "with a second machine, set [coordination] backend_url to a service that all reach",
        )


def _hosts(conf: cfg.ConfigOpts) -> Iterator[Diagnosis]:
    database = Database.from_conf(conf)
    try:
        manager = HostManager(database, SecretBox(conf.credentials.key_file))
        hosts = manager.index()
        if not hosts:
            yield _fine("hosts", "none is registered")
        transport.permitted = Networks(conf.xenapi.networks, "[xenapi] networks").allows
        timeouts = Timeouts(conf.xenapi.connect_timeout, conf.xenapi.call_timeout)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            visits = list(pool.map(lambda host: _Visit(manager, host, timeouts), hosts))
    finally:
        database.dispose()
    clocks = {uuid: ahead for visit in visits for uuid, ahead in visit.clocks.items()}
    for visit in visits:
        yield from visit.diagnoses
        yield from _clock(visit.host, clocks)


class _Visit:
    """One host; a member of a pool sends us to its master, which knows its clock."""

    def __init__(self, manager: HostManager, host: Host, timeouts: Timeouts) -> None:
        self.host = host
        self.clocks: dict[str, float] = {}
        self.diagnoses = list(self._examine(manager, timeouts))

    def _examine(self, manager: HostManager, timeouts: Timeouts) -> Iterable[Diagnosis]:
        subject = f"host {self.host.name}"
        try:
            credentials = manager.credentials(self.host.id)
        except NovaAggregatesError as fact:
            yield Diagnosis(Health.BAD, subject, str(fact))
            return
        endpoint = endpoint_of(self.host, credentials)
        try:
            self.clocks.update(checkup.clocks(endpoint, timeouts))
            yield _fine(subject, f"answers at {endpoint.where}, the log-in works")
        except errors.IsSlave as member:
            yield _fine(subject, f"answers at {endpoint.where}, master {member.master_address}")
        except errors.XenError as error:
            yield Diagnosis(Health.BAD, subject, error.message, error.cure)
            return
        yield from _certificate(subject, self.host, checkup.certificate_end(endpoint, timeouts))


def _certificate(subject: str, host: Host, end: datetime.datetime | None) -> Iterable[Diagnosis]:
    if host.trust.insecure:
        yield Diagnosis(
            Health.WARNING,
            subject,
            "its certificate is not verified",
            "register it with its fingerprint or its authority",
        )
    if end is None:
        return
    days = (end - datetime.datetime.now(datetime.UTC)).days
    if days < CERTIFICATE_DAYS:
        yield Diagnosis(
            Health.BAD if days < 0 else Health.WARNING,
            subject,
            f"its certificate {'expired' if days < 0 else 'expires'} on {end:%Y-%m-%d}",
            "renew it at the host, then register the new fingerprint",
        )


def _clock(host: Host, clocks: dict[str, float]) -> Iterable[Diagnosis]:
    ahead = clocks.get(host.xen_uuid or "")
    if ahead is not None and abs(ahead) > CLOCK_SECONDS:
        way = "ahead" if ahead > 0 else "behind"
        yield Diagnosis(
            Health.BAD,
            f"host {host.name}",
            f"its clock is {abs(ahead):.0f} s {way}",
            "set up NTP there and here",
        )
