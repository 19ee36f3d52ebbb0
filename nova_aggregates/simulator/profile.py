"""What kind of site is simulated: hardware, product, times that depend on the machines."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

GIB = 1 << 30


@dataclass(frozen=True)
class Timings:
    """Virtual seconds. What xapi itself fixes was observed; boots depend on the hardware."""

    fuse: float = 10.0  # from the return of a join or hand-over to the restart
    closing: float = 2.2  # the TLS front end closes connections while xapi restarts
    slave_wait: float = 7.0  # HOST_IS_SLAVE before the slave is usable
    session_hang: float = 4.5  # calls with a session hang at the start of that
    refused: float = 0.3
    emergency: float = 0.3
    emergency_restart: float = 120.0  # of a toolstack that cannot go on; 60 to 180 at random there
    enable: float = 0.7  # from hello to enabled
    new_master_enable: float = 0.6
    new_master_patience: float = 60.0
    login_failure: float = 1.9
    restart_agent: float = 1.0
    restart_agent_master: float = 3.6
    kill_restart: float = 2.0
    reboot_delay: float = 10.0
    boot: float = 45.0
    first_boot: float = 60.0
    power_on: float = 45.0
    heartbeat: float = 30.0
    presumed_dead: float = 600.0
    departure: float = 240.0  # for moving the guests of a host that goes down
    sync_updates: float = 20.0
    precheck: float = 3.0
    apply_updates: float = 60.0
    ha_pass: float = 5.0
    ha_timeout: float = 60.0  # with high availability a silent host is dead after that
    gc_pass: float = 30.0
    unreachable: float = 140.0  # until CANNOT_CONTACT_HOST when nothing answers at all
    refusing: float = 70.0  # the same when connections are refused
    probe_dead: float = 3.0  # is a host alive? (host.destroy, declare_dead)
    checks: float = 0.4  # the pre-join checks
    exchange: float = 0.5  # certificates, at the pool's master
    import_objects: float = 0.3
    eject: float = 0.35
    lock_retry_limit: float = 7200.0
    task_gc: float = 3900.0
    pending_task_gc: float = 86400.0
    session_idle: float = 86400.0
    no_route: float = 3.0
    unresolvable: float = 26.0


@dataclass(frozen=True)
class GuestTimings:
    start: float = 3.0
    stop: float = 2.0
    clean_stop: float = 8.0
    migrate_setup: float = 1.0
    bandwidth: float = 1.0 * GIB  # bytes a second, shared by the moves of one source host
    moves_at_once: int = 4  # from one host (xenopsd.ml worker_pool_size); the others wait


@dataclass(frozen=True)
class Profile:
    """A kind of host. ``STANDARD`` is a recent installation; ``BARE`` the observed test site."""

    name: str
    timings: Timings = Timings()
    guests: GuestTimings = GuestTimings()
    storage: bool = True  # local SR, tools SR, templates, storage managers
    memory_total: int = 64 * GIB
    memory_free: int = 60 * GIB
    cpu_count: int = 8
    edition: str = "xcp-ng"
    editions: tuple[str, ...] = ("xcp-ng",)
    host_tls: bool = True
    pool_tls: bool = True
    negative_heartbeat: bool = True  # a clean stop of xapi clears the live flag at once
    boot_time_changes: bool = True
    memory_monitored: bool = True  # the statistics daemon reports how much memory is free
    manual_first_boot: bool = False  # an ejected host waits for somebody to make its network
    vlan_script_works: bool = True
    other_config: dict[str, str] = field(default_factory=dict)
    pool_other_config: dict[str, str] = field(
        default_factory=lambda: {"memory-ratio-hvm": "0.25", "memory-ratio-pv": "0.25"}
    )
    software: dict[str, str] = field(default_factory=dict)
    letters: bool = False  # hostnames a, b, c instead of host1, host2

    def with_timings(self, **changes: Any) -> Profile:
        return replace(self, timings=replace(self.timings, **changes))


STANDARD = Profile(name="standard")

BARE = Profile(
    name="bare",
    timings=Timings(boot=11.7, first_boot=4.9, power_on=8.5),
    guests=GuestTimings(
        start=0.1, stop=0.05, clean_stop=0.05, migrate_setup=0.3, bandwidth=100 * GIB
    ),
    storage=False,
    memory_total=1024 * GIB,
    memory_free=66551021568,
    edition="",
    pool_tls=False,
    negative_heartbeat=False,
    boot_time_changes=False,
    memory_monitored=False,
    manual_first_boot=True,
    vlan_script_works=False,
    other_config={"no_local_storage": "true"},
    letters=True,
)

PROFILES = {p.name: p for p in (STANDARD, BARE)}
