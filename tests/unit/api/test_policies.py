"""Every call asks the policy, and by default only those get through whom it is for."""

from __future__ import annotations

import http.server
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import webob
from oslo_config import cfg
from oslo_context.context import RequestContext
from oslo_policy import policy as oslo_policy

from nova_aggregates.api import policies
from nova_aggregates.api.application import Application
from nova_aggregates.api.call import CONTEXT
from nova_aggregates.api.controllers import aggregates as aggregate_controller
from nova_aggregates.api.controllers import operations as operation_controller
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import EVERY, LEGACY, VERSION, Version, at
from nova_aggregates.api.policies import (
    Policy,
    aggregates,
    base,
    hosts,
    list_rules,
    operations,
    services,
)
from nova_aggregates.api.router import ABOUT_THE_API, COMPUTE
from tests.unit.api.site import MEMBER, configuration, deployment

ADMIN = RequestContext(user_id="root", project_id="demo", roles=["admin"])
READER = RequestContext(user_id="eve", project_id="demo", roles=["aggregates_reader"])
SYSTEM_READER = RequestContext(user_id="eve", system_scope="all", roles=["reader"])
OPERATOR = RequestContext(user_id="tom", project_id="demo", roles=["aggregates_operator"])
# Keystone gives the role reader to the members of a project.
MEMBER_THAT_READS = RequestContext(user_id="jim", project_id="demo", roles=["member", "reader"])
FOR_ANYBODY = {
    "/extensions",
    "/extensions/{alias}",
    "/limits",
    "/os-availability-zone",
}
UUID = "00000000-0000-0000-0000-000000000000"
CALLS = [
    (method, template, next(version for version in EVERY if at(handler, version)))
    for template, methods in COMPUTE
    for method, handler in methods.items()
    if template not in ABOUT_THE_API | FOR_ANYBODY and not template.endswith("/action")
]


def url(template: str) -> str:
    parts = {"id": "1", "name": "host1", "alias": "os-aggregates"}
    return "/demo" + template.format(**parts, uuid=UUID)


def call(
    tmp_path: Path, method: str, path: str, body: Any = None, version: Version = LEGACY
) -> None:
    reached = AssertionError("the manager was reached")
    app = Application(deployment(configuration(tmp_path), reached), COMPUTE)
    request = webob.Request.blank(path, method=method)
    request.environ[CONTEXT] = MEMBER
    if version > LEGACY:
        request.environ[VERSION] = version
    if body is not None:
        request.json = body
        request.content_type = "application/json"
    app(request.environ, lambda *_arguments: None)


@pytest.mark.parametrize(("method", "template", "version"), CALLS)
def test_a_member_is_refused_before_anything_else(
    tmp_path: Path, method: str, template: str, version: Version
) -> None:
    with pytest.raises(Fault) as caught:
        call(tmp_path, method, url(template), version=version)
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("path", "action"),
    [
        *(("/demo/os-aggregates/1/action", name) for name in aggregate_controller.HANDLERS),
        *((f"/demo/os-operations/{UUID}/action", name) for name in operation_controller.HANDLERS),
    ],
)
def test_a_member_is_refused_each_action(tmp_path: Path, path: str, action: str) -> None:
    with pytest.raises(Fault) as caught:
        call(tmp_path, "POST", path, {action: {}})
    assert caught.value.status == 403


def test_every_route_is_documented_by_a_rule_and_every_rule_by_a_route() -> None:
    documented = {
        (operation["method"], operation["path"])
        for rule in list_rules()
        if isinstance(rule, oslo_policy.DocumentedRuleDefault)
        for operation in rule.operations
    }
    routes = {
        (method, "/v1.1/{project}" + template)
        for template, methods in COMPUTE
        for method in methods
        if template not in ABOUT_THE_API
    }
    assert documented == routes


def kind(rule: oslo_policy.RuleDefault) -> str:
    """For whom the rule should be."""
    if not isinstance(rule, oslo_policy.DocumentedRuleDefault):
        return rule.name
    operations = [(each["method"], each["path"]) for each in rule.operations]
    if {path.removeprefix("/v1.1/{project}") for _, path in operations} <= FOR_ANYBODY:
        return "anybody"
    if rule.name in FOR_OPERATORS:
        return base.OPERATOR
    reads = {method for method, _ in operations} == {"GET"}
    return base.READER if reads else base.ADMIN


FOR_OPERATORS = {
    services.UPDATE,
    *(hosts.UPDATE, hosts.REBOOT, hosts.SHUTDOWN, hosts.STARTUP, hosts.PLAN),
    *(operations.PAUSE, operations.RESUME, operations.ABORT, operations.START),
}
ALLOWED = {
    base.ADMIN: (ADMIN,),
    base.OPERATOR: (ADMIN, OPERATOR),
    base.READER: (ADMIN, OPERATOR, READER, SYSTEM_READER),
    "anybody": (ADMIN, OPERATOR, READER, SYSTEM_READER, MEMBER, MEMBER_THAT_READS),
}


@pytest.mark.parametrize("rule", list_rules(), ids=lambda rule: rule.name)
def test_who_is_allowed_what(tmp_path: Path, rule: oslo_policy.RuleDefault) -> None:
    policy = Policy(configuration(tmp_path))
    allowed = ALLOWED[kind(rule)]
    for context in ALLOWED["anybody"]:
        assert policy.allows(rule.name, context) is (context in allowed), context.roles
    assert rule.description


def test_an_unknown_rule_is_a_defect(tmp_path: Path) -> None:
    with pytest.raises(oslo_policy.PolicyNotRegistered):
        Policy(configuration(tmp_path)).allows("os_compute_api:os-typo", ADMIN)


def test_the_operator_may_say_who_is_an_administrator(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('context_is_admin: "role:member"\n', encoding="utf-8")
    policy = Policy(configuration(tmp_path, oslo_policy={"policy_file": file}))
    assert policy.allows(aggregates.CREATE, MEMBER)
    assert not policy.allows(aggregates.CREATE, ADMIN)


class CountingOptions(cfg.ConfigOpts):
    """Counts how often somebody looks for a file."""

    looks = 0

    def find_file(self, name: str) -> str | None:
        self.looks += 1
        return super().find_file(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(f'"{aggregates.SHOW}": "role:member"\n', encoding="utf-8")
    return path


def test_files_are_not_looked_for_at_each_question(file: Path) -> None:
    conf = CountingOptions()
    conf([], project="nova-aggregates", default_config_files=[])
    policy = Policy(conf)
    looks = conf.looks
    for _ in range(50):
        policy.allows(aggregates.SHOW, ADMIN)
    assert conf.looks == looks


def test_a_changed_file_is_read_again(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy(configuration(tmp_path, oslo_policy={"policy_file": file}))
    assert policy.allows(aggregates.SHOW, MEMBER)
    monkeypatch.setattr(policies, "RELOAD_SECONDS", 0.0)
    policy = Policy(configuration(tmp_path, oslo_policy={"policy_file": file}))
    for content, allowed in (("{}", False), (f'"{aggregates.SHOW}": "@"', True), ("{{{", True)):
        before = file.stat().st_mtime_ns
        file.write_text(content, encoding="utf-8")
        os.utime(file, ns=(before + 10**9, before + 10**9))
        assert policy.allows(aggregates.SHOW, MEMBER) is allowed


def test_tools_of_oslo_policy_find_the_rules() -> None:
    enforcer = policies.get_enforcer()
    assert set(enforcer.registered_rules) == {rule.name for rule in list_rules()}
    assert base.ADMIN in enforcer.registered_rules


FACTS = {
    "user_id": "x",
    "user_domain_id": "x",
    "system_scope": "all",
    "domain_id": "x",
    "project_id": "x",
    "project_domain_id": "x",
    "is_admin_project": False,
    "service_user_id": "x",
    "service_user_domain_id": "x",
    "service_project_id": "x",
    "service_project_domain_id": "x",
    "roles": ["x"],
    "service_roles": ["x"],
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_remembered_decision_is_for_one_caller_only(tmp_path: Path, fact: str) -> None:
    value = FACTS[fact]
    check = f"'x' in %({fact})s" if isinstance(value, list) else f"{fact}:{value}"
    check = {"roles": "role:x", "service_roles": "service_roles:x"}.get(fact, check)
    file = tmp_path / "policy.yaml"
    file.write_text(f'"{aggregates.SHOW}": "{check}"\n', encoding="utf-8")
    policy = Policy(configuration(tmp_path, oslo_policy={"policy_file": file}))
    with_it, without = RequestContext(**{fact: value}), RequestContext()
    for _ in range(2):
        assert policy.allows(aggregates.SHOW, with_it)
        assert not policy.allows(aggregates.SHOW, without)


class Judge(http.server.BaseHTTPRequestHandler):
    """What the rule ``http:`` of oslo.policy asks."""

    verdicts: list[bytes]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        verdict = self.verdicts.pop()
        self.send_response(200)
        self.send_header("Content-Length", str(len(verdict)))
        self.end_headers()
        self.wfile.write(verdict)

    def log_message(self, *_arguments: Any) -> None:
        pass


def test_who_asks_somebody_else_asks_each_time(tmp_path: Path) -> None:
    Judge.verdicts = [b"True", b"False", b"True"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Judge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        file = tmp_path / "policy.yaml"
        url = f"http://127.0.0.1:{server.server_port}/"
        file.write_text(f'"{aggregates.SHOW}": "{url}"\n', encoding="utf-8")
        policy = Policy(configuration(tmp_path, oslo_policy={"policy_file": file}))
        verdicts = [policy.allows(aggregates.SHOW, MEMBER) for _ in range(3)]
        server.shutdown()
    assert verdicts == [True, False, True]
