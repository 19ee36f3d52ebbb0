"""/extensions: which extensions this service has."""

from __future__ import annotations

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.policies import extensions as policies
from nova_aggregates.api.views import extensions as views
from nova_aggregates.api.views.extensions import Extension

EXTENSIONS = (
    Extension(
        alias="os-aggregates",
        name="Aggregates",
        namespace="http://docs.openstack.org/compute/ext/aggregates/api/v1.1",
        updated="2012-01-12T00:00:00+00:00",
        description="Admin-only aggregate administration",
    ),
    Extension(
        alias="os-hosts",
        name="Hosts",
        namespace="http://docs.openstack.org/compute/ext/hosts/api/v1.1",
        updated="2011-06-29T00:00:00+00:00",
        description="Admin-only host administration",
    ),
    Extension(
        alias="os-operations",
        name="Operations",
        namespace="urn:nova-aggregates:ext:operations:v1.1",
        updated="2026-01-01T00:00:00+00:00",
        description="Progress and outcome of the requests that change a resource pool",
    ),
)
# The document of os-aggregates writes its own alias in capitals.
BY_ALIAS = {extension.alias.casefold(): extension for extension in EXTENSIONS}


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    return Reply(views.index(EXTENSIONS))


def show(call: Call) -> Reply:
    call.authorize(policies.SHOW)
    alias = call.params["alias"]
    extension = BY_ALIAS.get(alias.casefold())
    if extension is None:
        raise Fault(404, f"There is no extension with the alias {alias}.")
    return Reply(views.show(extension))
