"""What an administrator does with python-novaclient, as a library. Prints what he saw, as JSON."""

import json
import sys

from keystoneauth1 import session
from keystoneauth1.identity import v3
from novaclient import client

AUTH_URL, PASSWORD, VERSION = sys.argv[1:]


def main() -> None:
    auth = v3.Password(
        auth_url=AUTH_URL,
        username="admin",
        password=PASSWORD,
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
    )
    nova = client.Client(VERSION, session=session.Session(auth=auth))
    seen: dict[str, object] = {}
    made = nova.aggregates.create("nova-walk", "az-nova")
    seen["created"] = [made.name, made.availability_zone]
    seen["listed"] = [each.name for each in nova.aggregates.list()]
    seen["updated"] = nova.aggregates.update(made.id, {"name": "nova-walk-2"}).name
    seen["set"] = nova.aggregates.set_metadata(made.id, {"ssd": "true"}).metadata
    seen["unset"] = nova.aggregates.set_metadata(made.id, {"ssd": None}).metadata
    seen["added"] = nova.aggregates.add_host(made.id, "host1").hosts
    seen["zone"] = [s.zone for s in nova.services.list(host="host1", binary="nova-compute")]
    seen["removed"] = nova.aggregates.remove_host(made.id, "host1").hosts
    nova.aggregates.delete(made.id)
    seen["left"] = [each.name for each in nova.aggregates.list()]
    service = nova.services.list(host="host1")[0]
    if VERSION == "2.1":
        seen["disabled"] = nova.services.disable_log_reason("host1", "nova-compute", "fan").status
        seen["enabled"] = nova.services.enable("host1", "nova-compute").status
        seen["statistics"] = nova.hypervisor_stats.statistics().count
    else:
        seen["disabled"] = nova.services.disable_log_reason(service.id, "fan").disabled_reason
        seen["enabled"] = nova.services.enable(service.id).status
        seen["forced"] = nova.services.force_down(service.id, True).state
        seen["forced back"] = nova.services.force_down(service.id, False).forced_down
    seen["hypervisors"] = [h.hypervisor_hostname for h in nova.hypervisors.list()]
    seen["searched"] = [h.hypervisor_hostname for h in nova.hypervisors.search("host2")]
    seen["zones"] = sorted(z.zoneName for z in nova.availability_zones.list(detailed=True))
    seen["versions"] = sorted(v.id for v in nova.versions.list())
    print(json.dumps(seen))


main()
