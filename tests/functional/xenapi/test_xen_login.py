"""Finding the master of the pool that is meant, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nova_aggregates.xenapi import errors
from nova_aggregates.xenapi.connection import connect, connect_pool
from nova_aggregates.xenapi.types import Endpoint, Timeouts
from tests.functional.xenapi.xen_peer import SESSION, Failure, Peer, Request, Script

QUICK = Timeouts(connect=1.0, call=2.0)

Serve = Callable[..., Peer]
ToEndpoint = Callable[..., Endpoint]
Candidates = Callable[..., list[Endpoint]]


def fails_login(*details: str) -> Script:
    def script(_request: Request, _peer: Peer) -> Any:
        raise Failure(*details)

    return script


def slave_of(address: str) -> Script:
    return fails_login("HOST_IS_SLAVE", address)


def master(pool_uuid: str = "pool-1", *hosts: str) -> Script:
    def script(request: Request, _peer: Peer) -> Any:
        if request.method == "pool.get_all_records":
            return {"OpaqueRef:p": {"uuid": pool_uuid}}
        if request.method == "host.get_by_uuid":
            if request.params[1] not in hosts:
                raise Failure("UUID_INVALID", "host", request.params[1])
            return "OpaqueRef:h"
        return SESSION if "login" in request.method else ""

    return script


@pytest.fixture
def site(serve: Serve, endpoint: ToEndpoint) -> Callable[..., tuple[list[Peer], list[Endpoint]]]:
    """Hosts at 127.0.0.11, 127.0.0.12, ... with a script each; None: nobody is there."""

    def build(*scripts: Script | None) -> tuple[list[Peer], list[Endpoint]]:
        peers = [
            serve(script or slave_of("-"), address=f"127.0.0.{11 + index}")
            for index, script in enumerate(scripts)
        ]
        for peer, script in zip(peers, scripts, strict=True):
            if script is None:
                peer.stop_listening()
        return peers, [endpoint(peer) for peer in peers]

    return build


Site = Callable[..., tuple[list[Peer], list[Endpoint]]]


def test_member_points_to_the_master(site: Site) -> None:
    peers, candidates = site(slave_of("127.0.0.13"), slave_of("127.0.0.13"), master())
    with connect_pool(candidates, timeouts=QUICK) as connection:
        assert connection.endpoint is candidates[2]
    assert [len(peer.methods()) for peer in peers] == [1, 0, 2]


def test_a_stray_address_is_not_followed(site: Site, serve: Serve) -> None:
    """The credentials of the pool would go to whoever has that address."""
    stray = serve(master(), address="127.0.0.99")
    _, candidates = site(slave_of("127.0.0.99"))
    with pytest.raises(errors.IsSlave) as caught:
        connect_pool(candidates, timeouts=QUICK)
    assert caught.value.master_address == "127.0.0.99"
    assert stray.connections == 0


def test_connect_never_follows(site: Site) -> None:
    peers, candidates = site(slave_of("127.0.0.12"), master())
    with pytest.raises(errors.IsSlave) as caught:
        connect(candidates[0], timeouts=QUICK)
    assert "127.0.0.12" in str(caught.value)
    assert peers[1].connections == 0


@pytest.mark.parametrize("address", ["127.0.0.11", "127.0.0.12", "not an address", ""])
def test_circles_and_nonsense_end(site: Site, address: str) -> None:
    peers, candidates = site(slave_of(address), slave_of("127.0.0.11"))
    with pytest.raises(errors.NoMasterFound) as caught:
        connect_pool(candidates, timeouts=QUICK)
    assert [len(peer.requests) for peer in peers] == [1, 1]
    assert all(isinstance(problem, errors.IsSlave) for problem in caught.value.problems)
    for endpoint in candidates:
        assert endpoint.where in str(caught.value)


def test_another_pool_is_not_taken_for_ours(site: Site) -> None:
    """An ejected host answers as a master too, of a pool of its own."""
    peers, candidates = site(master("pool-other"), master("pool-1"))
    with connect_pool(candidates, pool_uuid="pool-1", timeouts=QUICK) as connection:
        assert connection.endpoint is candidates[1]
    assert peers[0].methods()[-1] == "session.logout"


def test_identity_that_fits_nowhere(site: Site) -> None:
    _, candidates = site(master("pool-other"))
    with pytest.raises(errors.IdentityMismatch, match=r"pool-1.*pool-other"):
        connect_pool(candidates, pool_uuid="pool-1", timeouts=QUICK)


def test_pool_without_the_host(site: Site) -> None:
    _, candidates = site(master("pool-1", "host-a"))
    with connect_pool(candidates, host_uuid="host-a", timeouts=QUICK):
        pass
    with pytest.raises(errors.IdentityMismatch, match="host-b"):
        connect_pool(candidates, pool_uuid="pool-1", host_uuid="host-b", timeouts=QUICK)


@pytest.mark.parametrize(
    "first",
    [
        None,
        fails_login("HOST_STILL_BOOTING"),
        fails_login("SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure"),
        fails_login("INTERNAL_ERROR", "x"),
        lambda _request, _peer: None,
        lambda _request, _peer: b"garbage\r\n\r\n",
    ],
)
def test_one_bad_candidate_does_not_hide_the_master(site: Site, first: Script | None) -> None:
    _, candidates = site(first, master())
    with connect_pool(candidates, timeouts=QUICK) as connection:
        assert connection.endpoint is candidates[1]


def test_every_reason_is_told(site: Site) -> None:
    refused = fails_login("SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure")
    _, candidates = site(None, refused, slave_of("127.0.0.11"))
    with pytest.raises(errors.NoMasterFound) as caught:
        connect_pool(candidates, timeouts=QUICK)
    facts = [type(problem) for problem in caught.value.problems]
    assert facts == [errors.Unreachable, errors.AuthenticationFailed, errors.IsSlave]
    assert "login of root was refused" in str(caught.value)
    assert caught.value.retry_helps


def test_no_candidate() -> None:
    with pytest.raises(errors.NoMasterFound, match="no candidate"):
        connect_pool([])


@pytest.mark.parametrize(
    ("details", "fact"),
    [
        (["SESSION_AUTHENTICATION_FAILED", "root", "x"], errors.AuthenticationFailed),
        (["HOST_STILL_BOOTING"], errors.StillBooting),
        (["HOST_UNKNOWN_TO_MASTER", "u"], errors.StillBooting),
        (["SESSION_INVALID", "OpaqueRef:x"], errors.MalformedAnswer),
    ],
)
def test_what_a_login_can_meet(site: Site, details: list[str], fact: type[errors.XenError]) -> None:
    peers, candidates = site(fails_login(*details))
    with pytest.raises(fact):
        connect(candidates[0], timeouts=QUICK)
    assert peers[0].methods() == ["session.login_with_password"]
