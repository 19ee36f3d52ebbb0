"""Whatever a host answers, the driver has a value or one of its own errors."""

from __future__ import annotations

import contextlib
import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_aggregates.xenapi import errors, transport
from nova_aggregates.xenapi.decode import Record, Table, seconds
from nova_aggregates.xenapi.observe import observe
from nova_aggregates.xenapi.preflight import join_findings
from tests.unit.xenapi import xen_records

FUZZ = settings.get_profile("fuzz")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["OpaqueRef:NULL", "OpaqueRef:x", "", "1795229534.", "9" * 30, "nan", "inf"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@FUZZ
@given(st.binary(max_size=400))
def test_bytes_are_an_answer_or_unusable(body: bytes) -> None:
    with contextlib.suppress(transport.AnswerUnusable):
        assert isinstance(transport._parse(body), tuple)


@FUZZ
@given(values, st.data())
def test_a_damaged_answer_is_an_answer_or_unusable(value: Any, data: st.DataObject) -> None:
    try:
        body = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True).encode()
    except (UnicodeEncodeError, OverflowError):
        return
    at = data.draw(st.integers(0, len(body)))
    until = data.draw(st.integers(at, min(len(body), at + 20)))
    damaged = body[:at] + data.draw(st.binary(max_size=20)) + body[until:]
    with contextlib.suppress(transport.AnswerUnusable):
        assert isinstance(transport._parse(damaged), tuple)


@FUZZ
@given(st.dictionaries(st.sampled_from(["a", "b"]), values))
def test_fields_have_the_type_that_was_asked_for(fields: dict[str, Any]) -> None:
    record = Record("OpaqueRef:r", fields)
    assert isinstance(record.text("a"), str)
    assert isinstance(record.flag("a"), bool)
    assert isinstance(record.integer("a"), int)
    assert record.link("a") is None or isinstance(record.link("a"), str)
    assert all(isinstance(text, str) for text in record.texts("a"))
    assert all(isinstance(text, str) for text in record.mapping("a").values())
    assert len(Table({"OpaqueRef:r": fields})) == 1


@FUZZ
@given(st.text(max_size=30))
def test_times_are_numbers_or_nothing(text: str) -> None:
    assert seconds(text) is None or isinstance(seconds(text), float)


@FUZZ
@given(st.data())
def test_any_field_of_a_pool_may_be_anything(data: st.DataObject) -> None:
    """A field of one record is changed or taken away; looking and checking go on."""
    records = xen_records.standalone("h1")
    tables = [name for name, table in records.items() if table]
    table: Any = records[data.draw(st.sampled_from(sorted(tables)))]
    record = table[data.draw(st.sampled_from(sorted(table)))]
    field = data.draw(st.sampled_from(sorted(record)))
    if data.draw(st.booleans()):
        record[field] = data.draw(values)
    else:
        del record[field]
    joiner: Any = xen_records.MemoryConnection(records)
    master: Any = xen_records.MemoryConnection(xen_records.standalone("h2"))
    with contextlib.suppress(errors.XenError):
        view = observe(joiner)
        assert all(isinstance(host.enabled, bool) for host in view.hosts)
    with contextlib.suppress(errors.XenError):
        join_findings(joiner, master)
        join_findings(master, joiner)


@pytest.mark.parametrize("body", [b"", b"<", b"\x00" * 1000, b"<?xml version='1.0'?><!DOCTYPE a>"])
def test_bodies_that_were_found_once(body: bytes) -> None:
    with pytest.raises(transport.AnswerUnusable):
        transport._parse(body)
