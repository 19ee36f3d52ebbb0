"""What the schemas' own formats accept; messages tell the place and never the value."""

from __future__ import annotations

from typing import Any

import pytest

from nova_aggregates.api import validation
from nova_aggregates.api.faults import Fault
from nova_aggregates.api.microversion import LEGACY
from nova_aggregates.api.schemas import aggregates, hosts

CREATE = aggregates.CREATE[LEGACY]
SET_METADATA = aggregates.SET_METADATA[LEGACY]


@pytest.mark.parametrize(
    ("address", "valid"),
    [
        ("10.0.0.1", True),
        ("::1", True),
        ("2001:db8::7", True),
        ("xen1", True),
        ("xen-1.example.org", True),
        ("xen_1.example.org.", True),
        ("1.example", True),
        ("10.0.0", False),
        ("10.0.0.256", False),
        ("10.0.0.1:443", False),
        ("-x.example", False),
        ("x-.example", False),
        ("x..example", False),
        (".", False),
        ("", False),
        ("fe80::1%1", False),
        ("ü.example", False),
        ("x\n", False),
    ],
)
def test_address(address: str, valid: bool) -> None:
    assert validation.is_address(address) is valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("ab" * 32, True),
        ("AB:" * 31 + "cd", True),
        ("ab" * 32 + ":", False),
        (":" + "ab" * 32, False),
        ("ab::" * 31 + "ab", False),
        ("ab" * 20, False),
        ("٣" * 64, False),
    ],
)
def test_fingerprint(text: str, valid: bool) -> None:
    assert validation.is_fingerprint(text) is valid


def message_of(validator: validation.Validator, body: Any) -> str:
    with pytest.raises(Fault) as caught:
        validator.check(body)
    assert caught.value.status == 400
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (7, "The body must be an object with aggregate"),
        ({}, "The body lacks aggregate"),
        ({"aggregate": {"name": "x"}}, "aggregate lacks availability_zone"),
        (
            {"aggregate": {"name": "x", "availability_zone": "y", "zzz": 1}},
            "aggregate has unknown keys: zzz. Known: name, availability_zone",
        ),
        (
            {"aggregate": {"name": "", "availability_zone": "y"}},
            "aggregate.name must be a string of 1 to 255 characters",
        ),
    ],
)
def test_messages_say_where_and_what(body: Any, words: str) -> None:
    assert words in message_of(CREATE, body)


def test_long_keys_are_cut() -> None:
    body = {"set_metadata": {"metadata": {"k" * 255: 1}}}
    assert len(message_of(SET_METADATA, body)) < 300
    assert len(message_of(CREATE, {"k" * 9000: 1, "aggregate": {}})) < 300


@pytest.mark.parametrize("password", ["", "s3cret\x00", ["s3cret"], "s3cret" * 1000, 5, None])
def test_messages_never_repeat_a_password(password: Any) -> None:
    host = {
        "name": "h",
        "address": "10.0.0.1",
        "user": "root",
        "password": password,
        "zone": "z",
        "insecure": True,
    }
    message = message_of(hosts.REGISTER, {"host": host})
    assert message.startswith("host.password must be")
    assert "s3cret" not in message


def test_exactly_one_way_to_trust() -> None:
    host = {"name": "h", "address": "10.0.0.1", "user": "u", "password": "p", "zone": "z"}
    both = {"insecure": True, "fingerprint": "ab" * 32}
    for trust in ({}, both):
        assert "exactly one of" in message_of(hosts.REGISTER, {"host": {**host, **trust}})
    hosts.REGISTER.check({"host": {**host, "insecure": True}})
