"""Registration and resources, where a conversation in YAML would be awkward."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.functional.api.conftest import Client
from tests.functional.api.running import PASSWORD, TOKEN, host_body, running


def authority() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_an_authority_is_kept_for_the_manager(client: Client) -> None:
    pem = authority()
    body = host_body("host9", 9, "zone-a", fingerprint=None, ca=pem)
    host = client.good("POST", "/os-hosts", body)["host"]
    assert host["tls"] == {"trust": "ca"}
    assert client.api.hosts.show("host9").trust.ca == pem


def test_what_was_sent_is_what_the_manager_gets(client: Client) -> None:
    password = ' pä"ss\\ '
    body = host_body("host9", 9, "zone-a", address="::1", port=8443, password=password)
    client.good("POST", "/os-hosts", body)
    host = client.api.hosts.show("host9")
    assert (host.address, host.port, host.username) == ("::1", 8443, "root")
    assert client.api.hosts.credentials(host.id).password == password


@pytest.mark.parametrize("fingerprint", ["AB" * 32, "aB:" * 31 + "Ab"])
def test_fingerprints_are_normalised(client: Client, fingerprint: str) -> None:
    body = host_body("host9", 9, "zone-a", fingerprint=fingerprint)
    client.good("POST", "/os-hosts", body)
    assert client.api.hosts.show("host9").trust.fingerprint == "ab" * 32


def test_resources_are_those_that_the_host_reported(client: Client) -> None:
    client.api.saw("host1")

    def row(project: str, **numbers: Any) -> dict[str, Any]:
        return {"resource": {"host": "host1", "project": project, **numbers}}

    used = {"cpu": 4, "memory_mb": 2048, "disk_gb": 50}
    assert client.good("GET", "/os-hosts/host1") == {
        "host": [
            row("(total)", cpu=16, memory_mb=65536, disk_gb=500),
            row("(used_now)", **used),
            row("(used_max)", cpu=4, memory_mb=4096, disk_gb=150),
        ]
    }
    registration = client.good("GET", "/os-hosts/host1/registration")["registration"]
    assert registration["xen_uuid"] == "xen-host1"
    assert registration["product"] == "XCP-ng 8.3.0"
    assert registration["last_seen"]


def test_a_label_is_not_the_aggregate_of_a_host(client: Client) -> None:
    label, pool = client.create("label"), client.create("pool")
    client.act(label, {"set_metadata": {"metadata": {"hypervisor_pool": "false"}}})
    assert "X-Operation-Id" not in client.add(label, "host1").headers
    path = "/os-hosts/host1/registration"
    assert client.good("GET", path)["registration"]["aggregate"] is None
    client.add(pool, "host1")
    assert client.good("GET", path)["registration"]["aggregate"] == {"id": pool, "name": "pool"}


def test_a_host_with_an_unfinished_operation_stays(client: Client) -> None:
    aggregate = client.create("blue")
    client.add(aggregate, "host1")
    client.remove(aggregate, "host1")
    answer = client.send("DELETE", "/os-hosts/host1")
    client.fault("conflictingRequest", 409, answer)


def test_the_password_never_comes_back(client: Client) -> None:
    answer = client.send("POST", "/os-hosts", host_body("host9", 9, "zone-a"))
    assert answer.status_code == 201
    registration = client.send("GET", "/os-hosts/host9/registration")
    for text in (answer.text, registration.text):
        assert PASSWORD not in text
        assert "password" not in text


def test_an_address_outside_the_networks_is_refused() -> None:
    with running(xenapi={"networks": "10.0.0.0/8"}) as api:
        for address, status in (("169.254.169.254", 400), ("127.0.0.1", 400), ("10.0.0.9", 201)):
            body = host_body(f"h{status}", 1, "z", address=address)
            answer = requests.post(f"{api.base}/os-hosts", json=body, headers=TOKEN, timeout=30)
            assert answer.status_code == status, answer.text
            assert status == 201 or "[xenapi] networks" in answer.text
