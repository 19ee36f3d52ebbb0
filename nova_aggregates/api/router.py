"""The whole API on one screen: URL, method, function.

The paths of COMPUTE are below ``/v1.1/PROJECT``, ``/v2/PROJECT``, ``/v2.1`` and ``/v2.1/PROJECT``,
those of VERSIONS at the root of the server. What is not the same in every version says so with
:func:`since` or :func:`until`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import routes

from nova_aggregates.api import openapi, versions
from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers import (
    aggregates,
    availability_zones,
    events,
    extensions,
    hosts,
    hypervisors,
    limits,
    maintenance,
    operations,
    services,
)
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import (
    LEGACY,
    MINIMUM,
    Version,
    Versioned,
    at,
    since,
    until,
)

Handler = Callable[[Call], Reply]
Table = Sequence[tuple[str, Mapping[str, Handler | Versioned[Handler]]]]

VERSIONS: Table = (("/", {"GET": versions.index}),)

_DESCRIBED: Table = (
    ("/", {"GET": versions.show}),
    ("/extensions", {"GET": extensions.index}),
    ("/extensions/{alias}", {"GET": extensions.show}),
    ("/os-aggregates", {"GET": aggregates.index, "POST": aggregates.create}),
    (
        "/os-aggregates/{id}",
        {"GET": aggregates.show, "PUT": aggregates.update, "DELETE": aggregates.delete},
    ),
    ("/os-aggregates/{id}/action", {"POST": aggregates.action}),
    ("/os-aggregates/{id}/hosts", {"PUT": aggregates.set_hosts}),
    ("/os-aggregates/{id}/images", {"POST": since(81, aggregates.images)}),
    ("/os-aggregates/{id}/drift", {"GET": aggregates.drift}),
    ("/os-aggregates/{id}/headroom", {"GET": aggregates.headroom}),
    ("/os-aggregates/{id}/operations", {"GET": operations.of_aggregate}),
    ("/limits", {"GET": limits.index}),
    ("/os-availability-zone", {"GET": availability_zones.index}),
    ("/os-availability-zone/detail", {"GET": availability_zones.detail}),
    ("/os-services", {"GET": services.index}),
    ("/os-services/{id}", {"PUT": services.update, "DELETE": services.delete}),
    ("/os-hypervisors", {"GET": hypervisors.index}),
    ("/os-hypervisors/detail", {"GET": hypervisors.detail}),
    ("/os-hypervisors/statistics", {"GET": until(87, hypervisors.statistics)}),
    ("/os-hypervisors/{id}", {"GET": hypervisors.show}),
    ("/os-hypervisors/{id}/uptime", {"GET": until(87, hypervisors.uptime)}),
    ("/os-hypervisors/{id}/search", {"GET": until(52, hypervisors.search)}),
    ("/os-hypervisors/{id}/servers", {"GET": until(52, hypervisors.servers)}),
    ("/os-hosts", {"GET": until(42, hosts.index), "POST": hosts.register}),
    (
        "/os-hosts/{name}",
        {
            "GET": until(42, hosts.show),
            "PUT": until(42, maintenance.update),
            "DELETE": hosts.delete,
        },
    ),
    ("/os-hosts/{name}/action", {"POST": maintenance.action}),
    ("/os-hosts/{name}/reboot", {"GET": until(42, maintenance.reboot)}),
    ("/os-hosts/{name}/shutdown", {"GET": until(42, maintenance.shutdown)}),
    ("/os-hosts/{name}/startup", {"GET": until(42, maintenance.startup)}),
    ("/os-hosts/{name}/registration", {"GET": hosts.registration}),
    ("/os-operations", {"GET": operations.index}),
    ("/os-operations/events", {"GET": events.stream}),
    ("/os-operations/{uuid}", {"GET": operations.show}),
    ("/os-operations/{uuid}/action", {"POST": operations.action}),
    ("/os-operations/{uuid}/events", {"GET": events.of_operation}),
)


_describe = openapi.describing(_DESCRIBED)
COMPUTE: Table = (
    *_DESCRIBED,
    ("/openapi.json", {"GET": since(1, _describe)}),
    ("/openapi", {"GET": Versioned({LEGACY: _describe, MINIMUM: None})}),  # with the suffix
)

# In no version below a project.
ABOUT_THE_API = frozenset({"/", "/openapi.json", "/openapi"})
NO_RESOURCE = "There is no resource at this path."


def first_part(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


# A path without a project begins with one of these.
FIRST_PARTS = frozenset(first_part(template) for template, _ in COMPUTE)


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """What a path and a method lead to."""

    handler: Handler
    template: str
    params: Mapping[str, str]


class Router:
    """Finds the function for a path and a method in a table."""

    def __init__(self, table: Table) -> None:
        self._methods = dict(table)
        # By the first part of the path, so that few patterns have to be tried.
        self._mappers: dict[str, routes.Mapper] = {}
        for template in self._methods:
            mapper = self._mappers.setdefault(
                first_part(template), routes.Mapper(controller_scan=None, explicit=True)
            )
            mapper.connect(template, template)
        for mapper in self._mappers.values():
            mapper.create_regs([])

    def find(self, path: str, method: str, version: Version) -> Match:
        """:raises Fault: 404 for an unknown path; 405, which names the methods that there are."""
        template, params = self._template(path)
        methods = self._methods[template]
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = self.allowed(path, version)
            message = f"The method {method} is not allowed here. Allowed: {allowed}."
            raise Fault(405, message, {"Allow": allowed})
        handler = at(handler, version)
        if handler is None:
            raise Fault(404, NO_RESOURCE)
        return Match(handler, template, params)

    def allowed(self, path: str, version: Version) -> str:
        """The methods that a path has, for the header Allow.

        :raises Fault: 404 for an unknown path.
        """
        methods = self._methods[self._template(path)[0]]
        names = {name for name, handler in methods.items() if at(handler, version)}
        if not names:
            raise Fault(404, NO_RESOURCE)
        if "GET" in names:
            names.add("HEAD")
        return ", ".join(sorted({*names, "OPTIONS"}))

    def _template(self, path: str) -> tuple[str, dict[str, str]]:
        mapper = self._mappers.get(first_part(path))
        match = mapper and mapper.routematch(path)
        if not match:
            raise Fault(404, NO_RESOURCE)
        params, route = match
        return route.name, params
