"""Self-signed certificates of the simulated hosts, on elliptic curves: many are made fast."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nova_aggregates.simulator.values import DateTime, datetime_at

TEN_YEARS = datetime.timedelta(days=3650)


@dataclass(frozen=True)
class HostCertificate:
    """A key with its certificate; fingerprints are hex, lower case, without colons."""

    pem: bytes
    sha256: str
    sha1: str
    not_before: DateTime
    not_after: DateTime

    def context(self) -> ssl.SSLContext:
        """A server's TLS context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "host.pem"
            path.write_bytes(self.pem)
            context.load_cert_chain(path)
        return context


def colons(fingerprint: str) -> str:
    """The form in which Certificate records show it."""
    return ":".join(fingerprint[i : i + 2] for i in range(0, len(fingerprint), 2)).upper()


def make(
    name: str, address: str, *, valid_until: datetime.datetime | None = None
) -> HostCertificate:
    """A certificate for the name and the IP address, valid ten years unless told otherwise."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    end = valid_until or start + TEN_YEARS
    start = min(start, end - datetime.timedelta(days=1))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternatives = x509.SubjectAlternativeName(
        [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    return HostCertificate(
        pem=pem,
        sha256=hashlib.sha256(der).hexdigest(),
        sha1=hashlib.sha1(der, usedforsecurity=False).hexdigest(),
        not_before=datetime_at(start.timestamp()),
        not_after=datetime_at(end.timestamp()),
    )
