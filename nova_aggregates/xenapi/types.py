"""What crosses the border of the driver, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import re
from collections.abc import Mapping

_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.ASCII)


def canonical_address(text: str) -> str:
    """An IP address or host name in the one form in which two of them can be compared.

    A name with a blank, a port or a scheme is refused: given to pool.join, an address with a
    leading blank leaves a stale host record in the pool (observed on xapi 26.17).
    Raises ValueError.
    """
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        if not _HOSTNAME.fullmatch(text):
            raise ValueError(
                f"{text!r} is neither an IP address nor a host name; give it without port, scheme "
                "or blanks"
            ) from None
        return text.lower()


@dataclasses.dataclass(frozen=True, slots=True)
class Trust:
    """How the certificate of an endpoint is verified; exactly one of the three is set."""

    fingerprint: str | None = None  # SHA-256 of the leaf certificate, hex; colons are removed
    ca: str | None = None  # PEM text of the authority; the certificate must name the address too
    insecure: bool = False

    def __post_init__(self) -> None:
        if sum((self.fingerprint is not None, self.ca is not None, self.insecure)) != 1:
            raise ValueError("exactly one of fingerprint, ca and insecure is needed")
        if self.fingerprint is not None:
            plain = self.fingerprint.replace(":", "").strip().lower()
            if not _FINGERPRINT.fullmatch(plain):
                raise ValueError("a fingerprint is the SHA-256 of the certificate: 64 hex digits")
            object.__setattr__(self, "fingerprint", plain)


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and as whom to log in. The password never shows in repr()."""

    address: str
    port: int
    username: str
    password: str = dataclasses.field(repr=False)
    trust: Trust = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", canonical_address(self.address))

    @property
    def where(self) -> str:
        """address:port, for people."""
        bracketed = f"[{self.address}]" if ":" in self.address else self.address
        return f"{bracketed}:{self.port}"


@dataclasses.dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds."""

    connect: float = 10.0  # TCP and TLS, together
    call: float = 60.0  # from sending a request to the last byte of its answer


class Severity(enum.StrEnum):
    BLOCKING = "blocking"
    SKIPPABLE = "skippable"  # the forced variant of the verb would go on in spite of it
    INFO = "info"


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
class VmView:
    """A guest; never a control domain, a template or a snapshot."""

    ref: str
    uuid: str
    name: str
    power_state: str  # Halted, Paused, Running, Suspended
    resident_on: str | None  # ref of a host
    vcpus: int
    memory_bytes: int  # memory_dynamic_max
    current_operations: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Capacity:
    """What a host has and what of it is in use. Storage counts shared storage too."""

    vcpus: int
    vcpus_used: int
    memory_bytes: int
    memory_free_bytes: int
    disk_bytes: int
    disk_used_bytes: int
    disk_allocated_bytes: int = 0  # what its disks may grow to


@dataclasses.dataclass(frozen=True, slots=True)
class Cpu:
    vendor: str = ""
    model: str = ""
    sockets: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class HostView:
    """A member of a pool, as its master sees it."""

    ref: str  # belongs to this pool's database; changes at join and eject
    uuid: str  # of the installation; stable across join, eject and reboot
    name: str
    hostname: str
    address: str
    enabled: bool
    live: bool
    is_master: bool
    guests: tuple[VmView, ...]  # resident here
    storage_missing: tuple[str, ...]  # names of the pool's shared SRs that are not attached here
    boot_time: float | None  # Unix seconds on the host's own clock; compare with earlier ones only
    agent_start_time: float | None
    current_operations: tuple[str, ...]
    tls_verification_enabled: bool
    pending_guidances: tuple[str, ...]  # mandatory ones: the host stays disabled until done
    other_config: Mapping[str, str]
    product: str  # brand and version, for people
    edition: str
    capacity: Capacity
    version: str = ""  # of the product
    cpu: Cpu = Cpu()

    @property
    def shared_storage_attached(self) -> bool:
        return not self.storage_missing

    @property
    def ready(self) -> bool:
        """In service: what a host must be before the next change of its pool."""
        return self.enabled and self.live and self.shared_storage_attached


@dataclasses.dataclass(frozen=True, slots=True)
class PoolView:
    """A pool as its master sees it; a standalone host is a pool of one with an empty name."""

    ref: str
    uuid: str
    name: str
    master_ref: str
    master_uuid: str
    hosts: tuple[HostView, ...]
    ha_enabled: bool
    tls_verification_enabled: bool
    current_operations: tuple[str, ...]
    other_config: Mapping[str, str]

    def host(self, uuid: str) -> HostView | None:
        return next((host for host in self.hosts if host.uuid == uuid), None)

    @property
    def master(self) -> HostView | None:
        """None for the moments in which the database names a master whose record is not there."""
        return next((host for host in self.hosts if host.is_master), None)

    @property
    def settled(self) -> bool:
        """Nothing is under way and every member is in service: the next change may start."""
        return not self.current_operations and all(host.ready for host in self.hosts)

    def name_of(self, ref: str) -> str | None:
        """The name behind a reference that an error carries; None when it is not of this pool."""
        for host in self.hosts:
            if host.ref == ref:
                return f"host {host.name}"
            for guest in host.guests:
                if guest.ref == ref:
                    return f"guest {guest.name}"
        return f"pool {self.name}" if ref == self.ref else None
