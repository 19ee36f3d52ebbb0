"""Logging in and out, with passwords, limits and the delay of a failure."""

from __future__ import annotations

import random

from nova_aggregates.simulator.calls import Call, api
from nova_aggregates.simulator.errors import NULL_REF, ApiError
from nova_aggregates.simulator.machine import Machine, Process, Session
from nova_aggregates.simulator.values import datetime_at, new_ref

SUPERUSER = "root"
SYSTEM_USERS = frozenset([SUPERUSER, "nobody", "daemon", "bin", "sshd"])
LIMIT_PER_ORIGINATOR = 500
LIMIT_WITHOUT_ORIGINATOR = 400


async def check_password(machine: Machine, user: str, password: str) -> None:
    """Raises SESSION_AUTHENTICATION_FAILED after the 1.5-2.5 s that a failure takes (observed)."""
    if user == SUPERUSER and password == machine.disk.password:
        return
    usual = machine.profile.timings.login_failure
    await machine.clock.sleep(usual * random.uniform(0.8, 1.3))  # noqa: S311 a delay, no secret
    known = user in SYSTEM_USERS
    message = (
        "Authentication failure"
        if known
        else "User not known to the underlying authentication module"
    )
    raise ApiError("SESSION_AUTHENTICATION_FAILED", user, message)


@api("session.login_with_password")
async def login(call: Call, user: str, password: str, version: str, originator: str) -> str:
    """The role counts before the password: a slave says HOST_IS_SLAVE to anybody (observed)."""
    del version
    process = call.process
    if not process.is_master:
        raise ApiError("HOST_IS_SLAVE", process.master_address or "")
    account = call.machine.site.directory.get(user)
    if account is not None and password == account.password:
        if account.role is None:
            raise ApiError("SESSION_AUTHORIZATION_FAILED", user, "Subject has no role")
        return open_session(process, Session(user, originator, False, account.role))
    await check_password(call.machine, user, password)
    return open_session(process, Session(user, originator))


def open_session(process: Process, session: Session) -> str:
    db = process.machine.site.database_of(process)
    now = process.machine.clock.now()
    session.last_active = now
    ref = new_ref()
    db.create(
        "session",
        ref,
        this_host=db.master,
        this_user=NULL_REF,
        last_active=datetime_at(now),
        is_local_superuser=session.local_superuser,
        auth_user_name=session.user,
        originator=session.originator,
        validation_time=datetime_at(now),
    )
    process.sessions[ref] = session
    return ref


@api("session.slave_local_login_with_password")
async def local_login(call: Call, user: str, password: str) -> str:
    await check_password(call.machine, user, password)
    ref = new_ref()
    call.process.local_sessions.add(ref)
    return ref


@api("session.logout")
def logout(call: Call) -> None:
    """On a local session this answers success and ends nothing (observed)."""
    if call.local:
        return
    end_session(call.process, call.session_ref)


def end_session(process: Process, ref: str) -> None:
    process.sessions.pop(ref, None)
    for callback in process.on_logout:
        callback(ref)
    if process.db is not None and process.db.peek("session", ref) is not None:
        process.db.delete("session", ref)


@api("session.local_logout")
def local_logout(call: Call) -> None:
    call.process.local_sessions.discard(call.session_ref)


@api("session.get_all_subject_identifiers")
def subject_identifiers(call: Call) -> list[str]:
    del call
    return []


@api("session.change_password")
def change_password(call: Call, old: str, new: str) -> None:
    """For root the old password is not looked at (observed); all members get the new one."""
    del old
    for _, member in call.machine.site.members(call.db):
        if member.answers:
            member.disk.password = new


@api("host.is_in_emergency_mode")
def is_in_emergency_mode(call: Call) -> bool:
    return call.process.emergency is not None


@api("host.local_assert_healthy")
def local_assert_healthy(call: Call) -> None:
    if call.process.emergency is not None:
        raise call.process.emergency


def enforce_limits(process: Process, idle_limit: float) -> None:
    """Destroy idle sessions and, above the limits, the longest idle ones (db_gc_util.ml)."""
    now = process.machine.clock.now()
    groups: dict[str, list[str]] = {}
    for ref, session in list(process.sessions.items()):
        if now - session.last_active > idle_limit:
            end_session(process, ref)
        else:
            groups.setdefault(session.originator, []).append(ref)
    for originator, refs in groups.items():
        limit = LIMIT_PER_ORIGINATOR if originator else LIMIT_WITHOUT_ORIGINATOR
        refs.sort(key=lambda r: process.sessions[r].last_active)
        for ref in refs[: max(0, len(refs) - limit)]:
            end_session(process, ref)
