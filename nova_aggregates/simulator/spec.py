"""What a site file says, as Python sees it: hosts, pools, guests, updates, events.

Sizes are bytes here; a file may have them as ``64GiB``. Names of fields are those of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nova_aggregates.simulator.levels import NEWEST

GIB = 1 << 30
FORMAT = 1
SIZE = {"size": True}


@dataclass(frozen=True)
class DiskSpec:
    """``storage`` is ``local``, ``shared``, or the name or uuid of a repository."""

    storage: str = "local"
    size: int = field(default=10 * GIB, metadata=SIZE)
    name: str = ""


@dataclass(frozen=True)
class GuestSpec:
    """``host`` is where it runs; of a guest that does not, any host of its pool.

    ``networks`` are names or uuids; none: the pool's first network. ``memory_min`` is what it may
    be ballooned down to, 0: nothing. ``blockers`` are those of ``furnishing.BLOCKERS``.
    """

    name: str
    host: str
    uuid: str = ""
    state: str = "Running"
    memory: int = field(default=2 * GIB, metadata=SIZE)
    memory_min: int = field(default=0, metadata=SIZE)
    vcpus: int = 2
    disks: tuple[DiskSpec, ...] = ()
    networks: tuple[str, ...] = ()
    ha: str = ""
    tags: tuple[str, ...] = ()
    blocked: dict[str, str] = field(default_factory=dict)
    blockers: tuple[str, ...] = ()
    cpu_features: str = ""
    other_config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StorageSpec:
    """A repository. ``unplugged`` are hosts that do not have it attached."""

    name: str
    uuid: str = ""
    type: str = "nfs"
    content: str = "user"
    size: int = field(default=2048 * GIB, metadata=SIZE)
    used: int = field(default=0, metadata=SIZE)
    device_config: dict[str, str] = field(default_factory=dict)
    unplugged: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkSpec:
    """``hosts`` are those that have an interface on it, none given: all.

    The network with ``management`` is the one that the hosts are reached on.
    """

    name: str
    uuid: str = ""
    bridge: str = ""
    device: str = "eth0"
    vlan: int = -1
    mtu: int = 1500
    management: bool = False
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostSpec:
    """A machine. ``address`` is a loopback address, or empty for the next free one.

    ``memory`` is what is built in, ``memory_reserved`` what of that no guest can have; ``updates``
    are those that it has installed; ``plugins`` as in ``plugins``; ``xapi`` is an API level.
    """

    name: str
    uuid: str = ""
    zone: str = "nova"
    address: str = ""
    password: str = ""
    description: str = "Default install"
    memory: int = field(default=64 * GIB, metadata=SIZE)
    memory_reserved: int = field(default=4 * GIB, metadata=SIZE)
    cpus: int = 8
    cpu_vendor: str = "GenuineIntel"
    cpu_features: str = ""
    xapi: str = NEWEST
    edition: str = "xcp-ng"
    software: dict[str, str] = field(default_factory=dict)
    enabled: bool = True
    power_on_mode: str = ""
    tags: tuple[str, ...] = ()
    other_config: dict[str, str] = field(default_factory=dict)
    storage: tuple[StorageSpec, ...] = ()
    updates: tuple[str, ...] = ()
    updater: bool = False
    plugins: dict[str, Any] = field(default_factory=dict)
    clock_skew: float = 0.0


@dataclass(frozen=True)
class PoolSpec:
    """Hosts that are a pool already. Also a single host can be named here, to have a name."""

    master: str
    hosts: tuple[str, ...] = ()
    name: str = ""
    uuid: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    other_config: dict[str, str] = field(default_factory=dict)
    networks: tuple[NetworkSpec, ...] = ()
    storage: tuple[StorageSpec, ...] = ()
    ha: bool = False
    ha_failures: int = 0


@dataclass(frozen=True)
class UpdateSpec:
    """See ``updates.Update``."""

    name: str
    mandatory: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    software: dict[str, str] = field(default_factory=dict)
    fails_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class SiteSpec:
    """``schedule`` are events as in ``scenario``; ``time_scale`` 0: as the command line says."""

    hosts: tuple[HostSpec, ...]
    version: int = FORMAT
    time_scale: float = 0.0
    pools: tuple[PoolSpec, ...] = ()
    guests: tuple[GuestSpec, ...] = ()
    updates: tuple[UpdateSpec, ...] = ()
    schedule: tuple[Any, ...] = ()
