"""Where a name leads, and whether strangers may send us there."""

from __future__ import annotations

import ipaddress
import socket

#: IPv6 that stands for IPv4, or for a site of its own, and that Python takes for public.
_NOT_PUBLIC = [
    ipaddress.ip_network(item) for item in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96", "fec0::/10")
]


def lookup(host: str, port: int) -> list[str]:
    """Every address of a host, as numbers, in the order to try them; raises OSError where there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def is_public(address: str) -> bool:
    """Whether an address is one of the internet at large, also behind what wraps it (mapped, 6to4, NAT64)."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    listed = any(parsed in network for network in _NOT_PUBLIC if network.version == parsed.version)
    return parsed.is_global and not parsed.is_multicast and not listed and (inner is None or is_public(str(inner)))


def is_loopback(address: str) -> bool:
    """Whether an address is this machine itself."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return parsed.is_loopback or bool(getattr(parsed, "ipv4_mapped", None) and parsed.ipv4_mapped.is_loopback)  # type: ignore[union-attr]
