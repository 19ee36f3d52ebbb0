"""Every command in every format, against the service with its hosts."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import time
import uuid

import pytest
import yaml

from nova_aggregates.client.exits import Exit
from tests.functional.client.conftest import SCRIPT, Result, Terminal

FORMATS = ("table", "json", "yaml", "csv", "value")


def good(result: Result) -> Result:
    assert result.code == Exit.OK, result
    return result


def document(result: Result):
    return json.loads(good(result).out)


@pytest.fixture
def aggregate(run):
    """A new aggregate; its hosts are given back."""
    name = f"a {uuid.uuid4().hex[:8]}"
    made = document(run("aggregate-create", name, "nova", "-f", "json"))
    assert made["name"] == name
    yield name
    for host in reversed(document(run("aggregate-details", name, "-f", "json"))["hosts"]):
        good(run("aggregate-remove-host", name, host, "--yes", "--wait"))
    good(run("aggregate-delete", name, "--yes"))
    assert name not in good(run("aggregate-list")).out


@pytest.fixture
def member(run, aggregate: str) -> str:
    """The name of an aggregate that has host1."""
    shown = document(run("aggregate-add-host", aggregate, "host1", "--wait", "-f", "json"))
    assert shown["hosts"] == ["host1"]
    assert shown["operational_state"] == "active"
    return aggregate


def operation_of(run, aggregate: str) -> str:
    command = ("operation-list", "--aggregate", aggregate, "--host", "host1", "-f", "value")
    return good(run(*command, "-c", "uuid")).out.split()[0]


def read(text: str, form: str):
    if form == "json":
        return json.loads(text)
    if form == "yaml":
        return yaml.safe_load(text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


def test_every_reading_command_in_every_format(run, member: str) -> None:
    operation = operation_of(run, member)
    lists = {
        ("aggregate-list",): "Operational State",
        ("host-list",): "Host",
        ("operation-list",): "UUID",
        ("drift", member): "Kind",
    }
    singles = {
        ("aggregate-details", member): "operational_state",
        ("host-show", "host1"): "maintenance_mode",
        ("operation-show", operation): "findings",
        ("operation-watch", operation): "progress",
        ("preflight", member, "add-host", "host2"): "holdings",
    }
    for commands, many in ((lists, True), (singles, False)):
        for command, column in commands.items():
            for form in FORMATS:
                result = run(*command, "-f", form)
                assert result.code in (Exit.OK, Exit.BLOCKED), (command, result)
                if form == "table":
                    assert column in result.out or "drift" in command
                elif form != "value":
                    found = read(result.out, form)
                    first = found[0] if (many or form == "csv") and found else found
                    assert column in first or "drift" in command, (command, form)


def test_a_dry_run_tells_what_would_be_lost(run, member: str) -> None:
    found = run("aggregate-remove-host", member, "host1", "--dry-run", "-f", "json")
    assert json.loads(found.out)["holdings"].keys() == {"digest", "guests", "disks", "storage"}
    assert document(run("aggregate-details", member, "-f", "json"))["hosts"] == ["host1"]


def test_every_changing_command_in_every_format(run, member: str, tmp_path) -> None:
    operation = operation_of(run, member)
    password = tmp_path / "password"
    password.write_text("secret\n")
    for number, form in enumerate(FORMATS):
        output = ("-f", form)
        word = f"word-{form}"
        good(run("aggregate-set-metadata", member, f"key={word}", *output))
        name = f"n {uuid.uuid4().hex[:8]}"
        created = good(run("aggregate-create", name, "nova", *output)).out
        assert name in created
        assert f"{name}2" in good(run("aggregate-update", name, f"{name}2", *output)).out
        good(run("aggregate-delete", f"{name}2", "-y"))
        host = ("host-register", f"x{number}", "--address", "127.9.9.9", "--zone", "far")
        trust = ("--unverified", "--password-file", str(password), "--port", str(1000 + number))
        shown = good(run(*host, *trust, *output)).out
        assert "far" in shown
        assert "secret" not in shown
        good(run("host-delete", f"x{number}", "-y"))
        for verb in ("cancel", "retry", "abandon"):
            refused = run(f"operation-{verb}", operation, *(["-y"] if verb == "abandon" else []))
            assert refused.code == Exit.REFUSED
            assert refused.err.count("\n") == 1
    details = document(run("aggregate-details", member, "-f", "json"))
    assert details["metadata"]["key"] == "word-value"
    good(run("aggregate-set-metadata", member, "key"))
    assert document(run("aggregate-details", member, "-f", "json"))["metadata"] == {}


def test_id_and_name_mean_the_same(run, aggregate: str) -> None:
    by_name = document(run("aggregate-details", aggregate, "-f", "json"))
    assert document(run("aggregate-details", str(by_name["id"]), "-f", "json")) == by_name


def test_lists_are_words_and_maps_are_json_where_python_would_show(run, member: str) -> None:
    good(run("aggregate-set-metadata", member, "a=b"))
    shown = good(run("aggregate-details", member, "-f", "value", "-c", "hosts", "-c", "metadata"))
    assert shown.out == 'host1\n{"a": "b"}\n'


def test_what_stands_in_the_way_is_told_and_changes_nothing(run, member: str) -> None:
    # host5 has running guests.
    blocked = run("aggregate-add-host", member, "host5", "--dry-run", "-f", "json")
    assert blocked.code == Exit.BLOCKED
    findings = json.loads(blocked.out)["findings"]
    assert any("guests" in found["message"].lower() for found in findings)
    failed = run("aggregate-add-host", member, "host5", "--wait")
    assert failed.code == Exit.OPERATION_FAILED
    assert "host5-guest1" in failed.err.splitlines()[-1]
    assert document(run("aggregate-details", member, "-f", "json"))["hosts"] == ["host1"]


def test_a_wait_can_be_given_up(run, member: str) -> None:
    late = run("aggregate-add-host", member, "host2", "--wait", "--wait-timeout", "0")
    assert late.code == Exit.TIMEOUT
    command = late.err.splitlines()[-1].split(": ")[-1].split()
    good(run(*command))
    assert document(run("aggregate-details", member, "-f", "json"))["hosts"] == ["host1", "host2"]


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (("aggregate-details", "nowhere"), Exit.REFUSED, "aggregate-list"),
        (("aggregate-create", "x", "no such zone"), Exit.REFUSED, "Register a host"),
        (("host-show", "nobody/../x"), Exit.REFUSED, "no resource at this path"),
        (("operation-show", "nothing"), Exit.REFUSED, "could not be found"),
        (("host-delete", "host6"), Exit.NOT_CONFIRMED, "--yes"),
        (("no-such-command",), Exit.USAGE, ""),
        (("host-show",), Exit.USAGE, "HOST"),
        ((), Exit.USAGE, "--help"),
    ],
    ids=str,
)
def test_errors_are_one_line_and_a_code(terminal: Terminal, command, code, words) -> None:
    result = terminal.process(*command)
    assert result.code == code, result
    assert words in result.err
    if code not in (Exit.USAGE,):
        assert result.err.count("\n") == 1, result.err
        assert result.err.startswith("nova-aggregates: ")


def on_a_terminal(terminal: Terminal, *arguments: str, answer: str = "") -> tuple[int, str]:
    """The exit code and everything that the terminal showed."""
    pid, master = pty.fork()
    if pid == 0:
        environment = {**os.environ, **terminal.environment, "TERM": "xterm", "COLUMNS": "120"}
        os.execve(SCRIPT, [str(SCRIPT), *arguments], environment)
    shown = b""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            chunk = os.read(master, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        shown += chunk
        if answer and b"[y/N]" in shown:
            os.write(master, answer.encode())
            answer = ""
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_maintenance_and_power(terminal: Terminal, run, aggregate: str) -> None:
    for host in ("host3", "host4"):
        good(run("aggregate-add-host", aggregate, host, "--wait"))
    for form in FORMATS:
        plan = good(run("plan", "host4", "-f", form)).out
        assert "host4" in plan
    dry = document(
        run("host-update", "host4", "--maintenance", "enable", "--dry-run", "-f", "json")
    )
    assert dry["ok"] is True
    update = ("host-update", "host4", "--wait", "-f", "json")
    shown = document(run(*update, "--maintenance", "enable"))
    assert shown["maintenance_mode"] == "on_maintenance"
    refused = terminal.process("host-action", "host4", "--action", "reboot")
    assert refused.code == Exit.NOT_CONFIRMED
    reboot = ("host-action", "host4", "--action", "reboot", "--yes", "--wait", "-f", "json")
    assert document(run(*reboot))["power_action"] == "reboot"
    shown = document(run(*update, "--maintenance", "disable"))
    assert shown["maintenance_mode"] == "off_maintenance"
    operation = document(run("operation-list", "--host", "host4", "--limit", "1", "-f", "json"))
    for verb in ("pause", "resume", "abort", "start"):
        ended = run(f"operation-{verb}", operation[0]["UUID"])
        assert ended.code == Exit.REFUSED, ended
    assert run("host-update", "host4").code == Exit.REFUSED


def await_paused(run, uuid: str) -> None:
    """Once the canary is done."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        shown = document(run("operation-show", uuid, "-f", "json"))
        if shown["state"] == "paused":
            return
        assert shown["state"] in ("queued", "running"), shown
    raise AssertionError(shown)


def test_a_rolling_update_is_planned_begun_and_steered(
    terminal: Terminal, run, aggregate: str
) -> None:
    for host in ("host3", "host4"):
        good(run("aggregate-add-host", aggregate, host, "--wait"))
    roll = ("rolling-update", aggregate, "--restart-toolstack", "--host", "host4")
    for form in FORMATS:
        assert "host4" in good(run(*roll, "--dry-run", "-f", form)).out
    plan = document(run(*roll, "--dry-run", "-f", "json"))
    assert (plan["ok"], [step["host"] for step in plan["hosts"]]) == (True, ["host4"])
    started = document(run("operation-start", plan["operation"], "--wait", "-f", "json"))
    assert started["state"] == "succeeded"
    assert started["details"]["hosts"]["host4"]["state"] == "done"

    assert terminal.process(*roll).code == Exit.NOT_CONFIRMED
    steps = ("--canary", "host4", "--pause-after-canary", "--yes", "-f", "json")
    whole = ("rolling-update", aggregate, "--restart-toolstack", *steps)
    uuid = document(run(*whole))["uuid"]
    await_paused(run, uuid)
    assert uuid in good(run("operation-list", "--state", "paused", "-f", "value")).out
    good(run("operation-resume", uuid))
    assert document(run("operation-watch", uuid, "-f", "json"))["state"] == "succeeded"
    uuid = document(run(*whole))["uuid"]
    await_paused(run, uuid)
    good(run("operation-abort", uuid))
    ended = run("operation-watch", uuid, "-f", "json")
    assert (ended.code, json.loads(ended.out)["state"]) == (Exit.OPERATION_FAILED, "cancelled")
    assert document(run(*roll, "--yes", "--wait", "-f", "json"))["state"] == "succeeded"


def test_a_terminal_gets_a_bar(terminal: Terminal, aggregate: str) -> None:
    code, shown = on_a_terminal(terminal, "aggregate-add-host", aggregate, "host3", "--wait")
    assert code == Exit.OK, shown
    assert "100%" in shown
    assert "━" in shown
    assert "succeeded: admit_host" in shown


@pytest.mark.parametrize(("answer", "left"), [("n\n", ["host4"]), ("y\n", [])])
def test_the_question_is_meant(terminal: Terminal, run, aggregate: str, answer, left) -> None:
    good(run("aggregate-add-host", aggregate, "host4", "--wait"))
    command = ("aggregate-remove-host", aggregate, "host4", "--wait")
    code, shown = on_a_terminal(terminal, *command, answer=answer)
    assert "wipes its local storage" in shown or "are lost with host4" in shown
    assert code == (Exit.NOT_CONFIRMED if left else Exit.OK), shown
    assert document(run("aggregate-details", aggregate, "-f", "json"))["hosts"] == left
