"""Which addresses may be called: https on port 443 at a public address, and what the settings add to that."""

from __future__ import annotations

import re
import socket
import urllib.parse
from dataclasses import dataclass

from core import errors, hosts, outbound
from core.ours import Ours
from core.outbound import Kind
from core.settings import Settings

MAX_URL = 2048
_PLAIN = re.compile(r"https?://[!$&'()*+,\-./0-9:;=?@A-Z_a-z~%\[\]]+")
_NETLOC = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Receiver:
    """A URL that may be called, taken apart once; `target` is its path and query."""

    scheme: str
    host: str
    port: int
    netloc: str
    target: str


@dataclass(frozen=True)
class Place:
    """Where a receiver is now; a `public` one tells its caller nothing that others could not hear."""

    addresses: list[str]
    public: bool


class Receivers:
    """What the settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = frozenset(settings.webhook_hosts)
        self._loopback = frozenset(settings.webhook_loopback)
        self._ours = Ours(settings)

    def parse(self, url: str, field: str = "url") -> Receiver:
        """The URL if it may be called as far as can be told from its text; raises InvalidInput naming `field`."""
        receiver = _split(url, field)
        if self._listed(receiver) or self._on_loopback(receiver):
            return receiver
        if (receiver.scheme, receiver.port) != ("https", 443):
            raise errors.InvalidInput.field(
                field,
                "must be https, on port 443, or of a host that COATCHECK_WEBHOOK_HOSTS lists, or at a port of this "
                "machine that COATCHECK_WEBHOOK_LOOPBACK names",
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
        if not all(outbound.kind(str(item[4][0])) is Kind.PUBLIC for item in found):
            raise errors.InvalidInput.field(field, "is at an address that is not public")
        return receiver

    def place(self, receiver: Receiver, ends_at: float) -> Place:
        """Where to connect, looked up now: what is judged here is what must be used.

        Raises AddressRefused, also when only one of several addresses is not allowed, OSError for a name without one,
        and TimeoutError at `ends_at` (monotonic).
        """
        found = outbound.lookup(receiver.host, receiver.port, ends_at)
        for address in found:
            if not self._may_call(receiver, address, ends_at):
                raise errors.AddressRefused(f"{receiver.host} is at an address that may not be called")
        return Place(found, all(outbound.kind(address) is Kind.PUBLIC for address in found))

    def _may_call(self, receiver: Receiver, address: str, ends_at: float) -> bool:
        kind = outbound.kind(address)
        if self._on_loopback(receiver):
            return kind is Kind.LOOPBACK
        if self._listed(receiver) and kind in (Kind.PUBLIC, Kind.PRIVATE):
            return not self._ours.holds(receiver.host, receiver.port, address, ends_at)
        return kind is Kind.PUBLIC

    def _on_loopback(self, receiver: Receiver) -> bool:
        return receiver.host in hosts.LOCAL and receiver.port in self._loopback

    def _listed(self, receiver: Receiver) -> bool:
        host = f"[{receiver.host}]" if ":" in receiver.host else receiver.host
        return f"{host}:{receiver.port}" in self._hosts


def _split(url: str, field: str) -> Receiver:
    """The parts of a URL that can be read in only one way; raises InvalidInput."""
    if len(url) > MAX_URL:
        raise errors.InvalidInput.field(
            field, f"exceeds maximum length of {MAX_URL} characters", received_length=len(url)
        )
    try:
        parts = urllib.parse.urlsplit(url)
        port = hosts.PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
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
