"""What counts as one client where there is no key."""

from __future__ import annotations

import functools
import ipaddress

#: What one client has of IPv6.
_IPV6_PREFIX = 64


@functools.lru_cache(4096)
def of(address: str) -> str:
    """The IPv4 address itself, or an IPv6 one's /64."""
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False)) if ":" in address else address
