"""Where a name leads, and whether strangers may send us there."""

from __future__ import annotations

import ipaddress
import socket

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def lookup(host: str, port: int) -> list[str]:
    """Every address of a host, as numbers, in the order to try them; raises OSError where there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def is_public(address: str) -> bool:
    """Whether an address is one of the internet at large, also behind what wraps it (mapped, 6to4, NAT64)."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    nat64 = parsed.version == 6 and parsed in _NAT64
    return parsed.is_global and not parsed.is_multicast and not nat64 and (inner is None or is_public(str(inner)))


def is_loopback(address: str) -> bool:
    """Whether an address is this machine itself."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return parsed.is_loopback or bool(getattr(parsed, "ipv4_mapped", None) and parsed.ipv4_mapped.is_loopback)  # type: ignore[union-attr]
