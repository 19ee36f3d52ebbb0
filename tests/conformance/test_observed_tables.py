"""The tables beside the recordings: every method's arity, every class's fields and types."""

from __future__ import annotations

import json
import xmlrpc.client
from collections.abc import Iterator
from typing import Any

import pytest

from nova_aggregates.simulator.testing import SimulatedSite
from tests.conformance import recorded
from tests.conformance.client import BOGUS, Failure, Host, Session

WHERE = recorded.directory()
if WHERE is None:
    pytest.skip(
        f"the recordings of a real xapi are not here; {recorded.VARIABLE} names their directory",
        allow_module_level=True,
    )
METHODS: dict[str, dict[str, Any]] = json.loads((WHERE / "methods.json").read_text())
RECORDS = {
    path.stem: json.loads(path.read_text()) for path in sorted((WHERE / "records").glob("*.json"))
}
TYPES: dict[type, str] = {
    str: "string",
    bool: "bool",
    float: "double",
    xmlrpc.client.DateTime: "dateTime",
    list: "array",
    dict: "struct",
}
SEEN = {cls for found in RECORDS.values() for cls in found if found[cls].get("fields")}
CLASSES = sorted(SEEN)  # of which there was an object


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with SimulatedSite(hosts=1, time_scale=100.0, profile="bare", password="x") as site:
        (only,) = site.hosts
        yield Host(only.url, only.username, only.password)


@pytest.fixture(scope="module")
def session(host: Host) -> Session:
    return host.log_in()


@pytest.mark.section("1.4")
def test_the_names_are_the_same(host: Host) -> None:
    assert sorted(host.call("system.listMethods")) == sorted(METHODS)


@pytest.mark.section("1.4")
def test_each_method_wants_the_same_number_of_parameters(host: Host) -> None:
    """One too many; where that is taken, sixty words have the same answer as there."""
    wrong = {}
    for name, known in METHODS.items():
        if "params" not in known:
            continue
        wanted = ["MESSAGE_PARAMETER_COUNT_MISMATCH", name, str(known["params"])]
        count = known["params"] + 1
        if known.get("more"):
            wanted, count = known["with_60_strings"], 60
        else:
            wanted = [*wanted, str(count)]
        answer = host.failure(name, BOGUS, *["x"] * count)
        if answer != wanted:
            wrong[name] = (wanted, answer)
    assert wrong == {}


def observed_fields(cls: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for table in RECORDS.values():
        for field, kinds in table.get(cls, {}).get("fields", {}).items():
            found.setdefault(field, set()).update(kind.split()[0] for kind in kinds)
    return found


@pytest.mark.section("2")
@pytest.mark.parametrize("cls", CLASSES)
def test_fields_of_a_class(session: Session, cls: str) -> None:
    """By its getters; and by the values, where the simulated host has such an object."""
    known = observed_fields(cls)
    getters = {n.split(".get_", 1)[1] for n in METHODS if n.startswith(f"{cls}.get_")}
    if cls != "message":  # it is read by records only
        assert set(known) <= getters
    try:
        records = session.call(f"{cls}.get_all_records")
    except Failure as error:
        pytest.skip(f"get_all_records: {error.code}")
    for record in list(records.values())[:20]:
        assert set(record) == set(known)
        for field, value in record.items():
            assert TYPES[type(value)] in known[field], (field, value)
