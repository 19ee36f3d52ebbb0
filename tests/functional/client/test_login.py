"""How the client finds the service and logs in."""

from __future__ import annotations

import json
import socket
import stat

import pytest

from nova_aggregates.client.exits import Exit
from nova_aggregates.client.login import project_root
from tests.functional.api.running import running
from tests.functional.client.conftest import Terminal


def hosts(terminal: Terminal, environment: dict[str, str], *options: str):
    result = terminal.process(*options, "host-list", "-f", "json", environment=environment)
    assert result.code == 0, result
    return [each["Host"] for each in json.loads(result.out)]


def test_options_count_more_than_variables(terminal: Terminal) -> None:
    wrong = {**terminal.environment, "OS_ENDPOINT": "http://127.0.0.1:1/v1.1/x"}
    assert "host1" in hosts(terminal, wrong, "--os-endpoint", terminal.endpoint)


@pytest.mark.parametrize("path", ["", "/", "/v1.1", "/v1.1/demo", "/v2.1/demo", "/v2/"])
def test_any_version_of_the_endpoint_will_do(terminal: Terminal, path: str) -> None:
    assert "host1" in hosts(terminal, {"OS_ENDPOINT": terminal.endpoint + path})


def test_a_token(terminal: Terminal) -> None:
    environment = {"OS_ENDPOINT": terminal.endpoint, "OS_TOKEN": "admin:demo"}
    assert "host1" in hosts(terminal, environment)


def test_clouds_yaml(terminal: Terminal, tmp_path) -> None:
    file = tmp_path / "clouds.yaml"
    file.write_text(
        "clouds:\n  site:\n    auth_type: none\n    auth:\n"
        f"      endpoint: {terminal.endpoint}/v1.1/demo\n  empty:\n"
    )
    environment = {"OS_CLIENT_CONFIG_FILE": str(file)}
    assert "host1" in hosts(terminal, environment, "--os-cloud", "site")
    for cloud, words in (("other", "empty, site"), ("empty", "--os-auth-url")):
        result = terminal.process("host-list", environment={**environment, "OS_CLOUD": cloud})
        assert result.code == Exit.UNREACHABLE
        assert words in result.err


def test_http_basic(terminal: Terminal, tmp_path) -> None:
    import bcrypt

    file = tmp_path / "htpasswd"
    hashed = bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)).decode()
    file.write_text(f"operator:{hashed}\n")
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with running(auth={"strategy": "http_basic", "http_basic_file": file}) as api:
        environment = {
            "OS_ENDPOINT": api.url,
            "OS_USERNAME": "operator",
            "OS_PASSWORD": "s3cret",
            "no_proxy": "*",
        }
        assert hosts(terminal, environment) == []
        wrong = terminal.process("host-list", environment={**environment, "OS_PASSWORD": "x"})
        assert wrong.code == Exit.UNREACHABLE
        assert "password is wrong" in wrong.err
        unknown = {key: value for key, value in environment.items() if key != "OS_PASSWORD"}
        assert "OS_PASSWORD" in terminal.process("host-list", environment=unknown).err


def test_nobody_listens(terminal: Terminal) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    result = terminal.process(
        "host-list", environment={"OS_ENDPOINT": f"http://127.0.0.1:{port}", "no_proxy": "*"}
    )
    assert result.code == Exit.UNREACHABLE
    assert "check the address" in result.err
    assert result.err.count("\n") == 1


def test_nothing_is_known(terminal: Terminal) -> None:
    result = terminal.process("host-list", environment={})
    assert result.code == Exit.UNREACHABLE
    assert "--os-cloud" in result.err


@pytest.mark.parametrize(
    ("endpoint", "root"),
    [
        ("http://h:8774", "http://h:8774/v1.1/p%2F1"),
        ("https://h/compute/v2.1/abc", "https://h/compute/v1.1/abc"),
        ("https://h/compute/v2.1", "https://h/compute/v1.1/p%2F1"),
    ],
)
def test_root_of_the_project(endpoint: str, root: str) -> None:
    assert project_root(endpoint, "p/1") == root
