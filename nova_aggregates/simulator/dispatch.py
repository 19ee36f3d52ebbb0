"""From a method name and wire values to a result, with errors in the order of the real one.

Emergency gate, name, argument count, argument types, session, role, task, execution
(idl/ocaml_backend/gen_server.ml, xapi/server_helpers.ml; order and texts observed).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

from nova_aggregates.simulator import fields, tasks
from nova_aggregates.simulator.calls import HANDLERS, Call
from nova_aggregates.simulator.datamodel import Method
from nova_aggregates.simulator.errors import NULL_REF, ApiError, ProcessGone
from nova_aggregates.simulator.machine import Phase, Process, Session
from nova_aggregates.simulator.roles import ROLES
from nova_aggregates.simulator.values import assert_utf8

LOG = logging.getLogger(__name__)
ASYNC = "Async."
SYSTEM_LIST = "system.listMethods"
# idl/datamodel.ml emergency_calls
EMERGENCY_CALLS = frozenset(
    [
        "pool.emergency_reset_master",
        "pool.emergency_transition_to_master",
        "pool.is_slave",
        "session.slave_local_login",
        "session.slave_local_login_with_password",
        "session.local_logout",
        "host.propose_new_master",
        "host.commit_new_master",
        "host.abort_new_master",
        "host.local_assert_healthy",
        "host.is_in_emergency_mode",
        "host.local_management_reconfigure",
        "host.emergency_ha_disable",
        "host.management_disable",
        "host.shutdown_agent",
        "host.emergency_reset_server_certificate",
        "host.emergency_disable_tls_verification",
        "host.emergency_reenable_tls_verification",
        "host.emergency_clear_mandatory_guidance",
        "host.get_system_status_capabilities",
        "host.signal_networking_change",
        "host.ha_xapi_healthcheck",
        "host.update_firewalld_service_status",
    ]
)


class BareResult(Exception):
    """The result is to be sent without the Status envelope."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Emergency(ApiError):
    """Raised before dispatch, which JSON-RPC shows in a frame of its own."""


async def dispatch(process: Process, name: str, params: list[Any], flavour: str = "xml") -> Any:
    """Answer one call. Raises ApiError; BareResult for system.listMethods."""
    called, asynchronous = (name[6:], True) if name.startswith(ASYNC) else (name, False)
    if process.phase is Phase.EMERGENCY and called not in EMERGENCY_CALLS:
        raise _emergency(process, flavour if flavour == "json-1" else called)
    model = process.machine.model
    if called == SYSTEM_LIST:
        raise BareResult(list(model.methods))
    method = model.methods.get(called)
    if method is None:
        await _unknown(process, called, params)
        raise ApiError("MESSAGE_METHOD_UNKNOWN", called)
    if method.refused:
        raise ApiError(method.refused)
    session_ref, args = _split(method, params)
    if asynchronous and not has_async(method):
        raise ApiError("Fault", f"No async mode for this operation (rpc: {called})")
    args = _decode(process, method, args)
    call = Call(process, method, session_ref, shown_name=name)
    await check_session(call)
    if asynchronous:
        return tasks.start_async(call, lambda: run(call, args))
    return await run(call, args)


def _emergency(process: Process, kind: str) -> Emergency:
    """For a blink a starting slave has no address yet. Who sees that is chance on a real host;
    here it is the first caller of the kinds that saw it in the recordings."""
    if kind in process.without_address:
        process.without_address.discard(kind)
        return Emergency("HOST_HAS_NO_MANAGEMENT_IP")
    error = process.emergency or ApiError("HOST_STILL_BOOTING")
    return Emergency(error.code, *error.params)


def has_async(method: Method) -> bool:
    return method.has_async and method.accessor is None and method.cls not in ("session", "event")


async def _unknown(process: Process, called: str, params: list[Any]) -> None:
    """With a first parameter, an unknown method is first a question of the session."""
    if params and isinstance(params[0], str):
        call = Call(process, Method(called, "", "", "read-only", False, "void", ()), params[0])
        await check_session(call)


def _split(method: Method, params: list[Any]) -> tuple[str, list[Any]]:
    if not method.needs_session:
        _check_count(method, len(params))
        return NULL_REF, params
    _check_count(method, len(params) - 1)
    session = params[0]
    return (session if isinstance(session, str) else str(session)), params[1:]


def _check_count(method: Method, received: int) -> None:
    wanted = method.required
    if received == wanted or (received > wanted and method.takes_more):
        return
    raise ApiError("MESSAGE_PARAMETER_COUNT_MISMATCH", method.name, str(wanted), str(received))


def _decode(process: Process, method: Method, args: list[Any]) -> list[Any]:
    decoder = process.machine.model.decoder
    decoded = []
    for position, param in enumerate(method.params):
        if position >= len(args) or param.absent:
            decoded.append(param.default)
            continue
        if isinstance(args[position], str):
            assert_utf8(args[position])
        decoded.append(decoder.decode(param.kind, args[position]))
    return decoded


async def check_session(call: Call) -> None:
    """Raises SESSION_INVALID; on a slave HOST_IS_SLAVE for a session of its master (observed)."""
    process, method = call.process, call.method
    if not method.needs_session and method.name:
        return
    ref = call.session_ref
    if ref in process.local_sessions:
        call.local = True
        call.session = Session("root", "local")
        return
    if process.is_master:
        session = process.sessions.get(ref)
        if session is None:
            raise ApiError("SESSION_INVALID", ref)
        session.last_active = process.machine.clock.now()
        call.session = session
        return
    await process.machine.site.reach_master(process)
    master = process.machine.site.master_of(process).process
    if master is None or ref not in master.sessions:
        raise ApiError("SESSION_INVALID", ref)
    raise ApiError("HOST_IS_SLAVE", process.master_address or "")


def check_role(call: Call) -> None:
    session = call.session
    if session is None or session.local_superuser:
        return
    wanted = call.method.role
    if wanted == "root" or ROLES.index(session.role) < ROLES.index(wanted):
        raise ApiError(
            "RBAC_PERMISSION_DENIED", call.method.name.lower(), "No permission in user session"
        )


async def run(call: Call, args: list[Any]) -> Any:
    """Execute a decoded call. What follows here ends up in the task of an Async call."""
    check_role(call)
    if call.method.needs_session and not call.process.is_master:
        await call.machine.site.reach_master(call.process, unless=call.method.name)
    handler = HANDLERS.get(call.method.name) or fields.handler_for(call.method)
    try:
        result = handler(call, *args)
        if inspect.isawaitable(result):
            result = await result
    except (ApiError, BareResult, ProcessGone, asyncio.CancelledError):
        raise
    except Exception as error:
        LOG.exception("%s failed", call.method.name)
        raise ApiError("INTERNAL_ERROR", repr(error)) from error
    finally:
        tasks.finish_sync(call)
    return "" if result is None else result


async def call_internally(process: Process, name: str, *args: Any) -> Any:
    """A call that the toolstack makes by itself, or somebody at its console: with all rights."""
    method = process.machine.site.model.methods[name]
    missing = [p.default for p in method.params[len(args) :]]
    return await run(Call(process, method, shown_name=name), [*args, *missing])
