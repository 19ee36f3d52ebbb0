"""Extension discovery, as nova/api/openstack/extensions.py at tag 2012.1 renders it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any


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
