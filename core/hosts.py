"""Hosts and ports as addresses name them, before anybody looks them up."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy

PORTS = {"https": 443, "http": 80}
#: What names this machine as plainly as its number does.
LOCAL = ("localhost", "127.0.0.1", "::1")


def is_number(host: str) -> bool:
    """Whether a host needs no look-up: an address, or this machine's own name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host in LOCAL
    return True


def on_this_machine(host: str) -> bool:
    """Whether a host is this machine by its name or number: nothing for it is sent through a proxy, which would only
    see what it must not, and could not reach it."""
    bare = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost" or bare.endswith(".localhost")


def of_url(url: str) -> tuple[str, int]:
    """Of an HTTP URL; raises ValueError."""
    parts = urllib.parse.urlsplit(url)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def of_redis(url: str) -> Iterator[tuple[str, int]]:
    """None where it is a socket in a folder; raises ValueError."""
    parts = urllib.parse.urlsplit(url)
    if parts.hostname:
        yield parts.hostname, parts.port or 6379


def of_database(url: str) -> Iterator[tuple[str, int]]:
    """Also those that the query lists, as psycopg takes them; raises ValueError, sqlalchemy.exc.ArgumentError."""
    # Clients of the API have no database, and would wait for it half a second.
    import sqlalchemy

    parts = sqlalchemy.make_url(url)
    ports = [int(item) for item in _values(parts, "port") if item] or [parts.port or 5432]
    for item in [parts.host or "", *_values(parts, "host"), *_values(parts, "hostaddr")]:
        host, _, own_port = item.partition(":") if item.count(":") == 1 else (item, "", "")
        # A path is a socket, which nobody calls.
        if host and not host.startswith("/"):
            yield from ((host, port) for port in ([int(own_port)] if own_port else ports))


def _values(url: sqlalchemy.URL, name: str) -> list[str]:
    given = url.query.get(name, ())
    return ",".join([given] if isinstance(given, str) else given).split(",")
