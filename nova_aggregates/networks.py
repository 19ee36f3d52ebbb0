"""Which machines the service may connect to, when others say where."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from nova_aggregates.exceptions import AddressForbidden, ConfigurationInvalid


class Networks:
    """An allow list. An empty one allows everything but what no hypervisor and no web server has:
    link-local addresses (where clouds keep their metadata), multicast and 0.0.0.0.

    :param option: where the list comes from, for people.
    :raises ConfigurationInvalid: one of the texts is no network.
    """

    def __init__(self, texts: Iterable[str], option: str) -> None:
        self._option = option
        try:
            self._networks = [ipaddress.ip_network(text) for text in texts]
        except ValueError as error:
            raise ConfigurationInvalid(
                what=f"{option} has something that is no network ({error})",
                cure="write networks as 10.0.0.0/8 or 2001:db8::/32.",
            ) from None

    def allows(self, address: str) -> bool:
        """:param address: an IP address; anything else is not allowed."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        if self._networks:
            return any(found in network for network in self._networks)
        return not (found.is_link_local or found.is_multicast or found.is_unspecified)

    def require(self, host: str) -> None:
        """Every address of ``host`` (a name or an address) must be allowed. One that cannot be
        resolved now is left to those who connect later, who ask again with the peer's address.

        :raises AddressForbidden: one is not.
        """
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        for *_, where in found:
            if not self.allows(str(where[0])):
                raise AddressForbidden(host=host, address=where[0], option=self._option)
