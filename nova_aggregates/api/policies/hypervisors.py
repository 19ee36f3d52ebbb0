"""Who may see the hypervisors."""

from __future__ import annotations

from nova_aggregates.api.policies.base import documented

PREFIX = "os_compute_api:os-hypervisors"
INDEX = f"{PREFIX}:list"
DETAIL = f"{PREFIX}:list-detail"
STATISTICS = f"{PREFIX}:statistics"
SHOW = f"{PREFIX}:show"
UPTIME = f"{PREFIX}:uptime"
SEARCH = f"{PREFIX}:search"
SERVERS = f"{PREFIX}:servers"

RULES = (
    documented(INDEX, "List the hypervisors.", "GET /os-hypervisors"),
    documented(DETAIL, "List the hypervisors with details.", "GET /os-hypervisors/detail"),
    documented(STATISTICS, "Sum up all hypervisors.", "GET /os-hypervisors/statistics"),
    documented(SHOW, "Show a hypervisor.", "GET /os-hypervisors/{id}"),
    documented(UPTIME, "Show how long a hypervisor is up.", "GET /os-hypervisors/{id}/uptime"),
    documented(SEARCH, "Search hypervisors by name.", "GET /os-hypervisors/{id}/search"),
    documented(SERVERS, "List the guests of hypervisors.", "GET /os-hypervisors/{id}/servers"),
)
