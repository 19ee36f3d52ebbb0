"""From HTTP requests to API calls: the paths, the two encodings, and what is no call at all."""

from __future__ import annotations

from html import escape

from nova_aggregates.simulator import jsonrpc, scenario, xmlrpc
from nova_aggregates.simulator.dispatch import BareResult, Emergency, dispatch
from nova_aggregates.simulator.errors import ApiError, MalformedRequest, ProcessGone
from nova_aggregates.simulator.faults import WireFault
from nova_aggregates.simulator.http_server import BODY_LIMIT, CORS, Request, Response
from nova_aggregates.simulator.machine import Machine

XML = ("content-type", "text/xml")
JSON = ("content-type", "application/json")
HTML = ("content-type", "text/html")
NOT_FOUND = (
    '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN"> <html><head> <title>404 Not Found</title> '
    "</head><body> <h1>Not Found</h1> <p>The requested URL {} was not found on this server.</p> "
    "<hr><address>Xapi Server</address></body></html>"
)
NOT_IMPLEMENTED = (
    "<html><body><h1>HTTP 501 Method Not Implemented</h1><p>Unknown {} not supported.<br /></p>"
    "</body></html>"
)
BROKEN = (
    "<html><body><h1>HTTP 500 internal server error</h1>An unexpected error occurred; please wait "
    "a while and try again. If the problem persists, please contact your support representative."
    "<h1> Additional information </h1>{}</body></html>"
)


async def handle(machine: Machine, request: Request) -> Response | None:
    """The answer, or None to close the connection without one."""
    if request.verb == "OPTIONS":
        return _preflight(request)
    if request.verb == "GET":
        return Response("404 Not Found", NOT_FOUND.format(escape(request.path)).encode())
    if request.verb not in ("POST", "PUT"):
        page = NOT_IMPLEMENTED.format(request.verb).encode()
        return Response("501 Method not implemented", page, [HTML], close=True)
    if "content-length" not in request.headers:
        return broken('Failure("We require a content-length: HTTP header")')
    if len(request.body) > BODY_LIMIT:
        return broken("Http_svr.Too_large")
    try:
        if request.path.split("?", 1)[0].startswith("/jsonrpc"):
            return await _json(machine, request)
        return await _xml(machine, request)
    except MalformedRequest as error:
        return broken(str(error))
    except ProcessGone:
        return None


def broken(text: str) -> Response:
    page = BROKEN.format(escape(text).replace("&#x27;", "&apos;")).encode()
    return Response("500 Internal Error", page, [HTML], close=True)


def _preflight(request: Request) -> Response:
    asked = request.headers.get("access-control-request-headers")
    allowed = f"{asked}, X-Requested-With" if asked else "X-Requested-With"
    headers = [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Headers", allowed),
        ("Access-Control-Allow-Methods", "PUT"),
    ]
    return Response("200 OK", b"", headers)


async def _xml(machine: Machine, request: Request) -> Response | None:
    method, params = xmlrpc.parse_request(request.body)
    fault = machine.site.faults.take(machine.name, method)
    try:
        value = await _call(machine, method, params, fault, "xml")
        body = xmlrpc.success(value)
    except BareResult as result:
        body = xmlrpc.bare_response(result.value)
    except ApiError as error:
        body = xmlrpc.failure(error.description)
    return await _spoil(machine, fault, Response("200 OK", body, [XML, *CORS]))


async def _json(machine: Machine, request: Request) -> Response | None:
    asked = jsonrpc.parse_request(request.body)
    fault = machine.site.faults.take(machine.name, asked.method)
    try:
        flavour = f"json-{asked.version}"
        value = await _call(machine, asked.method, asked.params, fault, flavour)
        body = jsonrpc.success(asked, value)
    except BareResult as result:
        body = jsonrpc.success(asked, result.value)
    except Emergency as error:
        body = jsonrpc.emergency(error.description)
    except ApiError as error:
        body = jsonrpc.failure(asked, error.description)
    return await _spoil(machine, fault, Response("200 OK", body, [JSON, *CORS]))


async def _call(
    machine: Machine,
    method: str,
    params: list[object],
    fault: WireFault | None,
    flavour: str,
) -> object:
    if fault is not None and fault.action == "drop-before":
        raise ProcessGone(machine.name)
    if fault is not None and fault.action == "error":
        raise ApiError(*fault.error)
    if fault is not None and fault.action == "trigger":
        await trigger(machine, fault)
    process = machine.process
    if process is None:
        raise ProcessGone(machine.name)
    if fault is not None and fault.action == "session-invalid":
        session = str(params[0]) if params else ""
        process.sessions.pop(session, None)
        raise ApiError("SESSION_INVALID", session)
    result = await dispatch(process, method, params, flavour)
    if fault is not None and fault.action == "omit":
        return _without(result, frozenset(fault.fields))
    return result


async def trigger(machine: Machine, fault: WireFault) -> None:
    """Without ``seconds`` the call goes on only when the events have happened."""
    for event in map(scenario.parse, fault.then):
        work = scenario.perform_later(machine.site, event, fault.seconds + event.at)
        if fault.seconds or event.at or fault.action == "trigger-after":
            machine.site.background(work)
        else:
            await work


def _without(value: object, names: frozenset[str]) -> object:
    """As an older release that does not have these fields would answer."""
    if isinstance(value, dict):
        return {k: _without(v, names) for k, v in value.items() if k not in names}
    if isinstance(value, list):
        return [_without(v, names) for v in value]
    return value


async def _spoil(machine: Machine, fault: WireFault | None, response: Response) -> Response | None:
    if fault is None:
        return response
    if fault.action == "drop-after":
        return None
    if fault.action == "hang":
        while True:
            await machine.clock.sleep(3600)
    if fault.action == "delay":
        await machine.clock.sleep(fault.seconds)
    if fault.action == "trigger-after":
        await trigger(machine, fault)
    return _spoil_body(fault.action, response)


def _spoil_body(action: str, response: Response) -> Response:
    if action == "truncate":
        response.cut = len(response.body) // 2
    if action == "garbage":
        response.body = b"<methodResponse><params>" + response.body[:20]
    if action == "content-type":
        response.headers = [HTML, *CORS]
    if action == "http-500":
        return broken('Failure("injected")')
    return response
