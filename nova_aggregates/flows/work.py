"""What the steps of one operation share. Nothing of it is kept in TaskFlow's tables: passwords are
read from the service's own database whenever a session is opened."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from oslo_config import cfg

from nova_aggregates.exceptions import AggregateNotFound
from nova_aggregates.flows.calls import Calls
from nova_aggregates.flows.hypervisor import Hypervisor, Session
from nova_aggregates.flows.inventory import guests_of, inventory_of
from nova_aggregates.flows.locks import AggregateLock
from nova_aggregates.flows.outcome import Interrupted, NotYet, StepFailed
from nova_aggregates.flows.recorded import EVENT as XENAPI
from nova_aggregates.flows.recorded import RecordedHypervisor
from nova_aggregates.manager.aggregates import AggregateManager
from nova_aggregates.manager.hosts import HostManager
from nova_aggregates.manager.operations import OperationManager
from nova_aggregates.manager.pools import PoolManager
from nova_aggregates.manager.steering import SteeringManager
from nova_aggregates.manager.upkeep import UpkeepManager
from nova_aggregates.objects import (
    Action,
    Credentials,
    Holdings,
    Host,
    Operation,
    OperationState,
    Pool,
)
from nova_aggregates.xenapi.errors import (
    AuthenticationFailed,
    CertificateRefused,
    ConnectionLost,
    IdentityMismatch,
    IsSlave,
    MalformedAnswer,
    NoMasterFound,
    OutcomeUnknown,
    SessionInvalid,
    StillBooting,
    TimedOut,
    Unreachable,
    XenError,
)
from nova_aggregates.xenapi.types import Endpoint, HostView, PoolView, Trust

LOG = logging.getLogger(__name__)
CALL = "call"  # the kind of event that announces one
LEFT = "not_undone"  # the kind of event that tells of a step
MANY = 1000  # more than a pool can have hosts
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Emptying:
    """How hosts are emptied; see the group [maintenance]."""

    concurrency: int = 3  # moves at a time
    bandwidth: float = 100.0 * 2**20  # bytes a second, for estimates


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of the real clock; see the groups [xenapi] and [maintenance] for what each limits."""

    poll: float
    join: float
    eject: float
    handover: float
    outage: float
    fuse: float
    settle: float
    boot: float = 1200.0
    emptying: Emptying = Emptying()

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Timing:
        group = conf.xenapi
        return cls(
            poll=group.poll_interval,
            join=group.join_deadline,
            eject=group.eject_deadline,
            handover=group.handover_deadline,
            outage=group.outage_deadline,
            fuse=group.role_change_window,
            settle=group.disabled_grace,
            boot=conf.maintenance.boot_deadline,
            emptying=Emptying(
                concurrency=conf.maintenance.concurrency,
                bandwidth=conf.maintenance.migration_bandwidth * 2**20,
            ),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Managers:
    """The database, by subject."""

    aggregates: AggregateManager
    hosts: HostManager
    operations: OperationManager
    pools: PoolManager
    upkeep: UpkeepManager
    steering: SteeringManager


class Work:
    """One operation in the hands of this process.

    ``stop`` is set when the manager shuts down: the operation is left at the next safe point.
    ``lock`` is the aggregate's; an operation that only looks has none.
    """

    def __init__(
        self,
        operation: Operation,
        managers: Managers,
        hypervisor: Hypervisor,
        timing: Timing,
        stop: threading.Event,
        lock: AggregateLock | None = None,
    ) -> None:
        self.operation = operation
        self.aggregate_id = operation.aggregate_id
        self.managers = managers
        self.hypervisor = RecordedHypervisor(hypervisor, self._record_call, self._require_mine)
        self.timing = timing
        self.claim = threading.Lock()  # of guests, where several hosts are emptied at a time
        self.deaf = False  # to a cancel, because it is being carried out
        self.learned = False  # whether the first step has said where the host stands
        self.calls = Calls()
        self._stop = stop
        self._lock = lock

    def _record_call(self, line: Mapping[str, str | float]) -> None:
        operation = self.operation
        told = " ".join(f"{key}={value}" for key, value in line.items())
        LOG.info(
            "operation.xenapi operation=%s %s request_id=%s",
            operation.uuid,
            told,
            operation.requester.request_id,
        )
        self.managers.operations.event(operation, XENAPI, line)

    def _require_mine(self) -> None:
        """Both the lock service and the database must say so: whoever gets a lock that was lost
        takes the operation, too, but not at once.

        :raises OperationLost: it is, or may be, another manager's.
        """
        if self._lock is not None:
            self._lock.confirm()
        self.managers.operations.cancel_wanted(self.operation)

    # Time

    def safe_point(self) -> None:
        """
        :raises Interrupted: the manager is stopping.
        :raises StepFailed: the operation was cancelled.
        """
        if self._stop.is_set():
            raise Interrupted("the manager stops")
        wanted = self.managers.operations.cancel_wanted(self.operation) and not self.deaf
        if wanted and (self.learned or not self._announced()):
            raise StepFailed.by_cancel()

    def point_of_no_return(self, reason: str) -> None:
        """To be passed before anything is sent that cannot be taken back.

        :raises StepFailed: the operation was cancelled.
        """
        if not self.managers.operations.uncancellable(self.operation, reason):
            raise StepFailed.by_cancel()

    def found_done(self, reason: str) -> None:
        """An earlier attempt passed the point of no return.

        :raises StepFailed: that was not known when somebody cancelled this one.
        """
        if not self.managers.operations.uncancellable(self.operation, reason):
            raise StepFailed.of(
                "CANCELLED_TOO_LATE",
                f"The operation was cancelled, but it cannot be undone: {reason}.",
                "Retry the operation to finish it, or abandon it.",
                half_way=True,
            )

    def pause(self) -> None:
        """Wait between two looks.

        :raises Interrupted: the manager is stopping.
        :raises StepFailed: the operation was cancelled.
        """
        self._stop.wait(self.timing.poll)
        self.safe_point()

    def until(
        self,
        look: Callable[[], T],
        seconds: float,
        late: Callable[[str], StepFailed],
        *,
        through_outages: bool = True,
    ) -> T:
        """What ``look`` returns, once it no longer raises NotYet or (``through_outages``) a
        XenError.

        After ``seconds`` the exception made by ``late`` from the last reason is raised; there is
        always one look, so that time spent while no manager ran does not count.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                return look()
            except NotYet as error:
                reason = str(error)
            except XenError as error:
                if not through_outages:
                    raise
                reason = str(error)
            if time.monotonic() >= end:
                raise late(reason)
            self.pause()

    def changed(
        self, look: Callable[[], bool], seconds: float, late: Callable[[str], StepFailed]
    ) -> bool:
        """Whether a change took place whose answer was lost.

        True as soon as ``look`` says so; False once it has said no for longer than a host may go
        on in its old role. ``look`` raises NotYet or a XenError while nothing can be said.
        """
        since: float | None = None

        def judge() -> bool:
            nonlocal since
            try:
                if look():
                    return True
            except (NotYet, XenError):
                since = None
                raise
            since = since or time.monotonic()
            if time.monotonic() - since < self.timing.fuse:
                raise NotYet("Nothing has changed so far.")
            return False

        return self.until(judge, seconds, late)

    def through_outage(self, call: Callable[[], T], *, repeatable: bool = False) -> T:
        """What ``call`` returns; made again while a host is away for the moment.

        :param repeatable: also when the answer to a changing call was lost.
        """
        end = time.monotonic() + self.timing.outage
        while True:
            try:
                return call()
            except XenError as error:
                lost = repeatable and isinstance(error, OutcomeUnknown)
                if not (lost or is_passing(error)) or time.monotonic() >= end:
                    raise
            self.pause()

    # The database

    def host(self) -> Host:
        """The host that the operation is about, as registered now."""
        if self.operation.host is None:
            raise AssertionError(f"{self.operation.action} has no host")
        return self.managers.hosts.show(self.operation.host)

    def pool(self) -> Pool | None:
        return self.managers.pools.show(self.aggregate_id)

    def established(self) -> Pool:
        """:raises StepFailed: the aggregate has no pool."""
        pool = self.pool()
        if pool is None:
            raise StepFailed.of(
                "POOL_UNKNOWN",
                f"The pool of aggregate {self.aggregate_id} is not known (any more).",
                "Add the host again; the first host of an aggregate makes its pool.",
            )
        return pool

    def wanted_name(self) -> str | None:
        """The aggregate's present name; None once it is deleted."""
        try:
            return self.managers.aggregates.show(self.aggregate_id).name
        except AggregateNotFound:
            return None

    def credentials_of(self, host: Host) -> Iterator[Credentials]:
        """What a standalone host may accept: its own, else the pool's that an eject left on it."""
        own = self.managers.hosts.credentials(host.id)
        yield own
        pool = self.pool()
        if pool is not None and pool.credentials != own:
            yield pool.credentials

    def announce(self, call: str) -> bool:
        """Put on record that ``call`` will be sent; whether it was announced before.

        An earlier manager may have died right after sending it: then its effect may still be on
        its way, and looking once proves nothing.

        :raises StepFailed: the operation was cancelled.
        """
        self.point_of_no_return(f"{call} was sent already")
        before = call in self._announced()
        self.managers.operations.event(self.operation, CALL, {"call": call})
        return before

    def _announced(self) -> frozenset[str]:
        past = self.managers.operations.events(self.operation.uuid)
        return frozenset(event.data["call"] for event in past if event.kind == CALL)

    def left_as_it_is(self, step: str, reason: str) -> None:
        """Put on record that a step could not be undone."""
        self.managers.operations.event(self.operation, LEFT, {"step": step, "reason": reason})

    def pool_hosts(self) -> list[Host]:
        """Who may be in the pool, whoever shall stay first: the members, then hosts whose removal
        waits (the last to go first), then the operation's own."""
        hosts = {host.id: host for host in self.managers.pools.members(self.aggregate_id)}
        waiting = self.managers.operations.index(
            aggregate_id=self.aggregate_id, state=OperationState.QUEUED, limit=MANY
        )
        # Whoever merely may come in later must not be offered the pool's password.
        inside = [each for each in waiting if each.action is Action.REMOVE_HOST]
        if self.operation.action is not Action.PREFLIGHT:
            inside.append(self.operation)
        for operation in inside:
            if operation.host is not None and operation.host_id not in hosts:
                host = self.managers.hosts.show(operation.host)
                hosts[host.id] = host
        return list(hosts.values())

    def registered(self) -> dict[str, Host]:
        """The same by their XenServer uuid, as far as it is known."""
        return {host.xen_uuid: host for host in self.pool_hosts() if host.xen_uuid}

    def seen(self, host: Host, view: HostView, holdings: Holdings | None = None) -> None:
        """Note what the host reported."""
        self.managers.hosts.observed(
            host.id,
            xen_uuid=view.uuid,
            inventory=inventory_of(view),
            seen_at=datetime.datetime.now(datetime.UTC).replace(tzinfo=None),
            holdings=holdings,
            guests=guests_of(view),
        )

    # XenServer

    def host_session(self, host: Host) -> Session:
        """A login at the host itself. Credentials that turn out to be the right ones are kept."""
        refused: AuthenticationFailed | None = None
        for credentials in self.credentials_of(host):
            try:
                session = self.hypervisor.host(endpoint_of(host, credentials))
            except AuthenticationFailed as error:
                refused = refused or error
                continue
            if refused is not None:
                self.managers.hosts.set_credentials(host.id, credentials)
            return session
        raise refused or AssertionError("no credentials to try")

    def pool_session(self) -> Session:
        """A login at the master of the aggregate's pool.

        :raises StepFailed: the aggregate has no pool.
        """
        pool = self.established()
        # The master first; then those whose uuid is known, for the others never joined anything.
        order = sorted(
            self.pool_hosts(), key=lambda host: (host.id != pool.master_host_id, not host.xen_uuid)
        )
        candidates = [endpoint_of(host, pool.credentials) for host in order]
        return self.hypervisor.pool(candidates, pool.xen_uuid)

    def observe_pool(self, session: Session, *, guests: bool = True) -> PoolView:
        """The pool as it is; a master that changed behind our back is noted.

        :param guests: False leaves them out, which is much quicker where there are hundreds.
        """
        view = session.observe() if guests else session.upkeep.pool()
        pool = self.established()
        master = self.registered().get(view.master_uuid)
        if master is not None and master.id != pool.master_host_id:
            self.managers.pools.set_master(self.operation, self.aggregate_id, master.id)
        return view


def is_hopeless(error: XenError) -> bool:
    """Whether waiting cannot help: the way in is barred, not merely interrupted."""
    if isinstance(error, NoMasterFound):
        return bool(error.problems) and all(map(is_hopeless, error.problems))
    return isinstance(error, AuthenticationFailed | CertificateRefused | IdentityMismatch)


def is_passing(error: XenError) -> bool:
    """Whether nothing was changed and the same may work in a moment."""
    if isinstance(error, NoMasterFound):
        return not is_hopeless(error)
    return isinstance(
        error,
        ConnectionLost
        | IsSlave
        | MalformedAnswer
        | SessionInvalid
        | StillBooting
        | TimedOut
        | Unreachable,
    )


def endpoint_of(host: Host, credentials: Credentials) -> Endpoint:
    trust = host.trust
    return Endpoint(
        address=host.address,
        port=host.port,
        username=credentials.username,
        password=credentials.password,
        trust=Trust(fingerprint=trust.fingerprint, ca=trust.ca, insecure=trust.insecure),
    )
