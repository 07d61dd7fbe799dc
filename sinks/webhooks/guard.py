"""Only allowed addresses are ever dialled, whatever a name resolves to at that moment.

Receivers stand in private networks, so "block what is private" cannot be the rule here: what may be
reached is listed, as networks (CIDR) or as host names. The check sees the address of each connect,
so a name that changes its address in between (DNS rebinding) gains nothing; redirects are never
followed (see endpoint.py).
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketFactory = Callable[[tuple[Any, ...]], socket.socket]


class AddressRefused(OSError):
    """The receiver's name leads to an address that is not on the list."""


class Guard:
    """Decides which peers may be dialled: `guard.socket_factory` goes to aiohttp's connector.

    Each entry of `allow` is a network (`10.20.0.0/16`, `::1`) or a host name, which stands for the
    URL's own host at any address of its own. With no entry, it is the URL's host. Addresses that
    no receiver can have are refused even so: link-local (there cloud machines keep their
    credentials), multicast, unspecified.
    """

    def __init__(self, url: str, allow: Sequence[str] = ()) -> None:
        host = (urlsplit(url).hostname or "").lower()
        self._networks: list[_Network] = []
        names = set() if allow else {host}
        for entry in allow:
            try:
                self._networks.append(ipaddress.ip_network(entry))
            except ValueError:
                names.add(entry.lower())
        self._host_allowed = host in names

    def allows(self, address: str) -> bool:
        """Whether this IP address may be dialled."""
        ip: _Address = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if any(ip in network for network in self._networks):
            return True
        strange = ip.is_link_local or ip.is_multicast or ip.is_unspecified
        return self._host_allowed and not strange

    def socket_factory(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for one connect, or raise AddressRefused before a packet leaves."""
        family, kind, protocol, _, address = info
        if not self.allows(str(address[0])):
            raise AddressRefused("the receiver's address is not allowed")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made
