"""Which addresses may be called: https on port 443 at a public address, and what the settings add to that."""

from __future__ import annotations

from core import errors, guard, hosts, outbound, urls
from core.guard import Guard, Place, Reach
from core.outbound import Kind
from core.settings import Settings
from core.urls import Url

MAX_URL = 2048
#: Of a port of this machine that the developer named, which the settings let be no engine's.
_HERE = Reach(frozenset({Kind.LOOPBACK}), ours=True)
_LISTED = Reach(frozenset({Kind.PUBLIC, Kind.PRIVATE}), ours=False)


class Receivers:
    """What the settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = frozenset(settings.webhooks.hosts)
        self._loopback = frozenset(settings.webhooks.loopback)
        self._guard = Guard(settings)

    def parse(self, url: str, field: str = "url") -> Url:
        """The URL if it may be called as far as can be told from its text; raises InvalidInput naming `field`."""
        if len(url) > MAX_URL:
            raise errors.InvalidInput.field(
                field, f"exceeds maximum length of {MAX_URL} characters", received_length=len(url)
            )
        parsed = urls.parse(url, field)
        if self._reach(parsed) is not guard.AT_LARGE:
            return parsed
        if (parsed.scheme, parsed.port) != ("https", 443):
            raise errors.InvalidInput.field(
                field,
                "must be https, on port 443, or of a host that COATCHECK_WEBHOOK_HOSTS lists, or at a port of this "
                "machine that COATCHECK_WEBHOOK_LOOPBACK names",
            )
        if not all(outbound.kind(address) is Kind.PUBLIC for address in outbound.written(parsed.host, parsed.port)):
            raise errors.InvalidInput.field(field, "is at an address that is not public")
        return parsed

    def place(self, url: Url, ends_at: float) -> Place:
        """Where to connect, until `ends_at` (monotonic); raises AddressRefused, OSError, TimeoutError."""
        return self._guard.place(url, self._reach(url), ends_at)

    def _reach(self, url: Url) -> Reach:
        if url.host in hosts.LOCAL and url.port in self._loopback:
            return _HERE
        host = f"[{url.host}]" if ":" in url.host else url.host
        return _LISTED if f"{host}:{url.port}" in self._hosts else guard.AT_LARGE
