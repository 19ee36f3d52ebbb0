"""Nothing that a run leaves behind holds a secret: not the database with its journal, not a log at
its most talkative, not a record, not an answer of the API."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import webob
from oslo_config import cfg

from nova_aggregates import conf as options
from nova_aggregates.api import wsgi
from nova_aggregates.api.deployment import Deployment
from nova_aggregates.objects import OperationState
from tests.resilience.processes import Launcher
from tests.resilience.stage import HOSTS, Stage
from tests.resilience.witness import WitnessedSite

TYPED = 'an odd "one" & <more>/\\ü'
TOKEN = "hook-token-3f9a"
WEBHOOKS = f"""
[webhooks]
urls = http://127.0.0.1:1/hook?token={TOKEN}
secret_file = {{secret}}
"""


class Run:
    """A service, its API in this process and a manager that tells everything."""

    def __init__(self, stage: Stage, outside: Path) -> None:
        self.stage = stage
        secret = outside / "webhooks.key"
        secret.write_text("webhook-key-77c1")
        secret.chmod(0o600)
        with stage.config.open("a", encoding="utf-8") as config:
            config.write(WEBHOOKS.format(secret=secret))
        conf = cfg.ConfigOpts()
        options.register(conf)
        conf([], project="nova-aggregates", default_config_files=[str(stage.config)])
        self.application: Any = wsgi.load(Deployment.from_conf(conf))
        self.answers = stage.directory / "answers"
        stage.renew()
        self.manager = stage.start(debug=True)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = webob.Request.blank(
            f"/v1.1/demo{path}", method=method, headers={"X-Auth-Token": "a:demo"}
        )
        if body is not None:
            request.body = json.dumps(body).encode()
            request.content_type = "application/json"
        answer = request.get_response(self.application)
        with self.answers.open("ab") as file:
            file.write(answer.body + b"\n")
        return answer

    def do(self, aggregate: int, verb: str, host: str) -> OperationState:
        path = f"/os-aggregates/{aggregate}/action"
        uuid = self.ask("POST", path, {verb: {"host": host}}).headers["X-Operation-Id"]
        return self.stage.ended(uuid).state

    def command(self, *words: str) -> None:
        process = self.stage.start(debug=True, command=words)
        self.stage.wait_for(lambda: not process.alive, 60)


@pytest.fixture
def run(site: WitnessedSite, launcher: Launcher, tmp_path: Path) -> Iterator[Run]:
    (tmp_path / "run").mkdir()
    (tmp_path / "outside").mkdir()
    stage = Stage(tmp_path / "run", site, launcher, key=tmp_path / "outside/key")
    yield Run(stage, tmp_path / "outside")
    stage.close()


def spellings(secret: str) -> Iterable[bytes]:
    """As it may have been written down."""
    raw = secret.encode()
    yield raw
    yield base64.b64encode(raw)
    yield raw.hex().encode()
    yield urllib.parse.quote(secret, safe="").encode()
    yield json.dumps(secret)[1:-1].encode()
    yield repr(secret)[1:-1].encode()


@pytest.mark.timeout(600)
def test_no_secret_is_left_behind(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    stage, site = run.stage, run.stage.site
    caplog.set_level("DEBUG")
    host: dict[str, Any] = {
        "name": "typed",
        "address": "127.0.0.1",
        "port": 1,
        "user": "root",
        "zone": "east",
    }
    host["insecure"] = True
    assert run.ask("POST", "/os-hosts", {"host": {**host, "password": TYPED}}).status_code < 300
    run.ask("POST", "/os-hosts", {"host": {**host, "password": TYPED}})  # a second time
    run.ask("POST", "/os-hosts", {"host": {**host, "name": "", "password": TYPED}})
    run.ask("POST", "/os-hosts", {"host": {**host, "passwort": TYPED}})
    blue, red = stage.create("blue"), stage.create("red")
    done = [run.do(blue, "add_host", name) for name in HOSTS[:2]]
    assert done == [OperationState.SUCCEEDED] * 2
    assert run.do(red, "add_host", "typed") is OperationState.FAILED
    site.change("set-password", HOSTS[2], password="changed-by-hand")
    assert run.do(red, "add_host", HOSTS[2]) is OperationState.FAILED
    site.spoil(HOSTS[0], "Async.pool.designate_new_master", "drop-after")
    assert run.do(blue, "remove_host", HOSTS[0]) is OperationState.SUCCEEDED
    assert run.do(blue, "add_host", HOSTS[0]) is OperationState.SUCCEEDED
    run.manager.kill()
    run.command("credentials", "rotate")
    run.command("pool", "import", "--address", "127.0.0.1", "--port", "1", "--user", "root",
                "--password-file", str(stage.config.parent.parent / "outside/none"))  # fmt: skip
    for path in ("/os-operations", "/os-hosts", "/os-aggregates", f"/os-aggregates/{blue}/drift"):
        run.ask("GET", path)
    for operation in stage.operations.index(limit=1000):
        run.ask("GET", f"/os-operations/{operation.uuid}")
        run.ask("GET", f"/os-operations/{operation.uuid}/events")
    for name in (*HOSTS, "typed"):
        run.ask("GET", f"/os-hosts/{name}/registration")
    (stage.directory / "api.log").write_text(caplog.text, encoding="utf-8")

    keys = (stage.directory.parent / "outside/key").read_text().split()
    passwords = {each.password for each in site.hosts} | {TYPED, "changed-by-hand"}
    secrets = {*keys, *passwords, TOKEN, "webhook-key-77c1"}
    assert len(secrets) > 6
    files = [path for path in stage.directory.rglob("*") if path.is_file()]
    left = {path.name: path.read_bytes() for path in files if path != stage.config}
    for name in ("service.sqlite", "log", "answers"):
        assert HOSTS[0].encode() in left[name], "the grep would find nothing anywhere"
    assert b" DEBUG " in left["log"]
    assert len(left) >= 5
    found = {
        (name, secret)
        for name, content in left.items()
        for secret in secrets
        for spelling in spellings(secret)
        if spelling in content
    }
    assert not found
