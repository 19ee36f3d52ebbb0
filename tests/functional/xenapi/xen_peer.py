"""An HTTPS server on loopback that answers XML-RPC as a test tells it to, or fails to."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import ipaddress
import socket
import ssl
import threading
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SESSION = "OpaqueRef:5e55-10n"
PASSWORD = "s3cret-Pa55"


@dataclasses.dataclass(frozen=True)
class Certificate:
    path: Path  # certificate and key
    pem: str
    fingerprint: str
    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def make_certificate(
    directory: Path,
    name: str,
    address: str = "127.0.0.1",
    *,
    issuer: Certificate | None = None,
    authority: bool = False,
) -> Certificate:
    """One that names ``address``; self-signed unless there is an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.name if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False
        )
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path = directory / f"{name}.pem"
    path.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Certificate(path, pem.decode(), hashlib.sha256(der).hexdigest(), subject, key)


@dataclasses.dataclass(frozen=True)
class Request:
    connection: int  # the first connection is 1
    method: str
    params: tuple[Any, ...]


# What a test's script returns: bytes go over as they are and the connection is closed after them;
# None closes it at once; everything else is the value of a successful call.
Script = Callable[[Request, "Peer"], Any]


def envelope(body: dict[str, Any]) -> bytes:
    return xmlrpc.client.dumps((body,), methodresponse=True).encode()


def http(
    body: bytes, *, status: str = "200 OK", kind: str = "text/xml", close: bool = False
) -> bytes:
    connection = "close" if close else "keep-alive"
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: {connection}\r\n\r\n"
    )
    return head.encode() + body


class Failure(Exception):
    """Raised by a script: answered as an API failure."""


class Peer:
    def __init__(self, script: Script, certificate: Certificate | None, address: str = "127.0.0.1"):
        self.script = script
        self.certificate = certificate
        self.requests: list[Request] = []
        self.connections = 0
        self.bytes_seen = 0
        self.released = threading.Event()  # set at the end; what a hanging script waits for
        self._listener = socket.create_server((address, 0))
        self.address, self.port = self._listener.getsockname()[:2]
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.released.set()
        self.stop_listening()
        self.drop_all()

    def stop_listening(self) -> None:
        """New connections are refused; closing alone would leave a waiting accept() in place."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def drop_all(self) -> None:
        """Closes every open connection, as a restarting toolstack does."""
        # Exchanged, not emptied: the other side may come back while this is still going on.
        dropped, self._sockets = self._sockets, []
        for sock in dropped:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    def _accept(self) -> None:
        while not self.released.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        self._sockets.append(plain)
        with contextlib.suppress(OSError, ValueError):
            sock = self._secured(plain)
            self._sockets.append(sock)
            with sock.makefile("rb") as stream:
                while self._one(sock, stream, number):
                    pass
            # A close without TLS's farewell, as when a process dies.
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self.certificate is None:
            self.released.wait()  # accepts and never answers
            raise OSError
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.path)
        return context.wrap_socket(plain, server_side=True)

    def _one(self, sock: socket.socket, stream: Any, number: int) -> bool:
        length = 0
        line = stream.readline()
        if not line:
            return False
        while line not in (b"\r\n", b""):
            self.bytes_seen += len(line)
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            line = stream.readline()
        params, method = xmlrpc.client.loads(stream.read(length))
        request = Request(number, str(method), tuple(params))
        self.requests.append(request)
        return self._answer(sock, request)

    def _answer(self, sock: socket.socket, request: Request) -> bool:
        try:
            value = self.script(request, self)
        except Failure as failure:
            description = list(failure.args)
            sock.sendall(http(envelope({"Status": "Failure", "ErrorDescription": description})))
            return True
        if value is None:
            return False
        if isinstance(value, bytes):
            sock.sendall(value)
            return b"keep-alive" in value
        sock.sendall(http(envelope({"Status": "Success", "Value": value})))
        return True


def logs_in(then: Script) -> Script:
    """A script that lets everybody in and out, and answers other calls as ``then`` says."""

    def script(request: Request, peer: Peer) -> Any:
        if request.method in (
            "session.login_with_password",
            "session.slave_local_login_with_password",
        ):
            return SESSION
        if request.method in ("session.logout", "session.local_logout"):
            return ""
        return then(request, peer)

    return script
