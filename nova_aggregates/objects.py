"""The nouns of the service, as frozen dataclasses: what crosses the boundary between two layers.

Times are naive UTC datetimes, as the API renders them. Identifiers are integers in the API's
paths and uuids everywhere else.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from typing import Any

JSON = Any


class AggregateState(enum.StrEnum):
    """The operational states of Compute API v1.1 (contract, section 1)."""

    CREATED = "created"  # no pool yet: no member, no operation
    CHANGING = "changing"  # an operation on the pool is queued or running
    ACTIVE = "active"  # a pool with at least one member
    ERROR = "error"  # an operation left the pool in a state that a person must look at
    DISMISSED = "dismissed"  # deleted


class AggregateKind(enum.StrEnum):
    POOL = "pool"  # the aggregate is a resource pool; a host is in one such aggregate at most
    LABEL = "label"  # a plain label (metadata hypervisor_pool=false); touches no hypervisor


class HostStatus(enum.StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class MaintenanceMode(enum.StrEnum):
    ON = "on_maintenance"
    OFF = "off_maintenance"


class Action(enum.StrEnum):
    """What an operation does. The value is the name that the API shows."""

    ADD_HOST = "add_host"
    REMOVE_HOST = "remove_host"
    RENAME_POOL = "rename_pool"
    CHANGE_MASTER = "change_master"  # hand the master role to the host
    PREFLIGHT = "preflight"  # look only: what would stop the action named in the parameters
    MAINTENANCE_ON = "maintenance_on"
    MAINTENANCE_OFF = "maintenance_off"
    FOLLOW_MAINTENANCE = "follow_maintenance"  # after a boot, or what another tool did
    SET_STATUS = "set_status"  # take the host out of service or back, its guests stay
    REBOOT_HOST = "reboot_host"
    SHUTDOWN_HOST = "shutdown_host"
    STARTUP_HOST = "startup_host"
    ROLLING_UPDATE = "rolling_update"


class OperationState(enum.StrEnum):
    QUEUED = "queued"  # accepted; waits for its turn
    RUNNING = "running"  # a manager holds the aggregate's lock and works on it
    PAUSED = "paused"  # begun; keeps its turn and goes on when somebody says so
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # did not happen; the membership was put back
    ERROR = "error"  # ended half-way; the message says what a person must decide
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (OperationState.QUEUED, OperationState.RUNNING, OperationState.PAUSED)


class Directive(enum.StrEnum):
    """What somebody asks of an operation under way. Cancelling is another column."""

    PAUSE = "pause"
    ABORT = "abort"  # end after what is under way


class Severity(enum.StrEnum):
    BLOCKING = "blocking"
    SKIPPABLE = "skippable"  # the forced variant of the verb would go on in spite of it
    INFO = "info"


@dataclasses.dataclass(frozen=True, slots=True)
class Requester:
    """Who asked, for the operation's record."""

    user_id: str
    project_id: str
    request_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One reason why something cannot (or should not) be done."""

    check: str  # a stable name such as "join.cpu_vendor"
    code: str  # the XenAPI error code that the host would give, or our own
    severity: Severity
    message: str
    cure: str
    ours: str = ""  # the value at the host that is asked about
    theirs: str = ""  # the value that it is compared with


@dataclasses.dataclass(frozen=True, slots=True)
class Trust:
    """How the certificate of a host is verified. Exactly one of the three is set."""

    fingerprint: str | None = None  # SHA-256, lower-case hex without colons
    ca: str | None = None  # PEM text of the authority
    insecure: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    username: str
    password: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """What the host itself reported when it was last seen."""

    vcpus: int
    vcpus_used: int
    memory_mb: int
    memory_mb_used: int
    disk_gb: int
    disk_gb_used: int
    running_vms: int
    product: str  # brand and version, for people
    version: str = ""  # of the product
    cpu_vendor: str = ""
    cpu_model: str = ""
    cpu_sockets: int = 0
    memory_mb_claimed: int = 0  # what the guests here may use at most
    disk_gb_claimed: int = 0  # what the disks in the storage here may grow to
    workload: int = 0  # tasks on the guests here
    boot_time: float = 0.0  # Unix seconds; 0: not told


@dataclasses.dataclass(frozen=True, slots=True)
class Guest:
    """A virtual machine that was on a host when it was last seen."""

    uuid: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Holdings:
    """What is lost when the host leaves its pool. Each item is a line for people."""

    digest: str  # of all the rest; a caller who names it has seen exactly this
    guests: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()
    storage: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.guests or self.disks or self.storage)


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    id: int
    uuid: str
    name: str
    address: str
    port: int
    username: str
    trust: Trust
    zone: str
    xen_uuid: str | None  # the host's own uuid; stable across join, eject and reboot
    status: HostStatus
    status_reason: str | None
    maintenance_mode: MaintenanceMode
    inventory: Inventory | None
    last_seen: datetime.datetime | None
    created_at: datetime.datetime
    updated_at: datetime.datetime | None
    holdings: Holdings | None = None  # None: nobody has looked yet
    contact_lost_at: datetime.datetime | None = None  # since then every reading has failed
    contact_lost_reason: str | None = None
    forced_down: bool = False  # somebody knows better than we that it is down


class ZoneRule(enum.StrEnum):
    """Where the availability zone of a host comes from."""

    HOSTS = "hosts"  # v1.1: from its registration; aggregates take hosts of their own zone only
    AGGREGATES = "aggregates"  # v2.1: from its aggregates, of which all say the same


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """The compute service of a host. Its number and uuid are the host's."""

    host: Host
    zone: str
    up: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Hypervisor:
    """A host with what it has and what of it is in use. Its number and uuid are the host's."""

    service: Service
    guests: tuple[Guest, ...] | None = None  # None: nobody asked for them


@dataclasses.dataclass(frozen=True, slots=True)
class HostRegistration:
    name: str
    address: str
    port: int
    credentials: Credentials
    trust: Trust
    zone: str


@dataclasses.dataclass(frozen=True, slots=True)
class Aggregate:
    id: int
    uuid: str
    name: str
    availability_zone: str | None
    kind: AggregateKind
    state: AggregateState
    hosts: tuple[str, ...]  # the intended membership, in the order of joining
    metadata: Mapping[str, str]
    created_at: datetime.datetime
    updated_at: datetime.datetime | None
    deleted: bool
    deleted_at: datetime.datetime | None
    generation: int = 0  # grows with every change of anything above


class SortKey(enum.StrEnum):
    """By what a list of aggregates may be sorted. The value is the key in the API."""

    ID = "id"
    NAME = "name"
    ZONE = "availability_zone"
    STATE = "operational_state"
    CREATED = "created_at"
    UPDATED = "updated_at"


@dataclasses.dataclass(frozen=True, slots=True)
class AggregateSearch:
    """Which aggregates are wanted, and in what order; None does not restrict."""

    name: str | None = None
    availability_zone: str | None = None
    host: str | None = None  # a member
    state: AggregateState | None = None
    metadata_key: str | None = None
    metadata_value: str | None = None  # of metadata_key, or of any key
    changed_since: datetime.datetime | None = None  # then deleted ones are found, too
    sort_key: SortKey = SortKey.ID
    descending: bool = False
    marker: int | None = None  # the last one of the page before
    limit: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AggregatePage:
    aggregates: tuple[Aggregate, ...]
    more: bool  # whether there are further ones behind them


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """The resource pool behind an aggregate, as last observed."""

    aggregate_id: int
    xen_uuid: str  # uuid of the XenAPI pool object
    master_host_id: int
    credentials: Credentials  # valid on every member


@dataclasses.dataclass(frozen=True, slots=True)
class OperationFailure:
    """Why an operation ended as failed or error: told to the person who asked."""

    code: str
    message: str
    cure: str


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    uuid: str
    aggregate_id: int
    host_id: int | None
    host: str | None
    action: Action
    parameters: Mapping[str, JSON]
    state: OperationState
    step: str | None  # the step under way or, once ended, the last one
    progress: int  # percent
    findings: tuple[Finding, ...]
    failure: OperationFailure | None
    requester: Requester
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    updated_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    owner: str | None  # the manager that works on it
    fence: int  # grows with every change of owner; a write with an older number is refused
    attempts: int = 0  # how often a manager has taken it up
    not_before: datetime.datetime | None = None  # queued, but to be left alone until then
    cancel_requested: bool = False
    uncancellable_reason: str | None = None  # set once the point of no return is passed
    details: Mapping[str, JSON] | None = None  # a plan, or how far each host and guest is
    directive: Directive | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class OperationEvent:
    """One line of an operation's history."""

    id: int  # grows over all operations
    at: datetime.datetime
    fence: int  # of the manager that wrote it; 0 before the first one
    kind: str
    data: Mapping[str, JSON]
    operation: str = ""  # uuid
    aggregate_id: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """A change that is recorded, and the operation (None: nothing to do) that makes it true."""

    aggregate: Aggregate
    operation: Operation | None


class PlannedAction(enum.StrEnum):
    """What a desired state means for one host."""

    KEEP = "keep"
    ADD_HOST = "add_host"
    CHANGE_MASTER = "change_master"
    REMOVE_HOST = "remove_host"


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedStep:
    host: str
    action: PlannedAction
    operation: Operation | None  # None: nothing to do at the hypervisor


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedHosts:
    """How the hosts of an aggregate become those that were asked for."""

    aggregate: Aggregate
    steps: tuple[PlannedStep, ...]  # kept hosts, then the others in the order of the work


@dataclasses.dataclass(frozen=True, slots=True)
class Statistics:
    """How many rows there are, by the values that name their state."""

    aggregates: Mapping[tuple[str, ...], int]  # (state,), deleted ones included
    hosts: Mapping[tuple[str, ...], int]  # (status, maintenance mode)
    operations: Mapping[tuple[str, ...], int]  # (action, state)
    drift: Mapping[tuple[str, ...], int]  # (kind, policy)


class DriftPolicy(enum.StrEnum):
    """What the audit does about a difference."""

    REPORT = "report"
    ADOPT = "adopt"  # the record follows the pool
    ENFORCE = "enforce"  # the pool follows the record; never by ejecting


@dataclasses.dataclass(frozen=True, slots=True)
class DriftFinding:
    """One difference between an aggregate and its pool."""

    host: str | None  # None: it is about the pool
    kind: str  # a stable name such as "member_missing"
    expected: str
    found: str
    message: str
    cure: str
    policy: DriftPolicy


@dataclasses.dataclass(frozen=True, slots=True)
class Drift:
    """A difference that the last audit of the aggregate found."""

    id: int
    aggregate_id: int
    finding: DriftFinding
    first_seen: datetime.datetime
    last_seen: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImportedHost:
    """A member of a pool that is to become an aggregate."""

    name: str
    address: str
    port: int
    trust: Trust
    xen_uuid: str
    enabled: bool
    inventory: Inventory | None


@dataclasses.dataclass(frozen=True, slots=True)
class ImportedPool:
    """A pool as found, with the name and the zone that its aggregate gets."""

    xen_uuid: str
    name: str
    zone: str
    master_xen_uuid: str
    credentials: Credentials
    hosts: tuple[ImportedHost, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class PoolImported:
    aggregate: Aggregate
    created: bool  # whether the aggregate is new
    registered: tuple[str, ...]  # hosts that were not registered before
    joined: tuple[str, ...]  # hosts that were no members before


@dataclasses.dataclass(frozen=True, slots=True)
class Once:
    """A request that must take effect once however often it arrives."""

    key: str  # the caller's Idempotency-Key
    scope: str  # project, method and path: the same key elsewhere is another request
    digest: str  # of the body


class GuestPolicy(enum.StrEnum):
    """What becomes of guests that cannot move when their host goes into maintenance."""

    REFUSE = "refuse"  # the host stays in service
    SKIP = "skip"  # they stay where they are
    SHUT_DOWN = "shutdown_and_restart"  # stopped cleanly, started again when the host is back


@dataclasses.dataclass(frozen=True, slots=True)
class MaintenanceWish:
    """How a host is emptied."""

    concurrency: int | None = None  # moves at a time; None: as configured
    network: str = ""  # name or uuid of the network to move over; empty: the management's
    policy: GuestPolicy = GuestPolicy.REFUSE

    def parameters(self) -> dict[str, JSON]:
        return {
            "concurrency": self.concurrency,
            "network": self.network,
            "policy": self.policy.value,
        }


class PlacementState(enum.StrEnum):
    """Where a guest stands that belongs to a host in maintenance."""

    WAITING = "waiting"  # at home; nothing has been sent
    LEAVING = "leaving"  # its move to the destination was asked for
    AWAY = "away"  # on the destination
    STOPPING = "stopping"  # its shutdown was asked for
    STOPPED = "stopped"  # by us, to be started again
    RETURNING = "returning"  # its move home, or its start there, was asked for


@dataclasses.dataclass(frozen=True, slots=True)
class Placement:
    """A guest and the host that it belongs to."""

    host_id: int
    guest: str  # uuid
    name: str
    memory: int  # bytes
    state: PlacementState
    destination: str  # uuid of a host; empty while there is none
    fence: int  # of the manager that wrote the state


class HostProgress(enum.StrEnum):
    """Where a rolling update stands with one host."""

    WAITING = "waiting"
    EMPTYING = "emptying"  # out of service, its guests leave
    ACTING = "acting"  # the update or reboot was asked for
    RETURNING = "returning"  # back in service, its guests come home
    DONE = "done"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True)
class HostRun:
    """One host of a rolling update."""

    host: str
    position: int
    state: HostProgress
    evidence: Mapping[str, JSON]  # what the host said before the step under way
    failure: OperationFailure | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class HeadroomFigure:
    """How many hosts an aggregate's pool can lose so that every guest still has a place."""

    hosts: int
    guest: str  # name of the first guest that would not fit if one more was lost
    reason: str
    lost: tuple[str, ...]  # names of the hosts whose loss that would be
    computed_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class HostGoal:
    """What a host was asked to become, and the operation that makes it so."""

    host: str
    status: HostStatus
    maintenance_mode: MaintenanceMode
    operation: Operation | None  # None: nothing to do


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceGoal:
    """A service as it was asked to become, and the operation that makes it so."""

    service: Service
    operation: Operation | None  # None: the host is in no pool, or only the record changed
