"""Section 1.4 and 1.10: the order of errors, their parameters, field access, expressions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import BOGUS, NO_UUID, NULL, Host, Session

MISMATCH = "MESSAGE_PARAMETER_COUNT_MISMATCH"


@pytest.mark.section("1.4")
@pytest.mark.parametrize(
    ("method", "count", "expected"),
    [
        ("host.get_record", 0, ["host.get_record", "1", "0"]),
        ("host.get_record", 2, ["host.get_record", "1", "2"]),
        ("Async.host.enable", 0, ["host.enable", "1", "0"]),
        ("pool.join", 1, ["pool.join", "3", "1"]),
        ("pool.join", 4, ["pool.join", "3", "4"]),
        ("host.disable", 0, ["host.disable", "1", "0"]),
        ("host.evacuate", 0, ["host.evacuate", "1", "0"]),
        ("event.from", 2, ["event.from", "3", "2"]),
        ("host.get_all", 1, ["host.get_all", "0", "1"]),
    ],
)
def test_counts(master: Host, method: str, count: int, expected: list[str]) -> None:
    """Before the session is looked at."""
    assert master.failure(method, BOGUS, *["x"] * count) == [MISMATCH, *expected]


@pytest.mark.section("1.4")
def test_a_call_without_a_session(master: Host) -> None:
    assert master.failure("host.get_all") == [MISMATCH, "host.get_all", "0", "-1"]


@pytest.mark.section("1.4")
def test_optional_parameters_take_a_surplus(session: Session) -> None:
    error = session.failure("host.evacuate", BOGUS, NULL, "0", "more", "and more")
    assert error[0] == "HANDLE_INVALID"


@pytest.mark.section("1.4")
def test_unknown_methods(master: Host, session: Session) -> None:
    for name in ("host.no_such", "nosuch.get_all", "no"):
        assert session.failure(name) == ["MESSAGE_METHOD_UNKNOWN", name]
        assert master.failure(name, BOGUS) == ["SESSION_INVALID", BOGUS]
    assert session.failure("Async.host.no_such") == ["MESSAGE_METHOD_UNKNOWN", "host.no_such"]


@pytest.mark.section("1.4")
@pytest.mark.parametrize(
    ("value", "found"),
    [(5, "I(5)"), (True, "B(true)"), (["x"], "[S(x)]"), (None, "N")],
)
def test_text_is_wanted(master: Host, value: Any, found: str) -> None:
    error = ["INTERNAL_ERROR", f"Failure(\"Expected string, got '{found}'\")"]
    assert master.failure("host.get_record", BOGUS, value) == error


@pytest.mark.section("1.4")
@pytest.mark.parametrize(
    ("method", "value", "text"),
    [
        ("pool.set_wlb_enabled", "true", "Expected bool, got 'S(true)'"),
        ("host.set_tags", "x", "Expecting Rpc.Enum, but found 'S(x)'"),
        ("host.set_other_config", ["x"], "Expecting Rpc.Dict, but found '[S(x)]'"),
        ("network.set_MTU", "abc", "Int64.of_string"),
    ],
)
def test_other_types_are_wanted(master: Host, method: str, value: Any, text: str) -> None:
    assert master.failure(method, BOGUS, BOGUS, value) == ["INTERNAL_ERROR", f'Failure("{text}")']


CLASSES = ["host", "pool", "VM", "SR", "PBD", "PIF", "network", "task", "host_metrics", "VDI"]


@pytest.mark.section("1.4")
@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("ref", [BOGUS, NULL, "", "nonsense"])
def test_unknown_references(session: Session, cls: str, ref: str) -> None:
    assert session.failure(f"{cls}.get_record", ref) == ["HANDLE_INVALID", cls, ref]


@pytest.mark.section("1.4")
@pytest.mark.parametrize("cls", CLASSES)
def test_unknown_uuids(session: Session, cls: str) -> None:
    error = session.failure(f"{cls}.get_by_uuid", NO_UUID)
    assert error == ["UUID_INVALID", cls, NO_UUID]


@pytest.mark.section("1.4")
@pytest.mark.parametrize(
    "method", ["host.set_uuid", "host.set_enabled", "pool.set_master", "pool.get_by_name_label"]
)
def test_accessors_that_do_not_exist(session: Session, method: str) -> None:
    assert session.failure(method, BOGUS) == ["MESSAGE_METHOD_UNKNOWN", method]


@pytest.mark.section("1.4")
@pytest.mark.parametrize("method", ["Async.host.get_record", "Async.session.logout"])
def test_no_async_form(session: Session, method: str) -> None:
    arguments = [session.master] if "get_record" in method else []
    assert session.failure(method, *arguments) == [
        "Fault",
        f"No async mode for this operation (rpc: {method[6:]})",
    ]


@pytest.mark.section("1.4")
def test_maps(session: Session) -> None:
    pool, key = session.pool, "conformance"
    session.call("pool.remove_from_other_config", pool, key)
    session.call("pool.add_to_other_config", pool, key, "one")
    for value in ("one", "two"):
        error = session.failure("pool.add_to_other_config", pool, key, value)
        assert error == ["MAP_DUPLICATE_KEY", "pool", "other_config", pool, key]
    session.call("pool.remove_from_other_config", pool, key)
    assert session.call("pool.remove_from_other_config", pool, key) == ""
    assert key not in session.call("pool.get_other_config", pool)
    error = session.failure("pool.add_to_other_config", pool, "", "x")
    assert error == ["INTERNAL_ERROR", "Db_exn.Empty_key_in_map"]


@pytest.mark.section("1.4")
def test_sets(session: Session) -> None:
    pool = session.pool
    before = session.call("pool.get_tags", pool)
    session.call("pool.set_tags", pool, ["b", "a", "a"])
    assert session.call("pool.get_tags", pool) == ["b", "a", "a"]
    session.call("pool.add_tags", pool, "a")
    session.call("pool.remove_tags", pool, "missing")
    assert session.call("pool.get_tags", pool) == ["b", "a", "a"]
    session.call("pool.set_tags", pool, before)


@pytest.mark.section("1.4")
def test_text_of_all_kinds(session: Session) -> None:
    pool = session.pool
    before = session.call("pool.get_name_description", pool)
    for text in ("é ☃ <&> \" '", " blanks ", "x" * 1000, ""):
        session.call("pool.set_name_description", pool, text)
        assert session.call("pool.get_name_description", pool) == text
    session.call("pool.set_name_description", pool, before)


@pytest.mark.section("1.4")
@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("true", True),
        ("false", False),
        ('field "enabled" = "true" or field "enabled" = "false"', True),
        ('field "enabled" = "true" and field "enabled" = "false"', False),
        ('not (field "uuid" = "x")', True),
        ('field "address" = field "address"', True),
        ('field "name__label" = field "name__label"', True),
    ],
)
def test_expressions(session: Session, expression: str, matches: bool) -> None:
    found = session.call("host.get_all_records_where", expression)
    assert bool(found) is matches


@pytest.mark.section("1.4")
@pytest.mark.parametrize(
    "expression", ["", "nonsense", "TRUE", "(true", 'field "enabled"', "field 'a' = 'b'", "a != b"]
)
def test_expressions_that_are_none(session: Session, expression: str) -> None:
    error = session.failure("host.get_all_records_where", expression)
    assert error[:2] == ["INVALID_VALUE", expression]
    assert len(error) == 3


@pytest.mark.section("1.4")
@pytest.mark.parametrize(("cls", "name"), [("host", "name_label"), ("host", "nosuch")])
def test_expressions_with_unknown_fields(session: Session, cls: str, name: str) -> None:
    error = session.failure(f"{cls}.get_all_records_where", f'field "{name}" = "x"')
    assert error == ["INTERNAL_ERROR", "missing field", name, ""]


@pytest.mark.section("1.4")
def test_the_pools_name_is_called_otherwise_in_expressions(session: Session) -> None:
    expression = 'field "name_label" = field "name_label"'
    assert session.call("pool.get_all_records_where", expression)


@pytest.mark.section("1.10")
@pytest.mark.parametrize(
    "method",
    [
        "pool.eject",
        "host.restart_agent",
        "host.get_servertime",
        "host.get_log",
        "host.get_server_certificate",
    ],
)
def test_unknown_hosts_that_are_contacted(session: Session, method: str) -> None:
    assert session.failure(method, BOGUS) == ["HOST_OFFLINE", BOGUS]


@pytest.mark.section("1.10")
@pytest.mark.parametrize(
    "method",
    [
        "host.disable",
        "host.enable",
        "host.reboot",
        "host.shutdown",
        "host.evacuate",
        "host.power_on",
        "host.destroy",
        "host.declare_dead",
        "host.get_vms_which_prevent_evacuation",
        "host.assert_can_evacuate",
        "pool.designate_new_master",
    ],
)
def test_unknown_hosts_that_are_looked_up(session: Session, method: str) -> None:
    assert session.failure(method, BOGUS) == ["HANDLE_INVALID", "host", BOGUS]
