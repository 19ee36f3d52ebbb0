"""Answers of /os-hypervisors."""

from __future__ import annotations

from nova_aggregates.api.microversion import LEGACY, MINIMUM, Version, Versioned
from nova_aggregates.api.query import NONE, Query
from nova_aggregates.api.schemas.exchange import Exchange, Schema
from nova_aggregates.api.schemas.services import STATE, STATUS
from nova_aggregates.api.schemas.types import (
    FLAG,
    INTEGER,
    OPTIONAL_TEXT,
    TEXT,
    UUID,
    answer,
    answers,
    attributes,
)

NUMBERS = (
    "vcpus",
    "memory_mb",
    "local_gb",
    "vcpus_used",
    "memory_mb_used",
    "local_gb_used",
    "free_ram_mb",
    "free_disk_gb",
    "current_workload",
    "running_vms",
    "disk_available_least",
)
SERVERS: Schema = {"type": "array", "items": attributes({"name": TEXT, "uuid": UUID})}

_LEGACY: Schema = {"id": INTEGER, "hypervisor_hostname": TEXT}
_PLAIN: Schema = {**_LEGACY, "state": STATE, "status": STATUS}
_PLAIN_V253: Schema = {**_PLAIN, "id": UUID}
_KIND: Schema = {"hypervisor_type": TEXT, "hypervisor_version": INTEGER, "host_ip": TEXT}
_USE: Schema = {**dict.fromkeys(NUMBERS, INTEGER), "cpu_info": TEXT}
_USE_V228: Schema = {**_USE, "cpu_info": {"type": "object"}}
_SERVICE: Schema = {"id": INTEGER, "host": TEXT, "disabled_reason": OPTIONAL_TEXT}
_SERVICE_V253: Schema = {**_SERVICE, "id": UUID}
LINKS: Schema = {"type": "array", "items": answer({"rel": {"const": "next"}, "href": TEXT})}


def _with_service(properties: Schema, service: Schema) -> Schema:
    schema = attributes(properties)
    schema["properties"]["service"] = attributes(service)
    schema["required"].append("service")
    return schema


def _with_servers(schema: Schema) -> Schema:
    """Servers are shown only where there are some, or somebody asked for them."""
    return {**schema, "properties": {**schema["properties"], "servers": SERVERS}}


def _page(item: Schema) -> Schema:
    schema = answers("hypervisors", item)
    return {**schema, "properties": {**schema["properties"], "hypervisors_links": LINKS}}


_DETAIL_LEGACY = _with_service({**_LEGACY, **_KIND, **_USE}, {"id": INTEGER, "host": TEXT})
_DETAIL = _with_service({**_PLAIN, **_KIND, **_USE}, _SERVICE)
_DETAIL_V228 = _with_service({**_PLAIN, **_KIND, **_USE_V228}, _SERVICE)
_DETAIL_V253 = _with_servers(_with_service({**_PLAIN_V253, **_KIND, **_USE_V228}, _SERVICE_V253))
_DETAIL_V288 = _with_servers(
    _with_service({**_PLAIN_V253, **_KIND, "uptime": OPTIONAL_TEXT}, _SERVICE_V253)
)

DETAIL: Versioned[Schema] = Versioned(
    {
        LEGACY: _DETAIL_LEGACY,
        MINIMUM: _DETAIL,
        Version(2, 28): _DETAIL_V228,
        Version(2, 53): _DETAIL_V253,
        Version(2, 88): _DETAIL_V288,
    }
)
PLAIN: Versioned[Schema] = Versioned(
    {
        LEGACY: attributes(_LEGACY),
        MINIMUM: answer(_PLAIN),
        Version(2, 53): _with_servers(answer(_PLAIN_V253)),
    }
)
UPTIME: Versioned[Schema] = Versioned(
    {
        LEGACY: attributes({**_LEGACY, "uptime": TEXT}),
        MINIMUM: answer({**_PLAIN, "uptime": TEXT}),
        Version(2, 53): answer({**_PLAIN_V253, "uptime": TEXT}),
    }
)
STATISTICS = attributes(dict.fromkeys(("count", *NUMBERS), INTEGER))

_PAGING: Schema = {
    "limit": {**INTEGER, "minimum": 0, "description": "a number that is not negative"},
    "marker": TEXT,
}
_SERVERS: Schema = {"with_servers": FLAG}
PAGE = Versioned(
    {
        LEGACY: NONE,
        Version(2, 33): Query(_PAGING),
        Version(2, 53): Query(
            {**_PAGING, "hypervisor_hostname_pattern": TEXT, **_SERVERS}, closed=True
        ),
    }
)
SHOW = Versioned({LEGACY: NONE, Version(2, 53): Query(_SERVERS, closed=True)})

EXCHANGES = {
    "GET /os-hypervisors": Exchange("List the hypervisors.", {200: PLAIN.map(_page)}, query=PAGE),
    "GET /os-hypervisors/detail": Exchange(
        "List the hypervisors with details.",
        {200: DETAIL.map(_page)},
        query=PAGE,
    ),
    "GET /os-hypervisors/statistics": Exchange(
        "Sum up the hypervisors in service.",
        {200: answer({"hypervisor_statistics": STATISTICS})},
    ),
    "GET /os-hypervisors/{id}": Exchange(
        "Show a hypervisor.",
        {200: DETAIL.map(lambda schema: answer({"hypervisor": schema}))},
        query=SHOW,
    ),
    "GET /os-hypervisors/{id}/uptime": Exchange(
        "Show how long a hypervisor is up.",
        {200: UPTIME.map(lambda schema: answer({"hypervisor": schema}))},
    ),
    "GET /os-hypervisors/{id}/search": Exchange(
        "Search hypervisors by name.",
        {200: PLAIN.map(lambda schema: answers("hypervisors", schema))},
    ),
    "GET /os-hypervisors/{id}/servers": Exchange(
        "List the guests of hypervisors.",
        {200: PLAIN.map(lambda schema: answers("hypervisors", _with_servers(schema)))},
    ),
}
