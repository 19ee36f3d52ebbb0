"""How a host's toolstack stops and starts, step by step, as clients can watch it (observed)."""

from __future__ import annotations

import logging

from nova_aggregates.simulator import (
    emergencies,
    guests,
    guidances,
    host_operations,
    placement,
    records,
    storage,
)
from nova_aggregates.simulator.database import Database
from nova_aggregates.simulator.errors import ApiError
from nova_aggregates.simulator.machine import Machine, Phase, Power, Process
from nova_aggregates.simulator.site import POLL

LOG = logging.getLogger(__name__)


def light_fuse(machine: Machine, seconds: float) -> None:
    """Restart the toolstack after a while; a fuse that burns already is not lit again."""
    process = machine.process
    if process is None or process.fuse_lit:
        return
    process.fuse_lit = True

    async def burn() -> None:
        await machine.clock.sleep(seconds)
        machine.live(restart(machine))

    process.spawn(burn())


async def restart(machine: Machine) -> None:
    """Stop xapi and start it in the role that the disk says; the TLS front end lives on."""
    _announce_rejoin(machine)
    machine.site.history.host("host-down", machine.name, "toolstack")
    machine.kill_process()
    await machine.listener.close_softly()
    await machine.clock.sleep(machine.profile.timings.closing)
    await start(machine, cold=False)


def _announce_rejoin(machine: Machine) -> None:
    """A host that was ejected and joins again counts as live from its restart on (observed)."""
    db = _master(machine) if machine.disk.ejected and machine.disk.master_address else None
    host = _record(db, machine) if db is not None else None
    if db is not None and host is not None:
        set_live(db, host, live=True)


async def boot(machine: Machine, seconds: float) -> None:
    """From power-on to a running toolstack."""
    machine.power = Power.ON
    await machine.listener.refuse()
    await machine.clock.sleep(seconds)
    _take_address(machine)
    same = machine.name in machine.site.faults.same_boot_time
    if (machine.profile.boot_time_changes and not same) or not machine.disk.boot_time:
        machine.disk.boot_time = machine.clock.now()
    machine.disk.disabled_until_reboot = False
    machine.disk.booted = True
    for callback in machine.on_boot:
        callback()
    await start(machine, cold=True)


def _take_address(machine: Machine) -> None:
    if machine.next_address:
        machine.address, machine.next_address = machine.next_address, ""


async def reboot(machine: Machine, seconds: float) -> None:
    """The toolstack goes, its front end a little later, then the machine boots."""
    machine.site.history.host("host-down", machine.name, "reboot")
    machine.kill_process()
    await machine.listener.close_softly()
    await machine.clock.sleep(machine.profile.timings.closing)
    await boot(machine, seconds)


def power_off(machine: Machine, *, why: str = "power") -> None:
    """The machine loses power at once. ``why`` is for the history."""
    if machine.power is Power.ON:
        machine.site.history.host("host-down", machine.name, why)
    machine.power = Power.OFF
    machine.stop_living()
    machine.kill_process()


async def start(machine: Machine, *, cold: bool) -> None:
    if machine.disk.broken:
        await emergencies.stay_broken(machine)
    if machine.disk.master_address is None:
        if not cold:
            await machine.listener.refuse()
            await machine.clock.sleep(machine.profile.timings.refused)
        await start_master(machine)
    else:
        await start_slave(machine, cold=cold)


async def start_master(machine: Machine) -> None:
    """A master is there at once; a moment later it looks whether another one claims its pool."""
    db = machine.disk.database
    fresh = db is None
    if db is None:
        db = Database(machine.site.model, machine.level)
        host = records.create_pool(db, machine)
        machine.disk.database = db
        if machine.profile.storage:
            storage.create_local(db, machine, host)
    db.drop_volatile()
    process = Process(machine, Phase.SERVING, db)
    process.master_address = None
    machine.process = process
    host = db.master
    machine.disk.trusted.add(machine.disk.certificate_id)
    records.refresh_host(db, machine, host)
    set_live(db, host, live=True)
    _take_stock(machine, db, host)
    if not fresh:
        db.set("host", host, enabled=False)
    await machine.listener.open()
    machine.site.history.host("host-up", machine.name)
    usurper = find_usurper(machine, db)
    if usurper is not None:
        await machine.clock.sleep(0.2)
        machine.disk.master_address = usurper.address
        machine.kill_process()
        await machine.listener.close_softly()
        await machine.clock.sleep(machine.profile.timings.closing)
        await start_slave(machine, cold=False)
        return
    if fresh:
        process.considered_enabling = True
    else:
        process.spawn(_enable_master(process))
    process.spawn(_watch_heartbeats(process))


def _take_stock(machine: Machine, db: Database, host: str) -> None:
    """After a boot no guest of before is left, and what asked for it is done with."""
    done = guidances.AFTER_BOOT if machine.disk.booted else guidances.AFTER_RESTART
    guidances.follow(db, host, done)
    if not machine.disk.booted:
        return
    machine.disk.booted = False
    db.set("host", host, updates_requiring_reboot=[])
    for vm in placement.residents(db, host):
        guests.halt(machine.site, db, vm, why="host-lost")


def find_usurper(machine: Machine, db: Database) -> Machine | None:
    """Another host of my database that is a master and has me in its own (xapi.ml)."""
    for _, other in machine.site.members(db):
        if other is machine or not other.answers or other.process is None:
            continue
        theirs = other.process.db
        if not other.process.is_master or theirs is None or len(theirs.tables["host"]) < 2:
            continue
        if theirs.first("host", uuid=machine.disk.uuid):
            return other
    return None


async def _enable_master(process: Process) -> None:
    machine, timings = process.machine, process.machine.profile.timings
    db = process.db
    if db is None:
        return
    if machine.disk.taking_over:
        machine.disk.taking_over = False
        await _wait_for_a_member(process, db)
    else:
        await machine.clock.sleep(timings.enable)
    storage.plug_all(db, machine, db.master)
    consider_enabling(process)


async def _wait_for_a_member(process: Process, db: Database) -> None:
    """A new master is enabled a second after the first of its members is (observed twice)."""
    machine, timings = process.machine, process.machine.profile.timings
    patience = machine.clock.now() + timings.new_master_patience
    while machine.clock.now() < patience:
        if any(r["enabled"] for h, r in db.find("host") if h != db.master):
            break
        others = [m for _, m in machine.site.members(db) if m is not machine]
        if not any(m.power is Power.ON for m in others):
            break
        await machine.clock.sleep(POLL)
    await machine.clock.sleep(timings.new_master_enable)


def linked(machine: Machine) -> bool:
    """Is the slave up, be it still on its way to its master?"""
    return machine.power is Power.ON and machine.plugged and machine.process is not None


async def start_slave(machine: Machine, *, cold: bool) -> None:
    """HOST_IS_SLAVE for a while, refused, an emergency code for a blink, then a real slave."""
    if machine.disk.master_address == machine.address:
        await _stay_ones_own_slave(machine)
        return
    timings = machine.profile.timings
    first = True
    while True:
        process = Process(machine, Phase.STARTING_SLAVE, None)
        machine.process = process
        machine.disk.database = None
        if not (cold and first and _master(machine) is not None):
            await machine.listener.open()
            await machine.clock.sleep(timings.slave_wait)
        master = await _wait_for_master(machine)
        await machine.listener.refuse()
        await machine.clock.sleep(timings.refused)
        if _record(master, machine) is not None:
            break
        machine.kill_process()
        await machine.listener.close_softly()
        await machine.clock.sleep(timings.closing)
        first = False
    process.phase = Phase.EMERGENCY
    process.emergency = ApiError("HOST_STILL_BOOTING")
    process.without_address = {"system.listMethods", "json-1"}
    await machine.listener.open()
    await machine.clock.sleep(timings.emergency)
    await _stay_in_emergency(process)
    await hello(process)


async def _stay_ones_own_slave(machine: Machine) -> None:
    """Somebody reset the master to this host's own address: only another reset helps (xapi.ml)."""
    process = Process(machine, Phase.EMERGENCY, None)
    process.emergency = ApiError("HOST_ITS_OWN_SLAVE")
    machine.process = process
    machine.disk.database = None
    await machine.listener.open()


async def _stay_in_emergency(process: Process) -> None:
    """An injected fault or a newer release can keep a slave from getting through to its master."""
    fault = _emergency_of(process.machine)
    while fault is not None:
        process.emergency = fault
        await process.machine.clock.sleep(POLL)
        fault = _emergency_of(process.machine)


def _emergency_of(machine: Machine) -> ApiError | None:
    version = records.software_version(machine).get("xapi_build", "")
    newer = emergencies.newer_than_master(machine, version, _master(machine))
    return machine.site.faults.emergency_of(machine.name) or newer


def _master(machine: Machine) -> Database | None:
    """The database of the master that the disk names, if it is within reach now."""
    master = machine.site.by_address(machine.disk.master_address or "")
    if master is None or not master.answers or master.process is None:
        return None
    return master.process.db if master.process.is_master else None


async def _wait_for_master(machine: Machine) -> Database:
    while True:
        db = _master(machine)
        if db is not None:
            return db
        await machine.clock.sleep(POLL)


def _record(db: Database, machine: Machine) -> str | None:
    found = db.first("host", uuid=machine.disk.uuid)
    return found[0] if found else None


async def hello(process: Process) -> None:
    """Pool.hello and what follows: live, own records refreshed, storage plugged, enabled."""
    machine = process.machine
    db = await _wait_for_master(machine)
    host = _record(db, machine)
    if host is None:
        machine.live(restart(machine))
        return
    process.phase = Phase.SERVING
    process.emergency = None
    machine.disk.ejected = False
    db.set("host", host, enabled=False, address=machine.address, current_operations={})
    host_operations.refresh(db, host)
    set_live(db, host, live=True)
    _take_stock(machine, db, host)
    machine.site.history.host("host-up", machine.name)
    master = machine.site.by_address(machine.disk.master_address or "")
    if master is not None:
        machine.disk.password = master.disk.password
        machine.disk.backup = db.clone()
        machine.disk.trusted.add(machine.disk.certificate_id)
    process.spawn(_become_usable(process))


async def _become_usable(process: Process) -> None:
    """A master that is away meanwhile delays the member, and no more than that."""
    machine = process.machine
    share = machine.profile.timings.enable / 2
    await machine.clock.sleep(share)
    db = await _wait_for_master(machine)
    host = _record(db, machine)
    if host is None:
        return
    records.refresh_host(db, machine, host)
    storage.plug_all(db, machine, host)
    await machine.clock.sleep(share)
    await _wait_for_master(machine)
    consider_enabling(process)
    watch(process)


def consider_enabling(process: Process) -> None:
    """xapi_host_helpers.ml consider_enabling_host."""
    machine = process.machine
    db = machine.site.database_of(process)
    host = _record(db, machine)
    process.considered_enabling = True
    if host is None or process.user_disabled or not machine.disk.auto_enable:
        return
    if db.get("host", host)["pending_guidances"] or machine.site.faults.stays_disabled(
        machine.name
    ):
        return
    if db.pool_record["ha_enabled"] and not storage.all_plugged(db, host):
        return
    db.set("host", host, enabled=True)
    machine.site.history.host("enabled", machine.name)
    host_operations.refresh(db, host)


def set_live(db: Database, host: str, *, live: bool) -> None:
    metrics = db.get("host", host)["metrics"]
    if db.peek("host_metrics", metrics) is not None:
        db.set("host_metrics", metrics, live=live)


def watch(process: Process) -> None:
    """A slave's periodic work."""
    process.spawn(_watch_own_record(process))


async def _watch_own_record(process: Process) -> None:
    """A slave whose record is destroyed restarts, for ever (observed)."""
    machine = process.machine
    while True:
        await machine.clock.sleep(machine.profile.timings.heartbeat)
        db = _master(machine)
        ejected = machine.disk.database is None and machine.disk.master_address is None
        if db is not None and _record(db, machine) is None and not ejected and not process.fuse_lit:
            machine.live(restart(machine))
            return


async def _watch_heartbeats(process: Process) -> None:
    """live=false after ten minutes of silence; records that point nowhere are collected."""
    machine, timings = process.machine, process.machine.profile.timings
    heard: dict[str, float] = {}
    while process.db is not None:
        await machine.clock.sleep(timings.gc_pass)
        now = machine.clock.now()
        for ref, member in machine.site.members(process.db):
            if member is machine or (member.answers and member.thawed.is_set()):
                heard[ref] = now
                if machine.profile.memory_monitored:
                    records.report_memory(process.db, ref)
            elif now - heard.setdefault(ref, now - timings.gc_pass) >= timings.presumed_dead:
                set_live(process.db, ref, live=False)
        collect_dangling(process.db)


def collect_dangling(db: Database) -> None:
    """PBDs, PIFs and metrics of hosts that are gone (db_gc.ml)."""
    hosts = db.tables["host"]
    for cls in ("PBD", "PIF", "host_cpu", "PCI", "Certificate"):
        for ref, record in db.find(cls):
            host = record["host"]
            if host not in hosts and host.startswith("OpaqueRef:") and host != "OpaqueRef:NULL":
                db.delete(cls, ref)
    used = {record["metrics"] for record in hosts.values()}
    for ref, _ in db.find("host_metrics"):
        if ref not in used:
            db.delete("host_metrics", ref)
