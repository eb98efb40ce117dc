"""Where a request comes from, as far as those are believed who say so."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping
from typing import Any

from access import networks
from api import resources
from core import errors

#: Of who asks by a Unix socket and says nothing of anybody else.
HERE = "unix"
_LONGEST = 64  #: characters of an address, and more than any has


def token(environ: Mapping[str, Any]) -> str | None:
    """What is shown, from `Authorization: Bearer` or `X-API-Key`.

    Raises Unauthorized for both, of which none is the better one, and for an Authorization of another kind.
    """
    header, key = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY")
    if header is not None and key is not None:
        raise errors.Unauthorized("Give the API key once: either as Authorization: Bearer, or as X-API-Key")
    if header is None:
        return key
    if header[:7].lower() != "bearer ":
        raise errors.Unauthorized("Give the API key as Authorization: Bearer cck_…, or as X-API-Key: cck_…")
    found: str = header[7:].strip()
    return found


def network(environ: Mapping[str, Any]) -> str:
    """What counts as one client without a key: an IPv4 address, or an IPv6 /64."""
    return networks.of(address(environ))


def address(environ: Mapping[str, Any]) -> str:
    """The client's own: of who is connected, or of whom that one speaks for, if it is a proxy of ours."""
    return behind(environ, resources.here().settings.http.trusted_proxies)


def behind(environ: Mapping[str, Any], trusted: tuple[str, ...]) -> str:
    """The same where these networks are believed.

    Read from the nearest proxy to the farthest, as long as each is trusted: what a client writes into X-Forwarded-For
    stands before what a proxy adds, and is never reached. A Unix socket is as private as its folder.
    """
    found = _read(environ.get("REMOTE_ADDR", "")) or HERE
    for said in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        nearer = _read(said[:_LONGEST]) if found == HERE or _within(found, trusted) else None
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
