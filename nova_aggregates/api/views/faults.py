"""Faults in XML: ``code`` is an attribute, everything else a child."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

from nova_aggregates.api.faults import NAMES, OTHER_NAME

NAMESPACE = "http://docs.openstack.org/compute/api/v1.1"
NSMAP: Any = {None: NAMESPACE}


def to_xml(name: str, detail: dict[str, Any]) -> etree._Element:
    root = etree.Element(f"{{{NAMESPACE}}}{name}", nsmap=NSMAP)
    root.set("code", str(detail["code"]))
    for key, value in detail.items():
        if key != "code":
            etree.SubElement(root, f"{{{NAMESPACE}}}{key}").text = str(value)
    return root


XML_WRITERS: Mapping[str, Callable[[Any], etree._Element]] = {
    name: functools.partial(to_xml, name) for name in (*NAMES.values(), OTHER_NAME)
}
