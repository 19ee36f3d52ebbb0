"""Answers of /extensions."""

from __future__ import annotations

from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.types import ATTRIBUTE, OMITTED, TEXT, answer

NAMESPACE = "http://docs.openstack.org/common/api/v1.0"

EXTENSION: Schema = {
    **answer(
        {
            "updated": ATTRIBUTE,
            "name": ATTRIBUTE,
            "links": {"type": "array", "items": {}, "maxItems": 0, "xml": OMITTED},
            "namespace": ATTRIBUTE,
            "alias": ATTRIBUTE,
            "description": TEXT,
        }
    ),
    "xml": {"namespace": NAMESPACE},
}
LIST: Schema = {"type": "array", "items": EXTENSION, "xml": {"namespace": NAMESPACE}}

EXCHANGES = {
    "GET /extensions": Exchange("List the extensions.", {200: answer({"extensions": LIST})}),
    "GET /extensions/{alias}": Exchange(
        "Show an extension.", {200: answer({"extension": EXTENSION})}
    ),
}
