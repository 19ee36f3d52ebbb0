"""Documents from the service's nouns. XML_WRITERS has the ones that exist in XML, by root key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

from nova_aggregates.api.views import extensions, faults

XML_WRITERS: Mapping[str, Callable[[Any], etree._Element]] = {
    **faults.XML_WRITERS,
    **extensions.XML_WRITERS,
}
