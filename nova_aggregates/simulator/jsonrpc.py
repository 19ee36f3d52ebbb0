"""JSON-RPC 1.0 and 2.0 as xapi speaks them on /jsonrpc (ocaml-rpc ``jsonrpc.ml``; observed)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nova_aggregates.simulator.errors import MalformedRequest


@dataclass(frozen=True)
class Request:
    version: int
    id: int | str
    method: str
    params: list[Any]


def parse_request(body: bytes) -> Request:
    """Raises MalformedRequest for what xapi answers with HTTP 500: batches, no id, no params…"""
    try:
        found = json.loads(body.decode("utf-8", "surrogateescape"))
    except ValueError:
        text = "Blank input data" if not body.strip() else "Line 1: Invalid token"
        raise MalformedRequest(f'Yojson__Common.Json_error("{text}")') from None
    if not isinstance(found, dict):
        raise _malformed("Invalid request body")
    version = _version(found)
    method = found.get("method")
    if not isinstance(method, str):
        raise _malformed("Invalid field 'method' in request body")
    if isinstance(found.get("id"), bool) or not isinstance(found.get("id"), (int, str)):
        raise _malformed("Invalid field 'id' in request body")
    return Request(version, found["id"], method, _params(found, version))


def _malformed(text: str) -> MalformedRequest:
    return MalformedRequest(f'Jsonrpc.Malformed_method_request("{text}")')


def _version(found: dict[str, Any]) -> int:
    if "jsonrpc" not in found:
        return 1
    if found["jsonrpc"] != "2.0":
        raise _malformed("jsonrpc")
    return 2


def _params(found: dict[str, Any], version: int) -> list[Any]:
    if "params" not in found:
        if version == 2:
            return []
        raise _malformed("Required field params is missing")
    params = found["params"]
    if isinstance(params, list):
        return params
    if version == 2 and isinstance(params, dict):
        return [params]
    raise _malformed("Invalid field 'params' in request body")


def _dump(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def success(request: Request, value: Any) -> bytes:
    value = "" if value is None else value
    if request.version == 1:
        return _dump({"result": value, "error": None, "id": request.id})
    return _dump({"jsonrpc": "2.0", "result": value, "id": request.id})


def failure(request: Request, description: list[str]) -> bytes:
    if request.version == 1:
        return _dump({"result": None, "error": description, "id": request.id})
    error = {"code": 1, "message": description[0], "data": description[1:]}
    return _dump({"jsonrpc": "2.0", "error": error, "id": request.id})


def emergency(description: list[str]) -> bytes:
    """Errors raised before dispatch: a 2.0 frame, a plain list, id 0, for 1.0 too (observed)."""
    return _dump({"jsonrpc": "2.0", "error": description, "id": 0})
