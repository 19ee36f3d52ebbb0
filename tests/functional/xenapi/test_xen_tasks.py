"""Watching what runs in the background; the verbs that do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nova_aggregates.xenapi import errors, host, pool, tasks
from nova_aggregates.xenapi.connection import Connection, connect
from nova_aggregates.xenapi.tasks import Watch
from nova_aggregates.xenapi.types import Endpoint, Timeouts
from tests.functional.xenapi.xen_peer import Failure, Peer, Request, logs_in

WATCH = Watch(interval=0.01, deadline=5)
TASK = "OpaqueRef:task"

Opened = Callable[..., tuple[Peer, Connection]]


def record(status: str = "success", **changes: Any) -> dict[str, Any]:
    fields = {"status": status, "progress": 1.0, "result": "", "error_info": []}
    return {**fields, **changes}


@pytest.fixture
def opened(serve: Callable[..., Peer], endpoint: Callable[..., Endpoint]) -> Iterator[Opened]:
    """A session at a host whose task is seen in these states, one after the other."""
    connections: list[Connection] = []

    def build(*states: Any, **answers: Any) -> tuple[Peer, Connection]:
        left = list(states)

        def script(request: Request, _peer: Peer) -> Any:
            answer = answers.get(request.method.replace(".", "_"))
            if answer is None and request.method.startswith("Async."):
                return TASK
            if answer is None and request.method == "task.get_record":
                answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            # The empty text stands for a connection that is dropped.
            return None if answer == "drop" else (answer or "")

        peer = serve(logs_in(script))
        connections.append(connect(endpoint(peer), timeouts=Timeouts(connect=2, call=0.5)))
        return peer, connections[-1]

    yield build
    for connection in connections:
        connection.close()


def test_to_the_end(opened: Opened) -> None:
    told: list[float] = []
    peer, connection = opened(
        record("pending", progress=0.0),
        record("pending", progress=0.0),
        record("pending", progress=0.5),
        record(result="<value>x</value>"),
    )
    watch = Watch(interval=0.01, deadline=5, progress=told.append)
    assert tasks.run(connection, "pool.eject", "OpaqueRef:h", watch=watch) == "<value>x</value>"
    assert told == [0.0, 0.5, 1.0]
    assert peer.requests[1].params[1:] == ("OpaqueRef:h",)
    assert peer.methods()[-1] == "task.destroy"


def test_failure_carries_its_code_and_parameters(opened: Opened) -> None:
    _, connection = opened(
        record("failure", error_info=["OTHER_OPERATION_IN_PROGRESS", "pool", "r"])
    )
    with pytest.raises(errors.Busy) as caught:
        tasks.run(connection, "pool.eject", "OpaqueRef:h", watch=WATCH)
    assert caught.value.params == ("pool", "r")


def test_failure_names_the_objects(opened: Opened) -> None:
    info = ["VM_REQUIRES_SR", "OpaqueRef:v", "OpaqueRef:s"]
    labels = {"VM": {"OpaqueRef:v": "web1"}, "SR": {"OpaqueRef:s": "local disk"}}
    peer, connection = opened(record("failure", error_info=info))
    script = peer.script

    def named(request: Request, at: Peer) -> Any:
        kind, _, verb = request.method.partition(".")
        if verb != "get_name_label":
            return script(request, at)
        if request.params[1] not in labels.get(kind, {}):
            raise Failure("HANDLE_INVALID", kind, request.params[1])
        return labels[kind][request.params[1]]

    peer.script = named
    with pytest.raises(errors.ApiFailure) as caught:
        tasks.run(connection, "host.evacuate", "OpaqueRef:h", watch=WATCH)
    assert caught.value.message.startswith("guest web1 needs the storage local disk, which")
    assert caught.value.params == ("OpaqueRef:v", "OpaqueRef:s")


def test_references_that_nobody_knows_stay(opened: Opened) -> None:
    gone = Failure("HANDLE_INVALID", "host", "x")
    _, connection = opened(
        record("failure", error_info=["HOST_OFFLINE", "OpaqueRef:h"]),
        **{f"{kind}_get_name_label": gone for kind in ("host", "VM", "SR", "network", "VDI")},
    )
    with pytest.raises(errors.HostOffline, match="OpaqueRef:h is not in contact"):
        tasks.run(connection, "pool.eject", "OpaqueRef:h", watch=WATCH)


@pytest.mark.parametrize("info", [[], ["TASK_CANCELLED", TASK]])
def test_cancelled(opened: Opened, info: list[str]) -> None:
    _, connection = opened(record("cancelled", error_info=info))
    with pytest.raises(errors.Busy, match="cancelled"):
        tasks.run(connection, "pool.eject", "OpaqueRef:h", watch=WATCH)


@pytest.mark.parametrize(
    "lost",
    [
        Failure("SESSION_INVALID", "OpaqueRef:s"),
        Failure("HANDLE_INVALID", "task", TASK),
        Failure("HOST_IS_SLAVE", "127.0.0.2"),
        Failure("HOST_STILL_BOOTING"),
        "drop",
        b"HTTP/1.1 500 Internal Error\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_task_that_is_lost_has_an_unknown_outcome(opened: Opened, lost: Any) -> None:
    _, connection = opened(record("pending"), lost)
    with pytest.raises(errors.OutcomeUnknown, match=r"pool\.designate_new_master"):
        tasks.run(connection, "pool.designate_new_master", "OpaqueRef:h", watch=WATCH)


def test_host_that_goes_down_while_watched(opened: Opened) -> None:
    peer, connection = opened(record("pending"), "drop")
    peer.stop_listening()
    with pytest.raises(errors.OutcomeUnknown):
        tasks.run(connection, "pool.join", "127.0.0.2", "root", "x", watch=WATCH)


def test_one_lost_answer_is_not_the_end(opened: Opened) -> None:
    _, connection = opened(record("pending"), "drop", record())
    tasks.run(connection, "pool.eject", "OpaqueRef:h", watch=WATCH)


def test_deadline(opened: Opened) -> None:
    _, connection = opened(record("pending"))
    started = time.monotonic()
    with pytest.raises(errors.OutcomeUnknown, match=r"still running after 0\.2 seconds"):
        tasks.run(connection, "pool.eject", "x", watch=Watch(interval=0.01, deadline=0.2))
    assert time.monotonic() - started < 2


def test_lost_answer_to_the_start_is_not_repeated(opened: Opened) -> None:
    peer, connection = opened(record(), Async_pool_eject="drop")
    with pytest.raises(errors.OutcomeUnknown):
        tasks.run(connection, "pool.eject", "x", watch=WATCH)
    assert peer.methods().count("Async.pool.eject") == 1


# --- verbs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "fact"),
    [
        (["HOST_IS_SLAVE", "127.0.0.3"], errors.TargetRefused),
        (["SESSION_AUTHENTICATION_FAILED", "root", "x"], errors.TargetRefused),
        (["HOST_STILL_BOOTING"], errors.PreconditionFailed),
        (["HA_IS_ENABLED"], errors.PreconditionFailed),
        (["JOINING_HOST_CONNECTION_FAILED"], errors.ApiFailure),
        (["INTERNAL_ERROR", "Connection failed: no route to host."], errors.ApiFailure),
    ],
)
def test_join_that_is_refused(opened: Opened, info: list[str], fact: type[errors.XenError]) -> None:
    _, connection = opened(record("failure", error_info=info))
    with pytest.raises(fact) as caught:
        pool.join(connection, "127.0.0.2", "root", "p00l-Pa55", watch=WATCH)
    assert type(caught.value) is fact
    assert caught.value.params == tuple(info[1:])


def test_password_of_the_pool_is_in_no_error_of_a_join(opened: Opened) -> None:
    leak = ["INTERNAL_ERROR", "Expected bool, got 'S(p00l-Pa55)'"]
    _, connection = opened(record("failure", error_info=leak))
    with pytest.raises(errors.ApiFailure) as caught:
        pool.join(connection, "127.0.0.2", "root", "p00l-Pa55", watch=WATCH)
    assert "p00l-Pa55" not in str(caught.value) + repr(caught.value.params)


def test_join_forced_or_not(opened: Opened) -> None:
    peer, connection = opened(record())
    pool.join(connection, "127.0.0.2", "root", "x", watch=WATCH)
    pool.join(connection, "127.0.0.2", "root", "x", force=True, watch=WATCH)
    asynchronous = [method for method in peer.methods() if method.startswith("Async.")]
    assert asynchronous == ["Async.pool.join", "Async.pool.join_force"]
    assert peer.requests[1].params[1:] == ("127.0.0.2", "root", "x")


def test_join_with_an_address_that_would_leave_a_stale_record(opened: Opened) -> None:
    peer, connection = opened(record())
    for address in (" 127.0.0.2", "127.0.0.2:443", "https://127.0.0.2", ""):
        with pytest.raises(ValueError, match="without port"):
            pool.join(connection, address, "root", "x", watch=WATCH)
    assert peer.methods() == ["session.login_with_password"]


def test_eject_of_a_host_that_has_left(opened: Opened) -> None:
    gone = Failure("UUID_INVALID", "host", "u")
    peer, connection = opened(record(), host_get_by_uuid=gone)
    assert pool.eject(connection, "u", watch=WATCH) is False
    assert peer.methods()[-1] == "host.get_by_uuid"


def test_eject_of_the_master(opened: Opened) -> None:
    info = ["INTERNAL_ERROR", "Xapi_pool.Cannot_eject_master"]
    _, connection = opened(record("failure", error_info=info), host_get_by_uuid="OpaqueRef:h")
    with pytest.raises(errors.PreconditionFailed, match="master of its pool"):
        pool.eject(connection, "u", watch=WATCH)


def test_disable_that_survives_where_the_release_knows_it(opened: Opened) -> None:
    peer, connection = opened(record(), host_get_by_uuid="OpaqueRef:h")
    assert host.disable(connection, "u", survive_restart=True, watch=WATCH) is True
    assert peer.requests[2].params[1:] == ("OpaqueRef:h", False)
    assert host.disable(connection, "u", watch=WATCH) is False


def test_disable_on_an_old_release(opened: Opened) -> None:
    mismatch = Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", "host.disable", "1", "2")

    peer, connection = opened(record(), host_get_by_uuid="OpaqueRef:h")
    script = peer.script

    def old(request: Request, at: Peer) -> Any:
        if request.method == "Async.host.disable" and len(request.params) > 2:
            raise mismatch
        return script(request, at)

    peer.script = old
    assert host.disable(connection, "u", survive_restart=True, watch=WATCH) is False
    assert peer.methods().count("Async.host.disable") == 2


def test_set_name(opened: Opened) -> None:
    peer, connection = opened(record(), pool_get_all=["OpaqueRef:p"])
    pool.set_name(connection, "Gestell fünf")
    assert peer.requests[-1].params[1:] == ("OpaqueRef:p", "Gestell fünf")
