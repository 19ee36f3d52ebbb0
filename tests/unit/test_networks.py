"""Which machines the service connects to."""

from __future__ import annotations

import pytest

from nova_aggregates.exceptions import AddressForbidden, ConfigurationInvalid
from nova_aggregates.networks import Networks


@pytest.mark.parametrize(
    ("address", "any_", "listed"),
    [
        ("10.1.2.3", True, True),
        ("::ffff:10.1.2.3", True, True),
        ("192.0.2.1", True, False),
        ("2001:db8::1", True, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("224.0.0.1", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("10.1.2.3.example.org", False, False),
        ("", False, False),
    ],
)
def test_addresses(address: str, any_: bool, listed: bool) -> None:
    assert Networks((), "x").allows(address) is any_
    assert Networks(("10.0.0.0/8", "2001:db8::/32"), "x").allows(address) is listed


def test_a_name_is_what_it_resolves_to() -> None:
    Networks(("127.0.0.0/8", "::1"), "x").require("localhost")
    with pytest.raises(AddressForbidden, match=r"localhost .*\[xenapi\] networks"):
        Networks(("192.0.2.0/24",), "[xenapi] networks").require("localhost")


def test_what_cannot_be_resolved_now_is_asked_for_later() -> None:
    Networks(("192.0.2.0/24",), "x").require("no-such-host.invalid")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "ten", ""])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"10\.0\.0\.0/8"):
        Networks((text,), "x")
