"""Which format is spoken."""

from __future__ import annotations

import io
from typing import Any

import pytest
from lxml import etree

from nova_aggregates.api import serialization
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.serialization import JSON, XML


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
        ("/x", "image/png", JSON),
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
    assert serialization.wanted(environ) == wanted


def test_documents_without_xml_are_answered_in_json() -> None:
    environ = {"PATH_INFO": "/x.xml"}
    assert serialization.render({"aggregates": []}, environ) == (JSON, b'{"aggregates": []}')


def test_extensions_in_xml() -> None:
    extension = {
        "updated": "u",
        "name": 'a "b"',
        "links": [],
        "namespace": "n",
        "alias": "<x>",
        "description": "d & e",
    }
    media_type, body = serialization.render({"extensions": [extension]}, {"PATH_INFO": "/x.xml"})
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
        serialization.read(environ)
    assert caught.value.status == status


def test_only_the_announced_bytes_are_read() -> None:
    environ = {
        "wsgi.input": io.BytesIO(b'{"a": 1}GET / HTTP/1.1'),
        "CONTENT_LENGTH": "8",
        "CONTENT_TYPE": JSON,
    }
    assert serialization.read(environ) == {"a": 1}
