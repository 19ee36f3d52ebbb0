"""Wire formats. A document is a dict with one root key, whatever the format.

JSON and XML are read and written for everything, but below ``/v2.1``, where XML ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import webob.acceptparse

from nova_aggregates.api import xml
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import VERSION

JSON = "application/json"
XML = "application/xml"
EVENT_STREAM = "text/event-stream"
SUFFIXES: Mapping[str, str] = {".json": JSON, ".xml": XML}
# In the order of preference when the client has none.
OFFERS: Mapping[str, str] = {
    JSON: JSON,
    "application/vnd.openstack.compute+json": JSON,
    XML: XML,
    "application/vnd.openstack.compute+xml": XML,
    "text/xml": XML,
}
# Below /v2.1. Nova, too, takes text/plain and nothing at all for JSON.
JSON_ONLY: Mapping[str, str] = dict.fromkeys(
    (JSON, "application/vnd.openstack.compute+json", "text/plain", ""), JSON
)
FORMAT = "nova_aggregates.format"  # of the answer, as it was negotiated

PIECE = 200  # items of a list that are written at a time

Environ = dict[str, Any]


def without_suffix(environ: Environ, path: str) -> str:
    """The path without ``.json`` or ``.xml``, which ask for a format (not below /v2.1)."""
    return path if VERSION in environ else split_suffix(path)[0]


def split_suffix(path: str) -> tuple[str, str | None]:
    """The path without its suffix, and the media type that the suffix asks for."""
    for suffix, media_type in SUFFIXES.items():
        if path.endswith(suffix):
            return path[: -len(suffix)], media_type
    return path, None


def negotiate(environ: Environ, *, streams: bool = False) -> None:
    """Decide the format of the answer, before anything is done.

    :param streams: a successful answer is a stream of events.
    :raises Fault: 406, the client accepts none that there is.
    """
    media_type = JSON if VERSION in environ else _wanted(environ)
    if media_type is None:
        if not (streams and _accepts(environ["HTTP_ACCEPT"], [EVENT_STREAM])):
            raise Fault(406, f"Answers are {JSON} or {XML}; the request accepts neither.")
        media_type = JSON  # of a fault
    environ[FORMAT] = media_type


def _wanted(environ: Environ) -> str | None:
    """By suffix, else by Accept, else JSON; None when that fits nothing."""
    _, media_type = split_suffix(environ.get("PATH_INFO", ""))
    if media_type:
        return media_type
    accept = environ.get("HTTP_ACCEPT")
    if not accept or accept in ("*/*", JSON):
        return JSON
    acceptable = _accepts(accept, list(OFFERS))
    return OFFERS[acceptable[0][0]] if acceptable else None


def _accepts(accept: str, offers: list[str]) -> Any:
    return webob.acceptparse.create_accept_header(accept).acceptable_offers(offers)


def render(document: dict[str, Any], environ: Environ, schema: xml.Schema) -> tuple[str, bytes]:
    """The media type and the bytes of an answer.

    :param schema: of the document, for XML.
    """
    media_type = environ.get(FORMAT)
    if media_type is None:  # the request ended before its format was negotiated
        media_type = JSON if VERSION in environ else _wanted(environ)
    if media_type == XML:
        return XML, xml.write(document, schema)
    return JSON, _json(document).encode("ascii")


def _json(document: dict[str, Any]) -> str:
    """As json.dumps() writes it; a long list in pieces, between which other requests are served."""
    ((root, value),) = document.items() if len(document) == 1 else ((None, None),)
    if not isinstance(value, list) or len(value) <= PIECE:
        return json.dumps(document)
    pieces = []
    for start in range(0, len(value), PIECE):
        pieces.append(json.dumps(value[start : start + PIECE])[1:-1])
        time.sleep(0)
    return f"{{{json.dumps(root)}: [{', '.join(pieces)}]}}"


def read(environ: Environ, schema: xml.Schema) -> Any:
    """The document in the body of a request.

    :param schema: of the document, for XML, whose text has no types.
    :raises Fault: 400 for a body that is missing or malformed, 415 for a format unknown here.
    """
    raw = _raw_body(environ)
    if not raw:
        raise Fault(400, "This request needs a body.")
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    known = JSON_ONLY if VERSION in environ else OFFERS
    if media_type not in known:
        formats = " or ".join(dict.fromkeys(known.values()))
        raise Fault(
            415,
            f"The content type {media_type or '(none)'} is not supported here. Send {formats}.",
        )
    return xml.read(raw, schema) if known[media_type] == XML else _read_json(raw)


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
