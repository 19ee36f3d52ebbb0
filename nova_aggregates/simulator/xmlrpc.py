"""XML-RPC as xapi writes and reads it (ocaml-rpc ``xmlrpc.ml``; observed byte by byte)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree

from nova_aggregates.simulator.errors import MalformedRequest
from nova_aggregates.simulator.values import DateTime, TypedInt

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
_HEAD = '<?xml version="1.0"?><methodResponse><params><param>'
_TAIL = "</param></params></methodResponse>"


def encode(value: Any) -> str:
    """``<value>…</value>``: text and integers stay untyped, so clients read both as strings."""
    if isinstance(value, DateTime):
        return f"<value><dateTime.iso8601>{value}</dateTime.iso8601></value>"
    if isinstance(value, str):
        return f"<value>{value.translate(_ESCAPES)}</value>"
    if isinstance(value, bool):
        return f"<value><boolean>{int(value)}</boolean></value>"
    if isinstance(value, TypedInt):
        return f"<value><i4>{int(value)}</i4></value>"
    if isinstance(value, int):
        return f"<value>{value}</value>"
    if isinstance(value, float):
        return f"<value><double>{value:.16g}</double></value>"
    if isinstance(value, dict):
        members = "".join(
            f"<member><name>{str(k).translate(_ESCAPES)}</name>{encode(v)}</member>"
            for k, v in value.items()
        )
        return f"<value><struct>{members}</struct></value>"
    if value is None:
        return "<value></value>"
    return f"<value><array><data>{''.join(map(encode, value))}</data></array></value>"


def bare_response(value: Any) -> bytes:
    """An answer without the Status struct: system.listMethods alone has that (observed)."""
    return f"{_HEAD}{encode(value)}{_TAIL}".encode()


def success(value: Any) -> bytes:
    return bare_response({"Status": "Success", "Value": value})


def failure(description: list[str]) -> bytes:
    return bare_response({"Status": "Failure", "ErrorDescription": description})


def parse_request(body: bytes) -> tuple[str, list[Any]]:
    """Method name and parameters. Raises MalformedRequest with a text for the HTTP 500 page."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        detail = "unexpected end of input" if not body.strip() else "expected root element"
        line, column = error.position if error.position else (1, 1)
        raise MalformedRequest(f'Xmlm.Error({line}:{max(1, column)}, "{detail}")') from None
    if root.tag != "methodCall":
        raise MalformedRequest(
            f'Xmlrpc.Parse_error("open_tag({root.tag})", "open_tag(methodCall)", _)'
        )
    name = root.findtext("methodName") or ""
    if not name:
        raise MalformedRequest('Xmlrpc.Parse_error("close_tag", "data", _)')
    return name, [_decode(value) for value in root.iterfind("params/param/value")]


def _array(element: etree._Element) -> list[Any]:
    return [_decode(value) for value in element.iterfind("data/value")]


def _struct(element: etree._Element) -> dict[str, Any]:
    found = {}
    for member in element.iterfind("member"):
        value = member.find("value")
        if value is not None:
            found[member.findtext("name") or ""] = _decode(value)
    return found


_DECODERS: dict[str, Callable[[etree._Element], Any]] = {
    "string": lambda e: e.text or "",
    "i4": lambda e: int(e.text or ""),
    "int": lambda e: int(e.text or ""),
    "i8": lambda e: int(e.text or ""),
    "boolean": lambda e: (e.text or "").strip() in ("1", "true"),
    "double": lambda e: float(e.text or ""),
    "dateTime.iso8601": lambda e: DateTime(e.text or ""),
    "base64": lambda e: e.text or "",
    "nil": lambda e: None,
    "array": _array,
    "struct": _struct,
}


def _decode(value: etree._Element) -> Any:
    if len(value) == 0:
        return value.text or ""
    child = value[0]
    decoder = _DECODERS.get(str(child.tag))
    if decoder is None:
        raise MalformedRequest(f'Xmlrpc.Parse_error("open_tag({child.tag})", "close_tag", _)')
    try:
        return decoder(child)
    except ValueError:
        raise MalformedRequest('Failure("Int64.of_string")') from None
