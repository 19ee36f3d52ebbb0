"""XML-RPC as xapi writes and reads it (ocaml-rpc ``xmlrpc.ml``; observed byte by byte)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lxml import etree

from nova_aggregates.simulator.errors import MalformedRequest
from nova_aggregates.simulator.values import DateTime, TypedInt, ocaml_int

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
_SPECIAL = re.compile(r'[&<>"]')
_HEAD = '<?xml version="1.0"?><methodResponse><params><param>'
_TAIL = "</param></params></methodResponse>"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


def encode(value: Any) -> str:
    """``<value>…</value>``: text and integers stay untyped, so clients read both as strings."""
    if isinstance(value, DateTime):
        return f"<value><dateTime.iso8601>{value}</dateTime.iso8601></value>"
    if isinstance(value, str):
        return f"<value>{_escaped(value)}</value>"
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
            f"<member><name>{_escaped(str(k))}</name>{encode(v)}</member>" for k, v in value.items()
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
    _expect(root, "methodCall")
    name, params = _children(root, ("methodName", "params"))
    method = _text(name)
    if not method:
        raise _malformed("close_tag", "data")
    return method, [_value(*_children(param, ("value",))) for param in _all(params, "param")]


def _malformed(found: str, wanted: str) -> MalformedRequest:
    return MalformedRequest(f'Xmlrpc.Parse_error("{found}", "{wanted}", _)')


def _tag(element: etree._Element) -> str:
    return str(etree.QName(element).localname)


def _expect(element: etree._Element, tag: str) -> None:
    if _tag(element) != tag:
        raise _malformed(f"open_tag({_tag(element)})", f"open_tag({tag})")


def _elements(element: etree._Element) -> list[etree._Element]:
    """The children of an element that has no text of its own but blanks between them."""
    children = list(element)
    for text in (element.text, *(child.tail for child in children)):
        if text is not None and text.strip(BLANKS):
            raise _malformed(f"data({text})", "open_tag")
    return children


def _all(element: etree._Element, tag: str) -> list[etree._Element]:
    children = _elements(element)
    for child in children:
        _expect(child, tag)
    return children


def _children(element: etree._Element, tags: tuple[str, ...]) -> list[etree._Element]:
    """Exactly these, in this order."""
    children = _elements(element)
    for child, tag in zip(children, tags, strict=False):
        _expect(child, tag)
    if len(children) < len(tags):
        raise _malformed("close_tag", "open_tag")
    if len(children) > len(tags):
        extra = _tag(children[len(tags)])
        raise _malformed(f"open_tag({extra})", f"close_tag({_tag(element)})")
    return children


def _text(element: etree._Element) -> str:
    if len(element):
        raise _malformed(f"open_tag({_tag(element[0])})", "data")
    return element.text or ""


def _array(element: etree._Element) -> list[Any]:
    (data,) = _children(element, ("data",))
    return [_value(value) for value in _all(data, "value")]


def _struct(element: etree._Element) -> dict[str, Any]:
    found = {}
    for member in _all(element, "member"):
        name, value = _children(member, ("name", "value"))
        if not _text(name):
            raise _malformed("open_tag(value)", "close_tag(name)")
        found[_text(name)] = _value(value)
    return found


def _nil(element: etree._Element) -> None:
    raise _malformed(f"data({element.text})", "close_tag(nil)")


BLANKS = "\n\t "
# What an element without any content stands for; the others may not be empty.
_EMPTY: dict[str, Callable[[], Any]] = {"string": str, "array": list, "struct": dict}
_DECODERS: dict[str, Callable[[etree._Element], Any]] = {
    "string": _text,
    "i4": lambda e: ocaml_int(_text(e)),
    "int": lambda e: ocaml_int(_text(e)),
    "i8": lambda e: ocaml_int(_text(e)),
    "boolean": lambda e: _text(e) == "1",
    "double": lambda e: float(_text(e)),
    "dateTime.iso8601": lambda e: DateTime(_text(e)),
    "base64": _text,
    "nil": _nil,
    "array": _array,
    "struct": _struct,
}


def _value(value: etree._Element) -> Any:
    if len(value) == 0:
        return value.text or ""
    (child,) = _children(value, (_tag(value[0]),))
    tag = _tag(child)
    if len(child) == 0 and child.text is None:
        if tag == "nil":
            return None
        if tag not in _EMPTY:
            raise _malformed(f"empty_{tag}", tag)
        return _EMPTY[tag]()
    decoder = _DECODERS.get(tag)
    if decoder is None:
        raise _malformed(f"open_tag({tag})", "close_tag")
    try:
        return decoder(child)
    except ValueError:
        raise MalformedRequest('Failure("Int64.of_string")') from None
