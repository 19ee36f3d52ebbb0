"""/os-hypervisors: the hosts, and what the manager last saw of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.ids import hypervisor_key, marker_key, seen
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import Version
from nova_aggregates.api.policies import hypervisors as policies
from nova_aggregates.api.schemas.types import TRUE
from nova_aggregates.api.views import hypervisors as views
from nova_aggregates.exceptions import HostDown
from nova_aggregates.objects import Hypervisor

PAGES = Version(2, 33)
LARGEST_PAGE = 1000

View = Callable[[Hypervisor, Version], dict[str, Any]]


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    return _list(call, views.plain)


def detail(call: Call) -> Reply:
    call.authorize(policies.DETAIL)
    return _list(call, views.detail)


def show(call: Call) -> Reply:
    call.authorize(policies.SHOW)
    found = call.deployment.hypervisors.show(hypervisor_key(call), with_guests=_with_servers(call))
    document = {"hypervisor": views.detail(found, call.version)}
    return Reply(document, headers=seen(found.service.host))


def uptime(call: Call) -> Reply:
    call.authorize(policies.UPTIME)
    found = call.deployment.hypervisors.show(hypervisor_key(call))
    document = views.with_uptime(found, call.version)
    if document["uptime"] is None:
        raise HostDown(host=found.service.host.name, reason="it cannot be asked how long it is up.")
    return Reply({"hypervisor": document}, headers=seen(found.service.host))


def search(call: Call) -> Reply:
    call.authorize(policies.SEARCH)
    return _reply(call, call.deployment.hypervisors.search(call.params["id"]), views.plain)


def servers(call: Call) -> Reply:
    call.authorize(policies.SERVERS)
    found = call.deployment.hypervisors.search(call.params["id"], with_guests=True)
    return _reply(call, found, views.plain)


def statistics(call: Call) -> Reply:
    call.authorize(policies.STATISTICS)
    return Reply(views.statistics(call.deployment.hypervisors.in_service()))


def _list(call: Call, view: View) -> Reply:
    manager = call.deployment.hypervisors
    pattern = call.query("hypervisor_hostname_pattern")
    with_servers = _with_servers(call)
    if pattern is not None:
        if call.query("limit") is not None or call.query("marker") is not None:
            raise Fault(400, "hypervisor_hostname_pattern does not go with limit and marker.")
        return _reply(call, manager.search(pattern, with_guests=with_servers), view)
    if call.version < PAGES:
        return _reply(call, manager.index(), view)
    size = min(call.query("limit") or LARGEST_PAGE, LARGEST_PAGE)
    found = manager.index(limit=size, marker=marker_key(call), with_guests=with_servers)
    return _reply(call, found, view, has_more=len(found) == size)


def _reply(call: Call, found: Iterable[Hypervisor], view: View, *, has_more: bool = False) -> Reply:
    rendered = [view(hypervisor, call.version) for hypervisor in found]
    document: dict[str, Any] = {"hypervisors": rendered}
    if has_more:
        parameters = {**call.request.GET, "marker": rendered[-1]["id"]}
        href = f"{call.request.path_url}?{urlencode(sorted(parameters.items()))}"
        document["hypervisors_links"] = [{"rel": "next", "href": href}]
    return Reply(document)


def _with_servers(call: Call) -> bool:
    return (call.query("with_servers") or "").lower() in TRUE
