"""Section 1.5 to 1.9: sessions, tasks, events."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest

from tests.conformance.client import BOGUS, Host, Session

LOGIN = "session.login_with_password"
LOCAL_LOGIN = "session.slave_local_login_with_password"


@pytest.mark.section("1.5")
@pytest.mark.parametrize(
    "more", [(), ("1.0",), ("1.0", "me"), ("99.9", "me"), ("", ""), ("1.0", "me", "surplus")]
)
def test_forms_of_a_login(master: Host, more: tuple[str, ...]) -> None:
    ref = master.call(LOGIN, master.user, master.password, *more)
    assert ref.startswith("OpaqueRef:")
    assert master.call("session.logout", ref) == ""


@pytest.mark.section("1.5")
@pytest.mark.parametrize("method", [LOGIN, LOCAL_LOGIN])
@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("root", "Authentication failure"),
        ("no-such-user", "User not known to the underlying authentication module"),
        ("", "User not known to the underlying authentication module"),
    ],
)
def test_wrong_credentials(master: Host, method: str, user: str, message: str) -> None:
    error = master.failure(method, user, "wrong")
    assert error == ["SESSION_AUTHENTICATION_FAILED", user, message]


@pytest.mark.section("1.5")
def test_after_a_logout(master: Host) -> None:
    session = master.log_in()
    session.call("session.logout")
    assert session.failure("host.get_all") == ["SESSION_INVALID", session.ref]
    assert session.failure("session.logout") == ["SESSION_INVALID", session.ref]


@pytest.mark.section("1.5")
def test_a_sessions_record(session: Session) -> None:
    record = session.call("session.get_record", session.ref)
    assert record["this_host"] == session.master
    assert record["is_local_superuser"] is True
    assert record["originator"]
    assert session.call("session.get_this_host", session.ref) == session.master


@pytest.mark.section("1.5")
def test_local_sessions(master: Host) -> None:
    session = master.log_in_locally()
    assert session.call("host.get_all")
    assert session.call("host.is_in_emergency_mode") is False
    assert session.call("session.logout") == ""
    assert session.call("host.get_all")
    assert session.call("session.local_logout") == ""
    assert session.failure("host.get_all") == ["SESSION_INVALID", session.ref]


@pytest.mark.section("1.8")
def test_a_task_of_a_void_call(session: Session) -> None:
    host = session.master
    task = session.call("Async.host.enable", host)
    record = session.finished(task)
    assert record["status"] == "success"
    assert record["result"] == "<value></value>"
    assert record["error_info"] == []
    assert record["progress"] == 1.0
    assert record["name_label"] == "Async.host.enable"
    assert record["resident_on"] == host
    assert record["finished"] != "19700101T00:00:00Z"
    assert session.call("task.cancel", task) == ""
    assert session.call("task.destroy", task) == ""
    assert session.failure("task.get_record", task) == ["HANDLE_INVALID", "task", task]
    assert session.failure("task.destroy", task) == ["HANDLE_INVALID", "task", task]


@pytest.mark.section("1.8")
def test_a_task_that_fails(session: Session) -> None:
    task = session.call("Async.host.reboot", BOGUS)
    record = session.finished(task)
    assert (record["status"], record["result"]) == ("failure", "")
    assert record["error_info"] == ["HANDLE_INVALID", "host", BOGUS]
    session.call("task.destroy", task)


@pytest.mark.section("1.8")
def test_a_task_of_a_call_with_a_result(session: Session) -> None:
    task = session.call("Async.host.get_vms_which_prevent_evacuation", session.master)
    record = session.finished(task)
    assert record["status"] == "success"
    assert record["result"].startswith("<value><struct>")
    session.call("task.destroy", task)


@pytest.mark.section("1.8")
def test_errors_that_a_task_is_not_made_for(master: Host, session: Session) -> None:
    error = session.failure("Async.host.reboot")
    assert error == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "host.reboot", "1", "0"]
    assert session.failure("Async.host.reboot", 5)[0] == "INTERNAL_ERROR"
    assert master.failure("Async.host.reboot", BOGUS, BOGUS) == ["SESSION_INVALID", BOGUS]


@pytest.mark.section("1.8")
def test_tasks_of_ones_own(session: Session) -> None:
    task = session.call("task.create", "mine", "text")
    record = session.call("task.get_record", task)
    assert (record["name_label"], record["status"]) == ("mine", "pending")
    assert record["finished"] == "19700101T00:00:00Z"
    session.call("task.cancel", task)
    record = session.call("task.get_record", task)
    assert record["status"] == "pending"
    assert "cancel" in record["current_operations"].values()
    assert session.call("Async.task.cancel", task).startswith("DummyRef:")
    session.call("task.destroy", task)


def from_(session: Session, names: list[str], token: str = "", seconds: float = 1.0) -> Any:
    return session.call("event.from", names, token, seconds)


@pytest.mark.section("1.9")
@pytest.mark.parametrize("name", ["pool", "POOL", "pool/{pool}", "*"])
def test_the_first_answer_has_every_object(session: Session, name: str) -> None:
    answer = from_(session, [name.format(pool=session.pool)])
    events = [e for e in answer["events"] if e["class"] == "pool"]
    assert [(e["operation"], e["ref"]) for e in events] == [("add", session.pool)]
    assert events[0]["snapshot"]["master"] == session.master
    assert events[0]["timestamp"] == "0.0"
    assert answer["valid_ref_counts"]["pool"] == 1


@pytest.mark.section("1.9")
@pytest.mark.parametrize("names", [[], ["nosuch"], [f"pool/{BOGUS}"], ["session"]])
def test_nothing_fits(session: Session, names: list[str]) -> None:
    assert from_(session, names, seconds=0.3)["events"] == []


@pytest.mark.section("1.9")
@pytest.mark.parametrize("token", ["nonsense", "99999999999999999999,99999999999999999999", "1"])
def test_tokens_that_are_none(session: Session, token: str) -> None:
    error = session.failure("event.from", ["pool"], token, 1.0)
    assert error == ["EVENT_FROM_TOKEN_PARSE_FAILURE", token]


@pytest.mark.section("1.9")
def test_an_old_token_gives_everything(session: Session) -> None:
    assert [e["operation"] for e in from_(session, ["pool"], "1,2")["events"]] == ["add"]


@pytest.mark.section("1.9")
def test_changes_come_together_and_only_once(session: Session) -> None:
    pool = session.pool
    before = session.call("pool.get_name_description", pool)
    token = from_(session, ["pool"])["token"]
    for text in ("one", "two", "two"):
        session.call("pool.set_name_description", pool, text)
    answer = from_(session, ["pool"], token)
    found = [(e["operation"], e["snapshot"]["name_description"]) for e in answer["events"]]
    assert found == [("mod", "two")]
    session.call("pool.set_name_description", pool, "two")
    assert from_(session, ["pool"], answer["token"], 0.3)["events"] == []
    session.call("pool.set_name_description", pool, before)


@pytest.mark.section("1.9")
def test_additions_and_deletions(session: Session) -> None:
    token = from_(session, ["network"])["token"]
    described = {"name_label": "conformance", "name_description": "", "other_config": {}}
    network = session.call("network.create", described)
    answer = from_(session, ["network"], token)
    assert [(e["operation"], e["ref"]) for e in answer["events"]] == [("add", network)]
    session.call("network.destroy", network)
    answer = from_(session, ["network"], answer["token"])
    assert [(e["operation"], e["ref"]) for e in answer["events"]] == [("del", network)]
    assert "snapshot" not in answer["events"][0]
    short = session.call("network.create", described)
    session.call("network.destroy", short)
    assert from_(session, ["network"], answer["token"], 0.3)["events"] == []


@pytest.mark.section("1.9")
def test_a_change_wakes_who_waits(master: Host, session: Session) -> None:
    pool = session.pool
    before = session.call("pool.get_name_description", pool)
    token = from_(session, ["pool"])["token"]
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(from_, session, ["pool"], token, 3000.0)
        master.log_in().call("pool.set_name_description", pool, "woken")
        assert waiting.result(60)["events"][0]["snapshot"]["name_description"] == "woken"
    session.call("pool.set_name_description", pool, before)


@pytest.mark.section("1.9")
def test_events_of_the_old_kind(session: Session) -> None:
    pool = session.pool
    assert session.failure("event.next")[0] == "SESSION_NOT_REGISTERED"
    session.call("event.register", ["pool"])
    session.call("pool.add_tags", pool, "conformance")
    events = session.call("event.next")
    assert (events[-1]["class"], events[-1]["operation"]) == ("pool", "mod")
    session.call("event.unregister", ["pool"])
    session.call("pool.remove_tags", pool, "conformance")
