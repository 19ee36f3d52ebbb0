"""The service with a real Keystone, and the clients that administrators have, as processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.functional.api.running import RunningApi, running
from tests.peers import site
from tests.peers.keystone_site import PASSWORD


@pytest.fixture(scope="module")
def keystone() -> Iterator[site.Keystone]:
    with site.keystone() as found:
        demo = found.project("demo")
        service = found.project("service")
        found.user("nova-aggregates", "service", service)
        found.user("other-service", "member", service)
        found.user("operator", "aggregates_operator", demo)
        found.user("reader", "aggregates_reader", demo)
        found.user("system-reader", "reader", None)
        found.user("stranger", "member", demo)
        yield found


@pytest.fixture(scope="module")
def api(keystone: site.Keystone) -> Iterator[RunningApi]:
    options = {
        "auth_type": "password",
        "auth_url": keystone.url,
        "www_authenticate_uri": keystone.url,
        "username": "nova-aggregates",
        "password": "nova-aggregates",
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "service_token_roles": "service",
        "service_token_roles_required": True,
        "interface": "public",
    }
    with running(auth={"strategy": "keystone"}, keystone_authtoken=options) as found:
        for number in (1, 2):
            found.register(f"host{number}", number, "east")
            found.saw(f"host{number}")
        keystone.compute_at(f"{found.url}/v2.1")
        yield found


def ask(api: RunningApi, method: str, path: str, token: str, **headers: str) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{api.url}/v2.1{path}"
    return session.request(
        method, url, headers={"X-Auth-Token": token, **named}, timeout=site.TIMEOUT
    )


@pytest.mark.parametrize(
    ("user", "project", "reads", "disables"),
    [
        ("operator", "demo", 200, 404),
        ("reader", "demo", 200, 403),
        ("system-reader", None, 200, 403),
        ("stranger", "demo", 403, 403),
    ],
)
def test_roles(
    keystone: site.Keystone,
    api: RunningApi,
    user: str,
    project: str | None,
    reads: int,
    disables: int,
) -> None:
    token = keystone.token(user, user, project)
    for path in ("/os-aggregates", "/os-hypervisors/detail", "/os-services"):
        assert ask(api, "GET", path, token).status_code == reads
    assert ask(api, "GET", "/os-availability-zone", token).status_code == 200
    # Without the right role nobody learns whether there is such a thing.
    unknown = "/os-services/00000000-0000-0000-0000-000000000000"
    answer = requests.put(
        f"{api.url}/v2.1{unknown}",
        json={"status": "disabled"},
        headers={"X-Auth-Token": token, "OpenStack-API-Version": "compute 2.53"},
        timeout=site.TIMEOUT,
    )
    assert answer.status_code == disables
    assert ask(api, "DELETE", "/os-aggregates/1", token).status_code == 403


def test_an_expired_token_serves_with_the_token_of_a_service(
    keystone: site.Keystone, api: RunningApi
) -> None:
    expired = keystone.token("reader", "reader", "demo")
    keystone.clock(2 * 3600)
    try:
        alone = ask(api, "GET", "/os-aggregates", expired)
        assert alone.status_code == 401
        assert alone.headers["WWW-Authenticate"].startswith("Keystone uri=")
        service = keystone.token("nova-aggregates", "nova-aggregates", "service")
        answer = ask(api, "GET", "/os-aggregates", expired, X_Service_Token=service)
        assert answer.status_code == 200
        member = keystone.token("other-service", "other-service", "service")
        answer = ask(api, "GET", "/os-aggregates", expired, X_Service_Token=member)
        assert answer.status_code == 401
    finally:
        keystone.clock(0)


def test_request_ids_are_accepted_and_returned(keystone: site.Keystone, api: RunningApi) -> None:
    token = keystone.token("reader", "reader", "demo")
    mine = "req-11111111-2222-3333-4444-555555555555"
    answer = ask(api, "GET", "/os-services", token, X_OpenStack_Request_ID=mine)
    own = answer.headers["x-openstack-request-id"]
    assert own == answer.headers["x-compute-request-id"]
    assert own.startswith("req-")
    assert own != mine


EXPECTED: dict[str, Any] = {
    "set": "true",
    "added": ["host1"],
    "removed": [],
    "left": [],
    "hypervisors": ["host1", "host2"],
}


def check_common(seen: dict[str, Any]) -> None:
    assert seen["set"]["ssd"] == "true"
    for name in ("added", "removed", "left", "hypervisors"):
        assert seen[name] == EXPECTED[name]
    assert seen["enabled"] == "enabled"


@pytest.mark.parametrize("version", ["2.1", "2.96"])
def test_novaclient(keystone: site.Keystone, api: RunningApi, version: str) -> None:
    seen = json.loads(site.run("novaclient_walk.py", keystone.url, PASSWORD, version))
    check_common(seen)
    assert seen["created"] == ["nova-walk", "az-nova"]
    assert seen["listed"] == ["nova-walk"]
    assert seen["updated"] == "nova-walk-2"
    assert "ssd" not in seen["unset"]
    assert seen["zone"] == ["az-nova"]
    assert seen["searched"] == ["host2"]
    assert "nova" in seen["zones"]
    if version == "2.1":
        assert seen["disabled"] == "disabled"
    else:
        assert seen["disabled"] == "fan"
        assert seen["forced"] == "down"
        assert seen["forced back"] is False
    assert seen["versions"] == ["v1.1", "v2.0", "v2.1"]


def test_openstacksdk(keystone: site.Keystone, api: RunningApi) -> None:
    seen = json.loads(site.run("sdk_walk.py", keystone.url, PASSWORD))
    check_common(seen)
    assert seen["created"] == ["sdk-walk", "az-sdk", True]
    assert seen["found"] is True
    assert seen["updated"] == "sdk-walk-2"
    assert seen["disabled"] == "disabled"
    assert "nova" in seen["zones"]


COMMANDS = (
    ("aggregate create --zone az-osc osc-walk", "osc-walk"),
    ("aggregate list --long", "osc-walk"),
    ("aggregate show osc-walk", "az-osc"),
    ("aggregate set --property ssd=true osc-walk", ""),
    ("aggregate unset --property ssd osc-walk", ""),
    ("aggregate add host osc-walk host1", "host1"),
    ("compute service list", "az-osc"),
    ("aggregate remove host osc-walk host1", "osc-walk"),
    ("aggregate delete osc-walk", ""),
    ("compute service set --disable --disable-reason fan host2 nova-compute", ""),
    ("compute service list --long --host host2", "fan"),
    ("compute service set --enable host2 nova-compute", ""),
    ("--os-compute-api-version 2.1 host list", "host2"),
    ("--os-compute-api-version 2.1 host show host1", "(total)"),
    ("hypervisor list --long", "host1"),
    ("hypervisor show host1", "127.9.9.1"),
    ("--os-compute-api-version 2.1 hypervisor stats show", "running_vms"),
    ("availability zone list --compute --long", "host2"),
    ("extension list --compute", "os-aggregates"),
    ("versions show --service compute", "2.104"),
)


def test_openstackclient(keystone: site.Keystone, api: RunningApi) -> None:
    environment = {
        "OS_AUTH_URL": keystone.url,
        "OS_USERNAME": "admin",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        "OS_REGION_NAME": "RegionOne",
    }
    wanted = json.dumps([command.split() for command, _ in COMMANDS])
    printed = json.loads(site.run("openstack_walk.py", stdin=wanted, **environment))
    wrong = [
        f"openstack {command}: {status}\n{output}"
        for (command, telling), (status, output) in zip(COMMANDS, printed, strict=True)
        if status != 0 or telling not in output
    ]
    assert not wrong, "\n".join(wrong)
