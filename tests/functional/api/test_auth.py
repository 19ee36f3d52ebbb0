"""The three strategies against the real middleware; Keystone is a small server of our own."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests

from nova_aggregates.exceptions import ConfigurationInvalid
from tests.functional.api.keystone import (
    ADMIN_TOKEN,
    MEMBER_TOKEN,
    authtoken,
    keystone_server,
)
from tests.functional.api.running import RunningApi, running


def get(api: RunningApi, path: str = "/os-aggregates", **options: Any) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    return session.get(api.base + path, timeout=10, **options)


def check_unauthorized(answer: requests.Response, scheme: str) -> None:
    assert answer.status_code == 401, answer.text
    assert list(answer.json()) == ["unauthorized"]
    assert answer.json()["unauthorized"]["code"] == 401
    assert answer.headers["WWW-Authenticate"].startswith(scheme)


def check_open_documents(api: RunningApi) -> None:
    """The versions are for everybody, so that clients find out where to authenticate."""
    session = requests.Session()
    session.trust_env = False
    listed = session.get(f"{api.url}/", timeout=10).json()["versions"]
    for version in listed:
        shown = session.get(version["links"][0]["href"], timeout=10).json()["version"]
        assert shown["links"][:1] == version["links"]
        assert {**version, "links": shown["links"]}.items() <= shown.items()


# http_basic


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_text(f"jane:{hashed('s3cret')}\n\njoe:{hashed('0ther')}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def basic(htpasswd: Path) -> Iterator[RunningApi]:
    auth = {"strategy": "http_basic", "http_basic_file": htpasswd}
    with running(auth=auth) as api:
        yield api


def test_basic_user_is_an_administrator(basic: RunningApi) -> None:
    for _ in range(2):
        assert get(basic, auth=("jane", "s3cret")).json() == {"aggregates": []}
    assert get(basic, auth=("joe", "0ther")).status_code == 200
    check_open_documents(basic)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic amFuZQ==",
        "Bearer s3cret",
        *(
            "Basic " + base64.b64encode(pair).decode()
            for pair in (
                b"jane:wrong",
                b"jane:0ther",
                b"nobody:s3cret",
                b":s3cret",
                b"jane:",
                b"jan:s3cret",
                b"jane:s3cret\0",
                b"jane:" + b"x" * 100,
                b"j\xff:s3cret",
                b"jane\n:s3cret",
                b"\n:",
            )
        ),
    ],
)
def test_basic_refuses_everybody_else(basic: RunningApi, header: str | None) -> None:
    assert get(basic, auth=("jane", "s3cret")).status_code == 200
    headers = {} if header is None else {"Authorization": header}
    check_unauthorized(get(basic, headers=headers), "Basic")


def test_basic_in_xml(basic: RunningApi) -> None:
    answer = get(basic, headers={"Accept": "application/xml"})
    assert answer.status_code == 401
    assert b'<unauthorized xmlns="http://docs.openstack.org/compute/api/v1.1"' in answer.content


def test_basic_does_not_believe_a_token(basic: RunningApi) -> None:
    headers = {"X-Auth-Token": "admin:demo", "X-User": "jane", "X-Roles": "admin"}
    check_unauthorized(get(basic, headers=headers), "Basic")


def test_basic_forgets_a_password_that_was_changed(basic: RunningApi, htpasswd: Path) -> None:
    assert get(basic, auth=("jane", "s3cret")).status_code == 200
    htpasswd.write_text(f"jane:{hashed('new')}\n", encoding="utf-8")
    check_unauthorized(get(basic, auth=("jane", "s3cret")), "Basic")
    assert get(basic, auth=("jane", "new")).status_code == 200


def test_basic_without_its_file(basic: RunningApi, htpasswd: Path) -> None:
    htpasswd.unlink()
    answer = get(basic, auth=("jane", "s3cret"))
    assert answer.status_code == 503
    assert list(answer.json()) == ["serviceUnavailable"]
    assert str(htpasswd) not in answer.text


@pytest.mark.parametrize("content", [None, "jane:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=\n"])
def test_basic_needs_a_file_with_bcrypt_hashes(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "htpasswd"
    if content:
        path.write_text(content, encoding="utf-8")
    auth = {"strategy": "http_basic", "http_basic_file": path}
    with pytest.raises(ConfigurationInvalid, match=str(path)), running(auth=auth):
        pass


def test_basic_needs_a_file_that_nobody_else_reads(htpasswd: Path) -> None:
    htpasswd.chmod(0o640)
    auth = {"strategy": "http_basic", "http_basic_file": htpasswd}
    with pytest.raises(ConfigurationInvalid, match="chmod 600"), running(auth=auth):
        pass


# noauth


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_noauth_is_refused_beyond_this_machine(host: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="noauth"), running(api={"host": host}):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost"])
def test_noauth_is_for_this_machine(host: str) -> None:
    with running(api={"host": host}):
        pass


def test_address_of_another_machine(htpasswd: Path) -> None:
    auth = {"strategy": "http_basic", "http_basic_file": htpasswd}
    with (
        pytest.raises(ConfigurationInvalid, match=r"192\.0\.2\.1:8774"),
        running(api={"host": "192.0.2.1", "port": 8774}, auth=auth),
    ):
        pass


# keystone


@pytest.fixture(scope="module")
def keystone() -> Iterator[RunningApi]:
    with keystone_server() as server:
        sections = {"keystone_authtoken": authtoken(server.server_port)}
        with running(auth={"strategy": "keystone"}, **sections) as api:
            yield api


def test_keystone_administrator(keystone: RunningApi) -> None:
    """Of whatever project, as the URL names another one."""
    assert get(keystone, headers={"X-Auth-Token": ADMIN_TOKEN}).json() == {"aggregates": []}
    check_open_documents(keystone)


def test_keystone_member_may_do_nothing(keystone: RunningApi) -> None:
    headers = {"X-Auth-Token": MEMBER_TOKEN}
    for path in ("/os-aggregates", "/os-aggregates/1", "/os-hosts", "/os-operations"):
        answer = get(keystone, path, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["forbidden"]["code"] == 403


def test_keystone_member_in_a_foreign_project(keystone: RunningApi) -> None:
    session = requests.Session()
    session.trust_env = False
    url = f"{keystone.url}/v1.1/foreign/extensions"
    answer = session.get(url, headers={"X-Auth-Token": MEMBER_TOKEN}, timeout=10)
    assert answer.status_code == 403
    assert "foreign" in answer.json()["forbidden"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Auth-Token": ""},
        {"X-Auth-Token": "made-up"},
        {"X-Auth-Token": "admin:demo"},
        {"X-Roles": "admin", "X-User-Id": "root", "X-Identity-Status": "Confirmed"},
    ],
    ids=str,
)
def test_keystone_refuses_everybody_else(keystone: RunningApi, headers: dict[str, str]) -> None:
    check_unauthorized(get(keystone, headers=headers), "Keystone uri=")


def test_keystone_role_headers_of_the_caller_are_dropped(keystone: RunningApi) -> None:
    headers = {"X-Auth-Token": MEMBER_TOKEN, "X-Roles": "admin", "X-Project-Id": "ops"}
    assert get(keystone, headers=headers).status_code == 403


def test_keystone_that_does_not_answer() -> None:
    with keystone_server() as server:
        port = server.server_port
    sections = {"keystone_authtoken": authtoken(port)}
    with running(auth={"strategy": "keystone"}, **sections) as api:
        answer = get(api, headers={"X-Auth-Token": ADMIN_TOKEN})
        assert answer.status_code == 503
        assert list(answer.json()) == ["serviceUnavailable"]
        check_open_documents(api)


def test_keystone_without_a_catalog() -> None:
    with keystone_server() as server:
        server.catalog = False
        sections = {"keystone_authtoken": authtoken(server.server_port)}
        with running(auth={"strategy": "keystone"}, **sections) as api:
            answer = get(api, headers={"X-Auth-Token": ADMIN_TOKEN})
            assert answer.status_code == 503
            assert list(answer.json()) == ["serviceUnavailable"]


@pytest.mark.parametrize("options", [{}, {"auth_type": "nonsense"}, {"auth_type": "password"}])
def test_keystone_that_is_not_configured(options: dict[str, str]) -> None:
    sections = {"keystone_authtoken": options}
    with (
        pytest.raises(ConfigurationInvalid, match="keystone_authtoken"),
        running(auth={"strategy": "keystone"}, **sections),
    ):
        pass


# policy


def test_policy_file_of_the_operator(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text('"os_compute_api:os-aggregates:index": "role:member"\n', encoding="utf-8")
    with keystone_server() as server:
        sections = {
            "keystone_authtoken": authtoken(server.server_port),
            "oslo_policy": {"policy_file": policy},
        }
        with running(auth={"strategy": "keystone"}, **sections) as api:
            headers = {"X-Auth-Token": MEMBER_TOKEN}
            assert get(api, headers=headers).status_code == 200
            assert get(api, "/os-aggregates/1", headers=headers).status_code == 403


def test_policy_file_that_cannot_be_used(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("{{{", encoding="utf-8")
    with (
        pytest.raises(ConfigurationInvalid, match="policy"),
        running(oslo_policy={"policy_file": policy}),
    ):
        pass
