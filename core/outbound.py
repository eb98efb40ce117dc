"""Where a name leads, and what kind of address that is.

The tables are our own: Python's `is_global` changes with its version. They follow the IANA special-purpose registries
(RFC 6890) and what clouds document of their metadata services.
"""

from __future__ import annotations

import enum
import ipaddress
import socket
import threading
import time
from concurrent.futures import Future

#: Look-ups at once. One that hangs goes on after its caller has given up, until the resolver has as well.
MOST_LOOKUPS = 256
_PLACES = threading.BoundedSemaphore(MOST_LOOKUPS)


class Kind(enum.Enum):
    """Who may be called at an address."""

    PUBLIC = enum.auto()  #: anybody at large
    PRIVATE = enum.auto()  #: whom the operator lists
    LOOPBACK = enum.auto()  #: this machine, in a way of its own
    NEVER = enum.auto()  #: nobody: no machine's own, a cloud's metadata, or another address in disguise


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*given: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(item) for item in given)


_LOOPBACK = _networks("127.0.0.0/8", "::1/128")
#: IPv6 that stands for an IPv4 address: compatible (and ::), mapped, SIIT, NAT64 (RFC 6052, RFC 8215), 6to4, Teredo.
#: Never called, whatever is inside: what can be reached by IPv4 has an IPv4 address.
_WRAPPED = _networks(
    "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"
)
#: ISATAP (RFC 5214 §6.1) is another disguise, under any prefix: by bits 32 to 63 of the interface's identifier.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_NEVER = _networks(
    # This network, link-local (most clouds' metadata), IETF protocols (Oracle's metadata), 6to4 relays, multicast,
    # reserved and broadcast.
    *("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    # Azure's host, and the metadata of Alibaba; of AWS, Google and Scaleway by IPv6.
    *("168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128"),
    # Documentation.
    *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    # IETF protocols, segment routing, link-local, site-local, multicast.
    *("2001::/23", "5f00::/16", "fe80::/10", "fec0::/10", "ff00::/8"),
)
_PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7")
#: All of IPv6 that has been given to anybody.
_UNICAST = ipaddress.IPv6Network("2000::/3")


def kind(address: str) -> Kind:
    """What an address is, as numbers, with or without a zone."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    for found, networks in ((Kind.LOOPBACK, _LOOPBACK), (Kind.NEVER, _WRAPPED + _NEVER), (Kind.PRIVATE, _PRIVATE)):
        if any(parsed in network for network in networks):
            # A private prefix may be under ISATAP as well.
            return Kind.NEVER if _is_isatap(parsed) else found
    if parsed.version == 6 and (parsed not in _UNICAST or _is_isatap(parsed)):
        return Kind.NEVER
    return Kind.PUBLIC


def _is_isatap(parsed: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return parsed.version == 6 and (int(parsed) >> 32) & 0xFFFF_FFFF in _ISATAP


def is_here(address: str) -> bool:
    """Whether an address is this machine's: loopback, or of one of its interfaces."""
    if kind(address) is Kind.LOOPBACK:
        return True
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks for the route, and whoever is here is reached from its own address.
            probe.connect((address, 9))
        except OSError:
            return False
        return str(probe.getsockname()[0]).partition("%")[0] == address.partition("%")[0]


def written(host: str, port: int) -> list[str]:
    """The address that a host is by its text, in any of the ways that C reads numbers (127.1, 0177.0.0.1, 2130706433);
    none for a name."""
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []


def lookup(host: str, port: int, ends_at: float) -> list[str]:
    """Every address of a host, as numbers, in the order to try them.

    Raises OSError where there is none, or no thread to ask by, TimeoutError at `ends_at` (monotonic), UnicodeError for
    what is no name.
    """
    if found := written(host, port):
        return found
    # getaddrinfo has no time-out of its own.
    places = _PLACES
    if not places.acquire(timeout=max(0.0, ends_at - time.monotonic())):
        raise TimeoutError("too many names are being looked up")
    answer: Future[list[str]] = Future()
    try:
        threading.Thread(target=_answer, args=(answer, host, port, places), name="lookup", daemon=True).start()
    except RuntimeError as error:
        places.release()
        raise OSError("no thread is left to look a name up") from error
    return answer.result(timeout=max(0.0, ends_at - time.monotonic()))


def _answer(answer: Future[list[str]], host: str, port: int, places: threading.BoundedSemaphore) -> None:
    try:
        answer.set_result(_addresses(host, port))
    except (OSError, UnicodeError) as error:
        answer.set_exception(error)
    finally:
        places.release()


def _addresses(host: str, port: int, flags: int = 0) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(str(item[4][0]) for item in found))
