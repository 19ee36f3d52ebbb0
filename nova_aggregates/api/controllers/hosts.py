"""/os-hosts: the hosts of the site, and their registration."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from nova_aggregates.api.call import Call, Reply
from nova_aggregates.api.controllers.ids import seen, zone_rule
from nova_aggregates.api.policies import hosts as policies
from nova_aggregates.api.schemas import hosts as schemas
from nova_aggregates.api.text import is_name
from nova_aggregates.api.views import hosts as views
from nova_aggregates.exceptions import HostNotFound
from nova_aggregates.objects import Credentials, HostRegistration, Trust


def index(call: Call) -> Reply:
    call.authorize(policies.INDEX)
    zone = call.query("zone")
    services = call.deployment.services.index(zone_rule(call))
    return Reply(views.index(service for service in services if zone in (None, service.zone)))


def show(call: Call) -> Reply:
    call.authorize(policies.SHOW)
    host = call.deployment.hosts.show(_name(call))
    return Reply(views.resources(host, call.version), headers=seen(host))


def registration(call: Call) -> Reply:
    call.authorize(policies.REGISTRATION)
    host = call.deployment.hosts.show(_name(call))
    pool = call.deployment.hosts.aggregate_of(host.name)
    return Reply({"registration": views.registration(host, pool)})


def register(call: Call) -> Reply:
    call.authorize(policies.REGISTER)
    wanted = _registration(call.body(schemas.REGISTER)["host"])
    call.deployment.networks.require(wanted.address)
    host = call.deployment.hosts.register(call.requester, wanted)
    location = f"{call.request.path_url.rstrip('/')}/{quote(host.name)}/registration"
    return Reply({"host": views.registration(host, None)}, 201, {"Location": location})


def delete(call: Call) -> Reply:
    call.authorize(policies.DELETE)
    call.deployment.hosts.delete(call.requester, _name(call))
    return Reply(None, 204)


def _name(call: Call) -> str:
    name = call.params["name"]
    if not is_name(name):
        raise HostNotFound(host=name)
    return name


def _registration(body: dict[str, Any]) -> HostRegistration:
    fingerprint = body.get("fingerprint")
    return HostRegistration(
        name=body["name"],
        address=body["address"],
        port=int(body.get("port", 443)),
        credentials=Credentials(body["user"], body["password"]),
        trust=Trust(
            fingerprint=fingerprint and fingerprint.replace(":", "").lower(),
            ca=body.get("ca"),
            insecure=body.get("insecure", False),
        ),
        zone=body["zone"],
    )
