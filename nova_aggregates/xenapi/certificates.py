"""The certificates with which hosts present themselves, as their pool knows them."""

from __future__ import annotations

from collections.abc import Mapping

from nova_aggregates.xenapi.connection import Connection
from nova_aggregates.xenapi.decode import Record, Table


def of_hosts(connection: Connection) -> Mapping[str, str]:
    """SHA-256 fingerprint (hex, lower case, without colons) of each host's certificate, by the
    host's uuid; a host of a release without such records is left out. Raises XenError."""
    hosts = Table(connection.call("host.get_all_records"))
    found = {}
    for certificate in Table(connection.call("Certificate.get_all_records")):
        host = hosts.get(certificate.link("host"))
        # The first releases had no types: then there was the host's own certificate only.
        if host is not None and certificate.text("type", "host") == "host":
            found[host.text("uuid")] = _fingerprint(certificate)
    return {uuid: fingerprint for uuid, fingerprint in found.items() if fingerprint}


def _fingerprint(certificate: Record) -> str:
    """Releases before xapi 24.19 have ``fingerprint`` only, which is the SHA-256 too."""
    text = certificate.text("fingerprint_sha256") or certificate.text("fingerprint")
    return text.replace(":", "").lower()
