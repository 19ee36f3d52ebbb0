"""Extension discovery, as nova/api/openstack/extensions.py at tag 2012.1 renders it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lxml import etree

COMMON_NAMESPACE = "http://docs.openstack.org/common/api/v1.0"
NSMAP: Any = {None: COMMON_NAMESPACE, "atom": "http://www.w3.org/2005/Atom"}


@dataclasses.dataclass(frozen=True, slots=True)
class Extension:
    alias: str
    name: str
    namespace: str
    updated: str
    description: str


def show(extension: Extension) -> dict[str, Any]:
    return {"extension": _extension(extension)}


def index(extensions: Iterable[Extension]) -> dict[str, Any]:
    return {"extensions": [_extension(extension) for extension in extensions]}


def _extension(extension: Extension) -> dict[str, Any]:
    return {
        "updated": extension.updated,
        "name": extension.name,
        "links": [],
        "namespace": extension.namespace,
        "alias": extension.alias,
        "description": extension.description,
    }


def _to_xml(extension: dict[str, Any]) -> etree._Element:
    element = etree.Element(f"{{{COMMON_NAMESPACE}}}extension", nsmap=NSMAP)
    for name in ("name", "namespace", "alias", "updated"):
        element.set(name, extension[name])
    child = etree.SubElement(element, f"{{{COMMON_NAMESPACE}}}description")
    child.text = extension["description"]
    return element


def _list_to_xml(extensions: list[dict[str, Any]]) -> etree._Element:
    root = etree.Element(f"{{{COMMON_NAMESPACE}}}extensions", nsmap=NSMAP)
    root.extend(_to_xml(extension) for extension in extensions)
    return root


XML_WRITERS: Mapping[str, Callable[[Any], etree._Element]] = {
    "extension": _to_xml,
    "extensions": _list_to_xml,
}
