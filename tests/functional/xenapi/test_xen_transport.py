"""One request, one answer, or one clear word about what may have happened instead."""

from __future__ import annotations

import itertools
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nova_aggregates.xenapi import errors, transport
from nova_aggregates.xenapi.connection import connect, connect_local, is_reading
from nova_aggregates.xenapi.types import Endpoint, Timeouts, Trust
from tests.functional.xenapi.xen_peer import (
    PASSWORD,
    SESSION,
    Certificate,
    Failure,
    Peer,
    Request,
    envelope,
    http,
    logs_in,
    make_certificate,
)

OTHER_PASSWORD = "an0ther-Pa55"
QUICK = Timeouts(connect=2.0, call=0.4)
CHANGING = "Async.pool.join"
READING = "pool.get_all"

Serve = Callable[..., Peer]
ToEndpoint = Callable[..., Endpoint]


def broken(how: Any) -> Any:
    """Lets in, then answers every call as told; a callable is called."""
    return logs_in(lambda request, peer: how(request, peer) if callable(how) else how)


def hang(_request: Request, peer: Peer) -> None:
    peer.released.wait()


def drip(_request: Request, peer: Peer) -> bytes:
    """A byte now and then: each arrives well within the time limit, the answer never does."""
    raw = peer._sockets[-1]
    for byte in http(envelope({"Status": "Success", "Value": "x" * 5000})):
        if peer.released.wait(0.05):
            break
        raw.sendall(bytes([byte]))
    return b""


UNUSABLE = {
    "truncated XML": http(envelope({"Status": "Success", "Value": "x"})[:-30]),
    "not XML": http(b"Welcome!"),
    "XML of something else": http(b"<?xml version='1.0'?><html/>"),
    "HTML with 500": http(
        b"<html><body>500</body></html>", status="500 Internal Error", kind="text/html", close=True
    ),
    "wrong content type": http(envelope({"Status": "Success", "Value": "x"}), kind="text/html"),
    "no Status": http(envelope({"Value": "x"})),
    "no Value": http(envelope({"Status": "Success"})),
    "an empty ErrorDescription": http(envelope({"Status": "Failure", "ErrorDescription": []})),
    "a fault": http(
        b"<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int>"
        b"</value></member><member><name>faultString</name><value>no</value></member></struct>"
        b"</value></fault></methodResponse>"
    ),
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a shorter body than announced": http(b"x" * 100)[:-50],
}
BROKEN = {"closed without an answer": None, "never answered": hang, "dripping": drip, **UNUSABLE}


@pytest.mark.parametrize("how", BROKEN)
def test_changing_call_is_sent_once_and_its_outcome_is_unknown(
    serve: Serve, endpoint: ToEndpoint, how: str
) -> None:
    peer = serve(broken(BROKEN[how]))
    with connect(endpoint(peer), timeouts=QUICK) as connection:
        with pytest.raises(errors.OutcomeUnknown) as caught:
            connection.call(CHANGING, "127.0.0.2", "root", "x")
    # Nor is a host that has just broken down asked for a logout.
    assert peer.methods() == ["session.login_with_password", CHANGING]
    assert CHANGING in str(caught.value)
    assert not caught.value.retry_helps


@pytest.mark.parametrize("how", BROKEN)
def test_reading_call_is_sent_once_and_may_be_repeated(
    serve: Serve, endpoint: ToEndpoint, how: str
) -> None:
    peer = serve(broken(BROKEN[how]))
    with connect(endpoint(peer), timeouts=QUICK) as connection:
        with pytest.raises(
            (errors.ConnectionLost, errors.TimedOut, errors.MalformedAnswer)
        ) as caught:
            connection.call(READING)
        assert peer.methods().count(READING) == 1
        assert caught.value.retry_helps
        # The broken connection is not used again; the session is.
        peer.script = logs_in(lambda _request, _peer: ["OpaqueRef:1"])
        assert connection.call(READING) == ["OpaqueRef:1"]
        assert peer.requests[-1].params == (SESSION,)
    assert peer.methods()[-1] == "session.logout"


def test_an_answer_has_one_deadline_however_slowly_it_drips(
    serve: Serve, endpoint: ToEndpoint
) -> None:
    peer = serve(broken(drip))
    with connect(endpoint(peer), timeouts=QUICK) as connection:
        started = time.monotonic()
        with pytest.raises(errors.TimedOut, match=r"pool.get_all .* 0.4 seconds"):
            connection.call(READING)
        assert time.monotonic() - started < 2


def test_timeout_of_a_single_call(serve: Serve, endpoint: ToEndpoint) -> None:
    peer = serve(broken(hang))
    with connect(endpoint(peer), timeouts=Timeouts(connect=2, call=30)) as connection:
        started = time.monotonic()
        with pytest.raises(errors.TimedOut):
            connection.call(READING, timeout=0.2)
        assert time.monotonic() - started < 2


def test_too_large_an_answer_is_cut_off(
    serve: Serve, endpoint: ToEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = http(envelope({"Status": "Success", "Value": "x" * 300_000}))
    unannounced = big.replace(b"Content-Length", b"X-Length")
    place = transport.Transport(endpoint(serve(lambda *_: big)), QUICK, answer_limit=100_000)
    with pytest.raises(transport.AnswerUnusable, match="bytes"):
        place.request("", "/", b"<methodCall><methodName>a.get_b</methodName></methodCall>")
    place = transport.Transport(
        endpoint(serve(lambda *_: unannounced)), QUICK, answer_limit=100_000
    )
    with pytest.raises(transport.AnswerUnusable, match="bytes"):
        place.request("", "/", b"<methodCall><methodName>a.get_b</methodName></methodCall>")


def test_announced_size_is_believed(serve: Serve, endpoint: ToEndpoint) -> None:
    """The rest of such an answer is not waited for."""

    def announce(_request: Request, peer: Peer) -> None:
        head = http(b"").replace(b"Content-Length: 0", b"Content-Length: 999999999999")
        peer._sockets[-1].sendall(head)
        peer.released.wait()

    peer = serve(broken(announce))
    with connect(endpoint(peer), timeouts=Timeouts(connect=2, call=30)) as connection:
        with pytest.raises(errors.MalformedAnswer, match="999999999999 bytes"):
            connection.call(READING)


def test_one_connection_carries_all_calls(serve: Serve, endpoint: ToEndpoint) -> None:
    peer = serve(broken("value"))
    with connect(endpoint(peer)) as connection:
        for _ in range(5):
            connection.call(READING)
    assert peer.connections == 1
    assert peer.methods()[-1] == "session.logout"


def test_changing_call_after_the_server_closed_an_idle_connection(
    serve: Serve, endpoint: ToEndpoint
) -> None:
    """The most common way to a lost reply; nothing was sent, so nothing is unknown."""
    peer = serve(broken("value"))
    with connect(endpoint(peer)) as connection:
        connection.call(READING)
        for _ in range(3):
            peer.drop_all()
            assert connection.call(CHANGING) == "value"
    assert peer.methods().count(CHANGING) == 3


def test_server_that_closes_after_every_answer(serve: Serve, endpoint: ToEndpoint) -> None:
    peer = serve(broken(http(envelope({"Status": "Success", "Value": "v"}), close=True)))
    with connect(endpoint(peer)) as connection:
        assert [connection.call(CHANGING) for _ in range(3)] == ["v"] * 3
    assert peer.connections == 4


def test_ended_session_is_told_and_no_second_login_is_made(
    serve: Serve, endpoint: ToEndpoint
) -> None:
    def ended(_request: Request, _peer: Peer) -> Any:
        raise Failure("SESSION_INVALID", SESSION)

    peer = serve(broken(ended))
    with connect(endpoint(peer)) as connection:
        for method in (READING, CHANGING):
            with pytest.raises(errors.SessionInvalid) as caught:
                connection.call(method)
            assert SESSION not in repr(caught.value.params) + str(caught.value)
        assert PASSWORD not in repr(vars(connection._sdk))
    assert peer.methods() == ["session.login_with_password", READING, CHANGING]


@pytest.mark.parametrize(
    ("method", "reading"),
    [
        ("host.get_all_records_where", True),
        ("session.logout", True),
        ("Async.host.get_log", False),
        ("pool.set_name_label", False),
        ("target.reset_get_", False),
    ],
)
def test_what_may_be_repeated(method: str, reading: bool) -> None:
    assert is_reading(method) is reading


def test_login_says_who_we_are(serve: Serve, endpoint: ToEndpoint) -> None:
    peer = serve(broken(""))
    with connect(endpoint(peer), originator="the-service"):
        pass
    assert peer.requests[0].params[0::3] == ("root", "the-service")
    with connect_local(endpoint(peer)):
        pass
    assert peer.methods()[2:] == [
        "session.slave_local_login_with_password",
        "session.local_logout",
    ]


def test_numbers_go_over_as_text_and_flags_as_flags(serve: Serve, endpoint: ToEndpoint) -> None:
    peer = serve(broken(""))
    with connect(endpoint(peer)) as connection:
        connection.call("x.set_y", 2**40, True, {"a": 1}, [2, False], "t", 0.5)
    assert peer.requests[1].params[1:] == (str(2**40), True, {"a": "1"}, ["2", False], "t", 0.5)


# --- connecting --------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_nobody_listens() -> None:
    target = Endpoint("127.0.0.1", free_port(), "root", PASSWORD, Trust(insecure=True))
    with pytest.raises(errors.Unreachable, match="refused") as caught:
        connect(target, timeouts=QUICK)
    assert f"127.0.0.1:{target.port}" in str(caught.value)
    assert caught.value.retry_helps


def test_connect_is_timed_when_tls_is_never_answered(serve: Serve, endpoint: ToEndpoint) -> None:
    peer = serve(broken(""), certificate=None)
    started = time.monotonic()
    with pytest.raises(errors.Unreachable, match="timed out"):
        connect(endpoint(peer), timeouts=Timeouts(connect=0.3, call=30))
    assert time.monotonic() - started < 3


def test_plain_http_behind_the_port(endpoint: ToEndpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(10)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        target = Endpoint(
            "127.0.0.1", listener.getsockname()[1], "root", PASSWORD, Trust(insecure=True)
        )
        with pytest.raises(errors.Unreachable, match="TLS"):
            connect(target, timeouts=QUICK)


# --- certificates ------------------------------------------------------------------------------


def test_changed_certificate_is_refused_before_anything_is_sent(
    serve: Serve, endpoint: ToEndpoint, certificate: Certificate, other_certificate: Certificate
) -> None:
    peer = serve(broken(""), certificate=other_certificate)
    with pytest.raises(errors.CertificateRefused) as caught:
        connect(endpoint(peer), timeouts=QUICK)
    assert certificate.fingerprint in str(caught.value)
    assert other_certificate.fingerprint in str(caught.value)
    assert not caught.value.retry_helps
    assert (peer.requests, peer.bytes_seen) == ([], 0)


def test_certificate_that_changes_under_a_session(
    serve: Serve, endpoint: ToEndpoint, other_certificate: Certificate
) -> None:
    peer = serve(broken("v"))
    with connect(endpoint(peer), timeouts=QUICK) as connection:
        connection.call(READING)
        peer.certificate = other_certificate
        peer.drop_all()
        with pytest.raises(errors.CertificateRefused):
            connection.call(CHANGING)
    assert peer.methods() == ["session.login_with_password", READING]


def test_fingerprint_in_any_writing(
    serve: Serve, endpoint: ToEndpoint, certificate: Certificate
) -> None:
    plain = certificate.fingerprint.upper()
    written = ":".join(plain[at : at + 2] for at in range(0, 64, 2))
    with connect(endpoint(serve(broken("")), Trust(fingerprint=written))):
        pass


def test_authority(
    serve: Serve, endpoint: ToEndpoint, certificate: Certificate, other_certificate: Certificate
) -> None:
    with connect(endpoint(serve(broken("")), Trust(ca=certificate.pem))):
        pass
    peer = serve(broken(""))
    with pytest.raises(errors.CertificateRefused, match=r"self.signed"):
        connect(endpoint(peer, Trust(ca=other_certificate.pem)))
    assert peer.bytes_seen == 0


def test_authority_must_have_issued_it_for_this_address(
    serve: Serve, endpoint: ToEndpoint, other_certificate: Certificate
) -> None:
    """The other certificate names 127.0.0.9: one host's certificate must not do for another."""
    peer = serve(broken(""), certificate=other_certificate)
    with pytest.raises(errors.CertificateRefused, match="IP address mismatch"):
        connect(endpoint(peer, Trust(ca=other_certificate.pem)))
    assert peer.bytes_seen == 0


def test_authority_that_is_itself_issued_by_another(
    serve: Serve, endpoint: ToEndpoint, directory: Path
) -> None:
    """Many sites know the certificate of their intermediate authority only."""
    root = make_certificate(directory, "root")
    middle = make_certificate(directory, "middle", issuer=root, authority=True)
    leaf = make_certificate(directory, "leaf", issuer=middle)
    peer = serve(broken(""), certificate=leaf)
    with connect(endpoint(peer, Trust(ca=middle.pem))):
        pass
    with pytest.raises(errors.CertificateRefused):
        connect(endpoint(peer, Trust(ca=make_certificate(directory, "stranger").pem)))


def test_authority_that_is_no_certificate(serve: Serve, endpoint: ToEndpoint) -> None:
    for text in ("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(errors.CertificateRefused, match="PEM"):
            connect(endpoint(serve(broken("")), Trust(ca=text)))


def test_unverified_only_when_told(
    serve: Serve, endpoint: ToEndpoint, other_certificate: Certificate
) -> None:
    with connect(endpoint(serve(broken(""), certificate=other_certificate), Trust(insecure=True))):
        pass


# --- secrets -----------------------------------------------------------------------------------


def leaky(request: Request, _peer: Peer) -> Any:
    raise Failure(
        "INTERNAL_ERROR", f"Expected bool, got 'S({request.params[-1]})'", *request.params
    )


@pytest.mark.parametrize("where", ["login", "call"])
def test_no_secret_in_errors_or_log(
    serve: Serve, endpoint: ToEndpoint, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peer = serve(leaky if where == "login" else broken(leaky))

    def act() -> None:
        with connect(endpoint(peer)) as connection:
            assert PASSWORD not in repr(connection) + repr(connection.endpoint)
            connection.keep_secret(OTHER_PASSWORD)
            connection.call(CHANGING, "127.0.0.2", "root", OTHER_PASSWORD)

    with pytest.raises(errors.XenError) as caught:
        act()
    error = caught.value
    told = "".join(traceback.format_exception(error)) + repr(error.params) + repr(error)
    for secret in (PASSWORD, OTHER_PASSWORD, SESSION):
        assert secret not in told + caplog.text
    assert "***" in told


def test_no_secret_in_a_transport_error(serve: Serve, endpoint: ToEndpoint) -> None:
    peer = serve(broken(None))
    with connect(endpoint(peer)) as connection, pytest.raises(errors.OutcomeUnknown) as caught:
        connection.call(CHANGING, PASSWORD)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


# --- threads and green threads -----------------------------------------------------------------


def test_calls_of_several_threads_do_not_mix(serve: Serve, endpoint: ToEndpoint) -> None:
    peer = serve(broken(lambda request, _peer: request.params[1]))
    wrong: list[str] = []
    with connect(endpoint(peer)) as connection:

        def ask(number: int) -> None:
            for turn in range(20):
                text = f"{number}-{turn}"
                if connection.call("a.get_b", text) != text:
                    wrong.append(text)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert not wrong
    assert peer.connections == 1


GREEN = Path(__file__).with_name("xen_green.py")


def test_under_eventlet(
    serve: Serve, certificate: Certificate, other_certificate: Certificate
) -> None:
    """In a process of its own, monkey-patched; see xen_green.py for what it tries."""
    turn = itertools.count()
    lock = threading.Lock()

    def script(request: Request, peer: Peer) -> Any:
        if request.method == "slow.get_it":
            peer.released.wait(0.5)
            return request.params[1]
        if request.method == "lost.set":
            return None
        if request.method == "which.get_it":
            return str(request.connection)
        if request.method == "hanging.get_it":
            peer.released.wait()
        if request.method == "bye.get_it":
            peer.drop_all()
        with lock:
            return str(next(turn))

    peer = serve(logs_in(script))
    other = serve(logs_in(script), certificate=other_certificate)
    done = subprocess.run(
        [
            sys.executable,
            str(GREEN),
            f"{peer.address}:{peer.port}",
            f"{other.address}:{other.port}",
            certificate.fingerprint,
        ],
        input=certificate.pem,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr
    assert other.bytes_seen == 0
    assert peer.methods().count("lost.set") == 1


def test_this_python_has_a_tls_that_can_pin() -> None:
    assert ssl.HAS_TLSv1_2
