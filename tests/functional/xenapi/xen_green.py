"""Run by test_under_eventlet in its own process: the driver on green threads."""

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402
import time  # noqa: E402

from nova_aggregates.xenapi import errors  # noqa: E402
from nova_aggregates.xenapi.connection import connect  # noqa: E402
from nova_aggregates.xenapi.types import Endpoint, Timeouts, Trust  # noqa: E402

PEER, OTHER, FINGERPRINT = sys.argv[1:]
PEM = sys.stdin.read()
TIMEOUTS = Timeouts(connect=5, call=5)
PINNED = Trust(fingerprint=FINGERPRINT)


def endpoint(text: str, trust: Trust) -> Endpoint:
    address, port = text.split(":")
    return Endpoint(address, int(port), "root", "password", trust)


def raised(kind: type[Exception], act) -> None:  # type: ignore[no-untyped-def]
    try:
        act()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def slow(text: str) -> str:
    with connect(endpoint(PEER, PINNED), timeouts=TIMEOUTS) as connection:
        return str(connection.call("slow.get_it", text))


def many_at_once() -> None:
    """Eight calls of half a second each: one after the other they would take four seconds."""
    pool = eventlet.GreenPool()
    started = time.monotonic()
    texts = [str(number) for number in range(8)]
    assert list(pool.imap(slow, texts)) == texts
    assert time.monotonic() - started < 3, time.monotonic() - started


def one_connection_for_all() -> None:
    with connect(endpoint(PEER, PINNED), timeouts=TIMEOUTS) as connection:
        pool = eventlet.GreenPool()
        answers = list(pool.imap(lambda _n: connection.call("quick.get_it"), range(10)))
        assert len(set(answers)) == 10, answers
        used = {connection.call("which.get_it") for _ in range(3)}
        assert len(used) == 1, used


def trouble() -> None:
    with connect(endpoint(PEER, PINNED), timeouts=TIMEOUTS) as connection:
        raised(errors.OutcomeUnknown, lambda: connection.call("lost.set"))
        started = time.monotonic()
        raised(errors.TimedOut, lambda: connection.call("hanging.get_it", timeout=0.3))
        assert time.monotonic() - started < 2
        connection.call("quick.get_it")
        raised(errors.ConnectionLost, lambda: connection.call("bye.get_it"))
        connection.call("quick.set")
        connection.call("quick.set")


def killed() -> None:
    """A green thread that is killed in a call leaves no half-read connection behind."""
    with connect(endpoint(PEER, PINNED), timeouts=TIMEOUTS) as connection:
        thread = eventlet.spawn(connection.call, "slow.get_it", "stale")
        eventlet.sleep(0.1)
        thread.kill()
        assert connection.call("slow.get_it", "fresh") == "fresh"


def certificates() -> None:
    raised(errors.CertificateRefused, lambda: connect(endpoint(OTHER, PINNED), timeouts=TIMEOUTS))
    raised(
        errors.CertificateRefused,
        lambda: connect(endpoint(OTHER, Trust(ca=PEM)), timeouts=TIMEOUTS),
    )
    for trust in (Trust(ca=PEM), Trust(insecure=True)):
        connect(endpoint(PEER, trust), timeouts=TIMEOUTS).close()


many_at_once()
one_connection_for_all()
trouble()
killed()
certificates()
print("ok")
