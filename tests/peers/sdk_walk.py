"""What an administrator does with openstacksdk. Prints what he saw, as JSON."""

import json
import sys

import openstack

AUTH_URL, PASSWORD = sys.argv[1:]


def main() -> None:
    cloud = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=AUTH_URL,
        username="admin",
        password=PASSWORD,
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
        region_name="RegionOne",
    )
    compute = cloud.compute
    seen: dict[str, object] = {}
    made = compute.create_aggregate(name="sdk-walk", availability_zone="az-sdk")
    seen["created"] = [made.name, made.availability_zone, bool(made.uuid)]
    seen["found"] = compute.find_aggregate("sdk-walk").id == made.id
    seen["updated"] = compute.update_aggregate(made, name="sdk-walk-2").name
    seen["set"] = compute.set_aggregate_metadata(made, {"ssd": "true"}).metadata
    seen["added"] = compute.add_host_to_aggregate(made, "host1").hosts
    seen["removed"] = compute.remove_host_from_aggregate(made, "host1").hosts
    compute.delete_aggregate(made)
    seen["left"] = [each.name for each in compute.aggregates()]
    service = next(s for s in compute.services() if s.host == "host1")
    # By id: of a service that it knows it would send only what differs.
    seen["enabled"] = compute.enable_service(service.id).status
    seen["disabled"] = compute.disable_service(service.id, disabled_reason="fan").status
    seen["hypervisors"] = sorted(h.name for h in compute.hypervisors(details=True))
    seen["zones"] = sorted(z.name for z in compute.availability_zones(details=True))
    seen["limits"] = compute.get_limits().absolute.instances
    print(json.dumps(seen))


main()
