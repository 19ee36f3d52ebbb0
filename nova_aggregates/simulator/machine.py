"""A physical host: what its disk keeps, what it is made of, and the toolstack that runs on it."""

from __future__ import annotations

import asyncio
import datetime
import enum
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from nova_aggregates.simulator import certificates
from nova_aggregates.simulator.certificates import HostCertificate
from nova_aggregates.simulator.clock import Clock
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.datamodel import Datamodel, load
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.levels import LEVELS, NEWEST, Level
from nova_aggregates.simulator.profile import Profile
from nova_aggregates.simulator.values import new_uuid

if TYPE_CHECKING:
    from nova_aggregates.simulator.site import Site


class Phase(enum.Enum):
    """How far a running toolstack has come."""

    STARTING_SLAVE = "answers HOST_IS_SLAVE, but the pool does not see it yet"
    EMERGENCY = "every call but the emergency ones fails"
    SERVING = "a master, or a slave that has said hello to its master"


class Power(enum.Enum):
    ON = "on"
    OFF = "off"


class Listener(Protocol):
    """The host's HTTPS front end, as far as the host itself moves it."""

    async def open(self) -> None: ...
    async def close_softly(self) -> None: ...
    async def refuse(self) -> None: ...
    def use_certificate(self) -> None: ...


class NoListener:
    """For hosts that are only called in-process."""

    async def open(self) -> None: ...
    async def close_softly(self) -> None: ...
    async def refuse(self) -> None: ...
    def use_certificate(self) -> None: ...


@dataclass
class Disk:
    """What survives a restart and a reboot."""

    uuid: str = field(default_factory=new_uuid)
    password: str = ""
    master_address: str | None = None  # None: this host is a master
    broken: bool = False  # a hand-over failed half-way
    database: Database | None = None  # a master's own
    backup: Database | None = None  # the last copy that a slave got
    auto_enable: bool = True
    tls_verification: bool = True
    certificate_id: str = field(default_factory=new_uuid)
    trusted: set[str] = field(default_factory=set)  # members' internal certificates
    last_update_hash: str = ""
    boot_time: float = 0.0
    ejected: bool = False  # the reset script turned TLS verification off
    first_boot: bool = False  # the management interface has still to be made
    disabled_until_reboot: bool = False
    taking_over: bool = False  # the next start is the first one as the pool's master
    booted: bool = False  # since the toolstack last looked: no domain of before is left
    installed: tuple[str, ...] = ()  # names of updates


@dataclass
class Hardware:
    """What may differ from host to host and matters to a join."""

    cpu_vendor: str = "GenuineIntel"
    software: dict[str, str] = field(default_factory=dict)
    level: str = NEWEST  # a name of levels.LEVELS
    edition: str = ""
    restrictions: dict[str, str] = field(default_factory=dict)  # licence features
    sm_features: dict[str, dict[str, int]] = field(default_factory=dict)
    clock_skew: float = 0.0
    licence_daemon: bool = True
    memory_total: int = 0  # bytes; 0: as the profile says
    memory_reserved: int = 0  # of that, for nobody's guests
    cpu_count: int = 0
    cpu_features: str = ""  # words of hex digits; "": as the observed hosts


@dataclass
class Session:
    user: str
    originator: str
    local_superuser: bool = True
    role: str = "pool-admin"
    last_active: float = 0.0


class Process:
    """One life of the toolstack: sessions, tasks and volatile flags die with it."""

    def __init__(self, machine: Machine, phase: Phase, db: Database | None) -> None:
        self.machine = machine
        self.phase = phase
        self.db = db
        self.master_address = machine.disk.master_address
        self.started = machine.clock.now()
        self.emergency: ApiError | None = None
        self.sessions: dict[str, Session] = {}
        self.local_sessions: set[str] = set()
        self.without_address: set[str] = set()
        self.considered_enabling = False
        self.user_disabled = False
        self.fuse_lit = False
        self.joining = False
        self.met_joiner = False  # the host that this one joins is joining itself
        self.met_dead_member = False
        self.gone = asyncio.Event()
        self.proposal: tuple[str, float] | None = None  # a new master's address, since when
        self.storage_migrations = 0  # that this host sends now
        self.legacy_events: Any = None  # the queue of event.next, once somebody registered
        self.on_end: list[Callable[[], None]] = []
        self.on_logout: list[Callable[[str], None]] = []
        self._background: set[asyncio.Task[Any]] = set()

    @property
    def is_master(self) -> bool:
        """The role that the process started with; the file may say another already."""
        return self.master_address is None

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that ends when this process ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def kill(self) -> None:
        self.gone.set()
        for callback in self.on_end:
            callback()
        current = asyncio.current_task()
        for task in list(self._background):
            if task is not current:
                task.cancel()
        self.sessions.clear()
        self.local_sessions.clear()


class Machine:
    """A host of the site."""

    def __init__(
        self, site: Site, *, name: str, address: str, certificate: HostCertificate, zone: str = ""
    ) -> None:
        self.site = site
        self.name = name
        self.address = address
        self.next_address = ""  # from the next start on, if not empty
        self.zone = zone
        self.certificate = certificate
        self.disk = Disk()
        self.installed_password = ""
        self.hardware = Hardware()
        self.process: Process | None = None
        self.power = Power.ON
        self.plugged = True
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.listener: Listener = NoListener()
        self.plugins: dict[str, dict[str, Any]] = {}  # see plugins.py
        self.movers = asyncio.Semaphore(site.profile.guests.moves_at_once)
        self.on_boot: list[Callable[[], None]] = []
        self._life: asyncio.Task[Any] | None = None

    @property
    def clock(self) -> Clock:
        return self.site.clock

    @property
    def level(self) -> Level:
        return LEVELS[self.hardware.level]

    @property
    def model(self) -> Datamodel:
        """What its API is made of."""
        return load(self.hardware.level)

    @property
    def profile(self) -> Profile:
        return self.site.profile

    @property
    def memory_total(self) -> int:
        """Bytes."""
        return self.hardware.memory_total or self.profile.memory_total

    @property
    def memory_free(self) -> int:
        """Bytes for guests, when there are none."""
        reserved = self.profile.memory_total - self.profile.memory_free
        return self.memory_total - (self.hardware.memory_reserved or reserved)

    @property
    def cpu_count(self) -> int:
        return self.hardware.cpu_count or self.profile.cpu_count

    @property
    def answers(self) -> bool:
        """Can another host of the pool talk to it?"""
        return (
            self.power is Power.ON
            and self.plugged
            and self.process is not None
            and self.process.phase is Phase.SERVING
        )

    def renew_certificate(self, days: float = 3650) -> None:
        """The one that clients see; it ends in so many days, or did (negative)."""
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        self.certificate = certificates.make(self.name, self.address, valid_until=end)
        self.listener.use_certificate()

    def live(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """What happens to the whole host from now on, instead of what was going on."""
        if self._life is not None and self._life is not asyncio.current_task():
            self._life.cancel()
        self._life = asyncio.get_running_loop().create_task(work)
        self._life.add_done_callback(self.site.note_crash)
        return self._life

    def stop_living(self) -> None:
        if self._life is not None and self._life is not asyncio.current_task():
            self._life.cancel()
        self._life = None

    def kill_process(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None
