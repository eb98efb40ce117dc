"""Which addresses may be called: https on port 443 at a public address, and what the settings add to that."""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
from dataclasses import dataclass

from core import errors, outbound
from core.settings import Settings

MAX_URL = 2048
PORTS = {"https": 443, "http": 80}
_PLAIN = re.compile(r"https?://[!$&'()*+,\-./0-9:;=?@A-Z_a-z~%\[\]]+")
_NETLOC = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Receiver:
    """A URL that may be called, taken apart once; `target` is its path and query."""

    scheme: str
    host: str
    port: int
    netloc: str
    target: str


class Receivers:
    """What the settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = frozenset(settings.webhook_hosts)
        self._loopback = settings.webhook_loopback

    def parse(self, url: str, field: str = "url") -> Receiver:
        """The URL if it may be called as far as can be told from its text; raises InvalidInput naming `field`."""
        receiver = _split(url, field)
        if self._listed(receiver) or (self._loopback and receiver.host in _LOCAL):
            return receiver
        if (receiver.scheme, receiver.port) != ("https", 443):
            raise errors.InvalidInput.field(
                field, "must be https, on port 443, or of a host that COATCHECK_WEBHOOK_HOSTS lists"
            )
        # Numbers in any of the ways that C reads them (127.1, 0177.0.0.1, 2130706433): no name is asked for.
        try:
            found = socket.getaddrinfo(
                receiver.host, receiver.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except UnicodeError as error:
            raise errors.InvalidInput.field(field, "has a host that is no name") from error
        except OSError:
            return receiver
        if not all(outbound.is_public(str(item[4][0])) for item in found):
            raise errors.InvalidInput.field(field, "is at an address that is not public")
        return receiver

    def addresses(self, receiver: Receiver) -> list[str]:
        """Where to connect, looked up now: what is judged here is what must be used.

        Raises AddressRefused, also when only one of several is not allowed, and OSError for a name without an address.
        """
        found = outbound.lookup(receiver.host, receiver.port)
        for address in found:
            if not self._may_call(receiver, address):
                raise errors.AddressRefused(f"{receiver.host} is at an address that may not be called")
        return found

    def _may_call(self, receiver: Receiver, address: str) -> bool:
        if outbound.is_public(address):
            return True
        # Never to be reached by listing a name: who controls the name would control what it leads to.
        if outbound.is_loopback(address):
            return self._loopback and receiver.host in _LOCAL
        return self._listed(receiver) and not _is_nowhere(address)

    def _listed(self, receiver: Receiver) -> bool:
        host = f"[{receiver.host}]" if ":" in receiver.host else receiver.host
        return f"{host}:{receiver.port}" in self._hosts


def _is_nowhere(address: str) -> bool:
    """Addresses that are not a machine's own: link-local (where clouds keep their metadata), unspecified, multicast."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast


def _split(url: str, field: str) -> Receiver:
    """The parts of a URL that can be read in only one way; raises InvalidInput."""
    if len(url) > MAX_URL:
        raise errors.InvalidInput.field(
            field, f"exceeds maximum length of {MAX_URL} characters", received_length=len(url)
        )
    try:
        parts = urllib.parse.urlsplit(url)
        port = PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except ValueError as error:
        raise errors.InvalidInput.field(field, "is not a URL") from error
    if not _PLAIN.fullmatch(url) or not parts.hostname or parts.netloc != parts.netloc.lower():
        raise errors.InvalidInput.field(
            field, "must be a plain https URL in ASCII, its host in lower case, with no fragment"
        )
    if "@" in parts.netloc:
        raise errors.InvalidInput.field(field, "must have no user in it")
    if not _NETLOC.fullmatch(parts.netloc) or not port:
        raise errors.InvalidInput.field(field, "has a host that is no name, or no port")
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return Receiver(parts.scheme, parts.hostname, port, parts.netloc, target)
