"""The whole API on one screen: URL, method, function.

Routes of COMPUTE are below ``/v1.1``, those of VERSIONS at the root of the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import routes

from nova_aggregates.api import versions
from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers import aggregates, events, extensions, hosts, operations
from nova_aggregates.api.faults import Fault

Handler = Callable[[Call], Reply]
Table = Sequence[tuple[str, Mapping[str, Handler]]]

VERSIONS: Table = (("/", {"GET": versions.index}),)

COMPUTE: Table = (
    ("/", {"GET": versions.show}),
    ("/{project}/extensions", {"GET": extensions.index}),
    ("/{project}/extensions/{alias}", {"GET": extensions.show}),
    ("/{project}/os-aggregates", {"GET": aggregates.index, "POST": aggregates.create}),
    (
        "/{project}/os-aggregates/{id}",
        {"GET": aggregates.show, "PUT": aggregates.update, "DELETE": aggregates.delete},
    ),
    ("/{project}/os-aggregates/{id}/action", {"POST": aggregates.action}),
    ("/{project}/os-aggregates/{id}/hosts", {"PUT": aggregates.set_hosts}),
    ("/{project}/os-aggregates/{id}/drift", {"GET": aggregates.drift}),
    ("/{project}/os-aggregates/{id}/operations", {"GET": operations.of_aggregate}),
    ("/{project}/os-hosts", {"GET": hosts.index, "POST": hosts.register}),
    ("/{project}/os-hosts/{name}", {"GET": hosts.show, "DELETE": hosts.delete}),
    ("/{project}/os-hosts/{name}/registration", {"GET": hosts.registration}),
    ("/{project}/os-operations", {"GET": operations.index}),
    ("/{project}/os-operations/events", {"GET": events.stream}),
    ("/{project}/os-operations/{uuid}", {"GET": operations.show}),
    ("/{project}/os-operations/{uuid}/action", {"POST": operations.action}),
    ("/{project}/os-operations/{uuid}/events", {"GET": events.of_operation}),
)


class Router:
    """Finds the function for a path and a method in a table."""

    def __init__(self, table: Table) -> None:
        self._methods = dict(table)
        self._mapper = routes.Mapper(controller_scan=None, explicit=True)
        for template in self._methods:
            self._mapper.connect(template, template)
        self._mapper.create_regs([])

    def find(self, path: str, method: str) -> tuple[Handler, dict[str, str]]:
        """The function and the parts of the path that it needs.

        :raises Fault: 404 for an unknown path; 405, which names the methods that there are.
        """
        match = self._mapper.routematch(path)
        if match is None:
            raise Fault(404, "There is no resource at this path.")
        params, route = match
        methods = self._methods[route.name]
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise _not_allowed(method, methods)
        return handler, params


def _not_allowed(method: str, methods: Mapping[str, Handler]) -> Fault:
    allowed = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
    message = f"The method {method} is not allowed here. Allowed: {allowed}."
    return Fault(405, message, {"Allow": allowed})
