"""Which format is spoken."""

from __future__ import annotations

import io
from typing import Any

import pytest
from lxml import etree

from nova_aggregates.api import serialization
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import MINIMUM, VERSION
from nova_aggregates.api.schemas import EXCHANGES
from nova_aggregates.api.serialization import JSON, XML

LIST: Any = EXCHANGES["GET /extensions"].answers[200]


@pytest.mark.parametrize(
    ("path", "accept", "wanted"),
    [
        ("/x", None, JSON),
        ("/x", "", JSON),
        ("/x", "*/*", JSON),
        ("/x", "application/*", JSON),
        ("/x", JSON, JSON),
        ("/x", XML, XML),
        ("/x", "application/vnd.openstack.compute+xml", XML),
        ("/x", "application/vnd.openstack.compute+json", JSON),
        ("/x", "application/xml, application/json", JSON),
        ("/x", "application/xml, application/json;q=0.5", XML),
        ("/x", "application/xml;q=0, */*", JSON),
        ("/x", "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", XML),
        ("/x.xml", None, XML),
        ("/x.xml", JSON, XML),
        ("/x.json", XML, JSON),
        ("/x.xml/y", None, JSON),
        ("/x.yaml", None, JSON),
        ("/.xml", None, XML),
    ],
)
def test_wanted(path: str, accept: str | None, wanted: str) -> None:
    environ = {"PATH_INFO": path}
    if accept is not None:
        environ["HTTP_ACCEPT"] = accept
    serialization.negotiate(environ)
    assert environ[serialization.FORMAT] == wanted
    assert serialization.render({"aggregates": []}, environ, {})[0] == wanted


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "text/event-stream"])
def test_neither_format_is_accepted(accept: str) -> None:
    environ: dict[str, Any] = {"PATH_INFO": "/x", "HTTP_ACCEPT": accept}
    with pytest.raises(Fault) as caught:
        serialization.negotiate(environ)
    assert caught.value.status == 406
    # The fault itself needs some format.
    assert serialization.render({"computeFault": {}}, environ, {})[0] == JSON


def test_streams_are_accepted_by_their_readers() -> None:
    environ: dict[str, Any] = {"PATH_INFO": "/x", "HTTP_ACCEPT": "text/event-stream"}
    serialization.negotiate(environ, streams=True)
    assert environ[serialization.FORMAT] == JSON


@pytest.mark.parametrize(("path", "accept"), [("/x", XML), ("/x.xml", ""), ("/x", "image/png")])
def test_xml_ended_with_v21(path: str, accept: str) -> None:
    environ = {"PATH_INFO": path, "HTTP_ACCEPT": accept, VERSION: MINIMUM}
    serialization.negotiate(environ)
    assert environ[serialization.FORMAT] == JSON
    assert serialization.without_suffix(environ, path) == path


def test_extensions_in_xml() -> None:
    extension = {
        "updated": "u",
        "name": 'a "b"',
        "links": [],
        "namespace": "n",
        "alias": "<x>",
        "description": "d & e",
    }
    media_type, body = serialization.render(
        {"extensions": [extension]}, {"PATH_INFO": "/x.xml"}, LIST
    )
    assert media_type == XML
    root = etree.fromstring(body)
    common = "{http://docs.openstack.org/common/api/v1.0}"
    assert root.tag == f"{common}extensions"
    (child,) = root
    assert child.tag == f"{common}extension"
    assert dict(child.attrib) == {
        "name": 'a "b"',
        "namespace": "n",
        "alias": "<x>",
        "updated": "u",
    }
    assert [(element.tag, element.text) for element in child] == [(f"{common}description", "d & e")]


class Broken:
    def read(self, _length: int) -> bytes:
        raise TimeoutError("timed out")


@pytest.mark.parametrize(
    ("stream", "length", "status"),
    [(io.BytesIO(), "", 400), (io.BytesIO(b"{}"), "3", 400), (Broken(), "3", 400)],
)
def test_body_that_does_not_come(stream: Any, length: str, status: int) -> None:
    environ = {"wsgi.input": stream, "CONTENT_LENGTH": length, "CONTENT_TYPE": JSON}
    with pytest.raises(Fault) as caught:
        serialization.read(environ, {})
    assert caught.value.status == status


def test_only_the_announced_bytes_are_read() -> None:
    environ = {
        "wsgi.input": io.BytesIO(b'{"a": 1}GET / HTTP/1.1'),
        "CONTENT_LENGTH": "8",
        "CONTENT_TYPE": JSON,
    }
    assert serialization.read(environ, {}) == {"a": 1}
