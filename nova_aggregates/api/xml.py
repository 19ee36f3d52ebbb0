"""XML as the Compute API v1.1 spoke it, guided by the JSON schemas of requests and answers.

One element a key; None, True and False as Python writes them (the samples of nova at tag 2014.1,
doc/api_samples). Where a shape differs, the schema says so with the keyword ``xml`` of OpenAPI 3.1:

* ``name`` at the top of a schema: the root element; without it the document's first key is. At the
  items of an array: the items' elements; without it they have the singular of the array's name.
* ``name`` at a key: what it is called in XML.
* ``attribute``: the key is an attribute. In requests every key may be one.
* ``namespace``: of the element and of everything in it.
* ``x-inline``: the item has no element of its own, only those of its keys.
* ``x-entries``: each entry of the map is an element of this name, with the key as its attribute
  ``name``; a map that is null is not there.
* ``x-wrapped``: the content stands in one more element of this name.
* ``x-omitted``: not in XML.

The keys of a map (metadata) that are no XML names are carried by ``<meta key="...">``, the element
that the Compute API has for metadata of servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from nova_aggregates.api.faults import Fault
from nova_aggregates.api.text import printable

Schema = Mapping[str, Any]

META = "meta"
META_KEY = "key"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

# Without the colon, which would need a namespace (XML 1.0, section 2.3), and in ASCII: old parsers
# know the names of XML 1.0's fourth edition only.
_NAME = re.compile(r"(?!xml)[A-Za-z_][A-Za-z0-9._-]*\Z", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")


def write(document: Mapping[str, Any], schema: Schema) -> bytes:
    """:param schema: of the whole document."""
    name = _hint(schema, "name")
    value: Any = document
    if name is None:
        name = next(iter(document))
        value = document[name]
        schema = _property(schema, name)
        name = _hint(schema, "name") or name
    namespace = _hint(schema, "namespace")
    prefixes: Any = {None: namespace} if namespace else None
    root = etree.Element(_qualified(name, namespace), nsmap=prefixes)
    _fill(root, name, value, schema, namespace)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _fill(
    element: etree._Element, name: str, value: Any, schema: Schema, namespace: str | None
) -> None:
    if wrapper := _hint(schema, "x-wrapped"):
        element = etree.SubElement(element, _qualified(wrapper, namespace))
    if entry := _hint(schema, "x-entries"):
        _fill_entries(element, entry, value, schema, namespace)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _add(element, key, item, _property(schema, key), namespace, is_map=_is_map(schema))
    elif isinstance(value, list | tuple):
        items = schema.get("items", {})
        item_name = _hint(items, "name") or (name[:-1] if name.endswith("s") else "item")
        for item in value:
            if _hint(items, "x-inline"):
                _fill(element, item_name, item, items, namespace)
            else:
                _add(element, item_name, item, items, namespace, is_map=False)
    else:
        element.text = _text(value, schema)


def _fill_entries(
    element: etree._Element,
    entry: str,
    entries: Mapping[str, Any],
    schema: Schema,
    namespace: str | None,
) -> None:
    for key, value in entries.items():
        child = etree.SubElement(element, _qualified(entry, namespace))
        child.set("name", printable(key))
        if isinstance(value, Mapping):
            _fill(child, key, value, _property(schema, key), namespace)
        else:
            child.set("value", printable(str(value)))


def _add(
    parent: etree._Element,
    key: str,
    value: Any,
    schema: Schema,
    namespace: str | None,
    *,
    is_map: bool,
) -> None:
    if _hint(schema, "x-omitted") or (value is None and _hint(schema, "x-entries")):
        return
    if _hint(schema, "attribute"):
        parent.set(_hint(schema, "name") or key, printable(str(value)))
        return
    if not is_map:
        key = _hint(schema, "name") or key
    if is_map and (key == META or not _NAME.match(key)):
        child = etree.SubElement(parent, _qualified(META, namespace))
        child.set(META_KEY, printable(key))
    else:
        child = etree.SubElement(parent, _qualified(key, namespace))
    _fill(child, key, value, schema, namespace)


def _text(value: Any, schema: Schema) -> str:
    text = printable(str(value))
    # As Python writes a datetime.
    return text.replace("T", " ", 1) if schema.get("format") == "date-time-local" else text


def read(raw: bytes, schema: Schema) -> Any:
    """The document that an XML body stands for; whether it fits ``schema`` is not checked.

    :raises Fault: 400, it is not well-formed, has a document type, or has something twice.
    """
    root = _parse(raw)
    name = _local(root)
    wanted = _hint(schema, "name")
    if wanted is None:
        return {name: _value(root, _property(schema, name))}
    if name != wanted:
        raise Fault(400, f"The root element must be {wanted}.")
    return _value(root, schema)


def _parse(raw: bytes) -> etree._Element:
    # One a request: a parser that failed keeps its errors.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Fault(400, f"The body is not valid XML: {printable(str(error))}.") from None
    document_type = root.getroottree().docinfo
    if document_type.internalDTD is not None or document_type.doctype:
        raise Fault(400, "The body must not have a document type.")
    return root


def _value(element: etree._Element, schema: Schema) -> Any:
    types = _types(schema)
    if element.get(NIL) in ("true", "1") and "null" in types:
        return None
    if "array" in types:
        return [_value(child, schema.get("items", {})) for child in element]
    if "object" in types or len(element) or _plain_attributes(element):
        return _object(element, schema)
    return _scalar(element.text or "", types)


def _object(element: etree._Element, schema: Schema) -> dict[str, Any]:
    found: list[tuple[str, Any]] = [
        (key, _scalar(value, _types(_property(schema, key))))
        for key, value in _plain_attributes(element)
    ]
    for child in element:
        key = _local(child)
        if key == META and _is_map(schema) and child.get(META_KEY) is not None:
            key = str(child.attrib.pop(META_KEY))
        found.append((key, _value(child, _property(schema, key))))
    result = dict(found)
    if len(result) != len(found):
        raise Fault(400, f"The element {_local(element)} has the same key twice.")
    return result


def _scalar(text: str, types: frozenset[str]) -> Any:
    """``text`` itself when it is not what the schema wants, so that the schema refuses it."""
    if "integer" in types and _INTEGER.match(text):
        return int(text)
    if "boolean" in types:
        return BOOLEANS.get(text.lower(), text)
    return text


def _plain_attributes(element: etree._Element) -> list[tuple[str, str]]:
    """The attributes without a namespace; those with one are not about the content."""
    pairs = [(str(key), str(value)) for key, value in element.items()]
    return [pair for pair in pairs if not pair[0].startswith("{")]


def _types(schema: Schema) -> frozenset[str]:
    if isinstance(schema.get("const"), bool):
        return frozenset({"boolean"})
    types = schema.get("type", ())
    return frozenset({types} if isinstance(types, str) else types)


def _property(schema: Schema, key: str) -> Schema:
    properties = schema.get("properties", {})
    if key in properties:
        return properties[key]
    others = schema.get("additionalProperties")
    return others if isinstance(others, Mapping) else {}


def _is_map(schema: Schema) -> bool:
    return "properties" not in schema


def _hint(schema: Schema, name: str) -> Any:
    return schema.get("xml", {}).get(name)


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _qualified(name: str, namespace: str | None) -> str:
    return f"{{{namespace}}}{name}" if namespace else name
