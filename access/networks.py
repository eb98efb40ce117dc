"""Where somebody comes from, and what counts as one client where there is no key."""

from __future__ import annotations

import functools
import ipaddress

#: What one client has of IPv6.
_IPV6_PREFIX = 64
#: Of who asks by a Unix socket and says nothing of anybody else.
HERE = "unix"
_LONGEST = 64  #: characters of an address, and more than any has


@functools.lru_cache(4096)
def of(address: str) -> str:
    """The IPv4 address itself, or an IPv6 one's /64."""
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False)) if ":" in address else address


def behind(connected: str, said: str, trusted: tuple[str, ...]) -> str:
    """The address of a client: of who is connected, or of whom that one speaks for, where these networks are believed.

    `said` is X-Forwarded-For, read from the nearest proxy to the farthest, as long as each is trusted: what a client
    writes into it stands before what a proxy adds, and is never reached. A Unix socket is as private as its folder.
    """
    found = _read(connected) or HERE
    for one in reversed(said.split(",")):
        nearer = _read(one[:_LONGEST]) if found == HERE or _within(found, trusted) else None
        if nearer is None:
            break
        found = nearer
    return found


@functools.lru_cache(4096)
def _read(said: str) -> str | None:
    """In the one way in which it is written everywhere; None for what is no address."""
    try:
        found = ipaddress.ip_address(said.strip().partition("%")[0])
    except ValueError:
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)


@functools.lru_cache(4096)
def _within(found: str, networks: tuple[str, ...]) -> bool:
    read = ipaddress.ip_address(found)
    return any(read in ipaddress.ip_network(item) for item in networks)
