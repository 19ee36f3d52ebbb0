"""Wire formats. A document is a dict with one root key, whatever the format.

JSON is read and written for everything. XML is written for the documents whose view registers a
writer under its root key; for the others JSON is answered, which RFC 9110 (12.4.1) allows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import webob.acceptparse
from lxml import etree

from nova_aggregates.api.faults import Fault
from nova_aggregates.api.views import XML_WRITERS

JSON = "application/json"
XML = "application/xml"
SUFFIXES: Mapping[str, str] = {".json": JSON, ".xml": XML}
# In the order of preference when the client has none.
OFFERS: Mapping[str, str] = {
    JSON: JSON,
    "application/vnd.openstack.compute+json": JSON,
    XML: XML,
    "application/vnd.openstack.compute+xml": XML,
}

Environ = dict[str, Any]


def split_suffix(path: str) -> tuple[str, str | None]:
    """The path without ``.json`` or ``.xml``, and the media type that the suffix asks for."""
    for suffix, media_type in SUFFIXES.items():
        if path.endswith(suffix):
            return path[: -len(suffix)], media_type
    return path, None


def wanted(environ: Environ) -> str:
    """The media type that the client wants: by suffix, else by Accept, else JSON."""
    _, media_type = split_suffix(environ.get("PATH_INFO", ""))
    if media_type:
        return media_type
    accept = environ.get("HTTP_ACCEPT")
    if accept is None or accept in ("*/*", JSON):
        return JSON
    acceptable = webob.acceptparse.create_accept_header(accept).acceptable_offers(list(OFFERS))
    return OFFERS[acceptable[0][0]] if acceptable else JSON


def render(document: dict[str, Any], environ: Environ) -> tuple[str, bytes]:
    """The media type and the bytes of an answer."""
    root = next(iter(document))
    writer = XML_WRITERS.get(root)
    if writer and wanted(environ) == XML:
        element = writer(document[root])
        return XML, etree.tostring(element, xml_declaration=True, encoding="UTF-8")
    return JSON, json.dumps(document).encode("ascii")


def read(environ: Environ) -> Any:
    """The document in the body of a request.

    :raises Fault: 400 for a body that is missing or malformed, 415 for a format unknown here.
    """
    raw = _raw_body(environ)
    if not raw:
        raise Fault(400, "This request needs a body.")
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    reader = READERS.get(media_type)
    if reader is None:
        raise Fault(
            415, f"The content type {media_type or '(none)'} is not supported here. Send {JSON}."
        )
    return reader(raw)


def _raw_body(environ: Environ) -> bytes:
    """The middleware ``sizelimit`` has seen to it that CONTENT_LENGTH is there and bounded."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    try:
        raw = environ["wsgi.input"].read(length) if length else b""
    except OSError:
        raise Fault(400, "The body did not arrive in time.") from None
    if len(raw) < length:
        raise Fault(400, f"The body ended after {len(raw)} of {length} bytes.")
    return raw


def _read_json(raw: bytes) -> Any:
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError:
        raise Fault(400, "The body is not UTF-8.") from None
    except ValueError as error:
        raise Fault(400, f"The body is not valid JSON: {error}.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


READERS: Mapping[str, Callable[[bytes], Any]] = {
    JSON: _read_json,
    "application/vnd.openstack.compute+json": _read_json,
}
