"""What an administrator checks at a host: whether it answers, its certificate, its clock."""

from __future__ import annotations

import datetime
import ssl
import time
import xmlrpc.client
from collections.abc import Mapping

from cryptography import x509

from nova_aggregates.xenapi import connection
from nova_aggregates.xenapi.decode import Table
from nova_aggregates.xenapi.errors import XenError
from nova_aggregates.xenapi.types import Endpoint, Timeouts

_FORMATS = ("%Y%m%dT%H:%M:%SZ", "%Y%m%dT%H:%M:%S")


def certificate_end(endpoint: Endpoint, timeouts: Timeouts) -> datetime.datetime | None:
    """When the certificate that the host presents expires; None when none could be fetched."""
    try:
        pem = ssl.get_server_certificate(
            (endpoint.address, endpoint.port), timeout=timeouts.connect
        )
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except (OSError, ValueError):
        return None


def clocks(endpoint: Endpoint, timeouts: Timeouts) -> Mapping[str, float]:
    """How many seconds the clock of each host of the pool is ahead of ours, by the host's uuid.

    Half of the time that a call took is taken off. A host that does not tell its time is left out.
    Raises XenError when nobody can log in here (IsSlave at a member).
    """
    with connection.connect(endpoint, timeouts=timeouts) as opened:
        found = {}
        for record in Table(opened.call("host.get_all_records")):
            sent = time.time()
            try:
                told = opened.call("host.get_servertime", record.ref)
            except XenError:
                continue
            moment = _moment(told)
            if moment is not None:
                found[record.text("uuid")] = moment - (sent + time.time()) / 2
        return found


def _moment(told: xmlrpc.client.DateTime | str) -> float | None:
    for form in _FORMATS:
        try:
            parsed = datetime.datetime.strptime(str(told), form).replace(tzinfo=datetime.UTC)
        except ValueError:
            continue
        return parsed.timestamp()
    return None
