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
        alias="os-availability-zone",
        name="AvailabilityZone",
        namespace="http://docs.openstack.org/compute/ext/availabilityzone/api/v1.1",
        updated="2012-12-21T00:00:00+00:00",
        description="Availability zones, and the hosts in them",
    ),
    Extension(
        alias="os-services",
        name="Services",
        namespace="http://docs.openstack.org/compute/ext/services/api/v2",
        updated="2012-10-28T00:00:00-00:00",
        description="Services support",
    ),
    Extension(
        alias="os-extended-services",
        name="ExtendedServices",
        namespace="http://docs.openstack.org/compute/ext/extended_services/api/v2",
        updated="2013-05-17T00:00:00-00:00",
        description="Why a service is disabled",
    ),
    Extension(
        alias="os-extended-services-delete",
        name="ExtendedServicesDelete",
        namespace="http://docs.openstack.org/compute/ext/extended_services_delete/api/v2",
        updated="2013-12-10T00:00:00",
        description="Services can be deleted",
    ),
    Extension(
        alias="os-hypervisors",
        name="Hypervisors",
        namespace="http://docs.openstack.org/compute/ext/hypervisors/api/v1.1",
        updated="2012-06-21T00:00:00+00:00",
        description="Admin-only hypervisor administration",
    ),
    Extension(
        alias="os-extended-hypervisors",
        name="ExtendedHypervisors",
        namespace="http://docs.openstack.org/compute/ext/extended_hypervisors/api/v1.1",
        updated="2014-01-04T00:00:00-00:00",
        description="The address of a hypervisor",
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
